# SPDX-License-Identifier: Apache-2.0
"""A transport without a socket: the same servicers, the same interceptors, in the same process.

Messages are serialised and parsed as on the wire, so that neither side can hold on to the other's objects,
and every call runs in a task of its own, as grpc's do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Never, Self

import grpc

from enchanted.rpc.channel import AuthenticatedChannel
from enchanted.rpc.server import Handler, Interceptors

_QUEUE_ANSWERS_MAX: Final = 16
Metadata = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]
_Encode = Callable[[Any], bytes]
_Decode = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class _CallDetails(grpc.HandlerCallDetails):
    method: str
    invocation_metadata: Metadata | None  # type: ignore[assignment]  # the stubs know tuples only


class _Context(grpc.aio.ServicerContext):  # type: ignore[type-arg]  # generic in stubs only
    """What a servicer sees of a call."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._trailing: Metadata = ()

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> Never:
        raise _failure(code, details, (*self._trailing, *trailing_metadata))

    async def abort_with_status(self, status: grpc.Status) -> Never:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def invocation_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata(*self._metadata)

    def set_trailing_metadata(self, trailing_metadata: Metadata) -> None:
        self._trailing = trailing_metadata

    async def send_initial_metadata(self, initial_metadata: Metadata) -> None:
        """Nobody inside the process waits for it."""

    async def read(self) -> Never:
        raise NotImplementedError("servicers here iterate over requests")

    async def write(self, message: object) -> Never:
        raise NotImplementedError("servicers here yield their answers")

    def set_code(self, code: grpc.StatusCode) -> Never:
        raise NotImplementedError("servicers here raise exceptions")

    def set_details(self, details: str) -> Never:
        raise NotImplementedError("servicers here raise exceptions")

    def set_compression(self, compression: grpc.Compression) -> None:
        """Nothing is compressed inside a process."""

    def disable_next_message_compression(self) -> None:
        """Nothing is compressed inside a process."""

    def peer(self) -> str:
        return "in-process"

    def peer_identities(self) -> None:
        return None

    def peer_identity_key(self) -> None:
        return None

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        return {}


class InProcessServer:
    """Takes servicers as a grpc server does, and calls them."""

    def __init__(self, interceptors: Interceptors) -> None:
        self._interceptors = tuple(interceptors)
        self._handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[object]) -> None:
        """Part of what generated code calls; the handlers come by :meth:`add_registered_method_handlers`."""

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Handler]
    ) -> None:
        """Register a service's methods; called by the generated ``add_…Servicer_to_server``."""
        for name, handler in method_handlers.items():
            self._handlers[f"/{service_name}/{name}"] = handler

    async def handler(self, method: str, metadata: Metadata) -> Handler:
        """The method's handler behind all interceptors.

        Raises:
            grpc.aio.AioRpcError: UNIMPLEMENTED, if there is no such method.
        """
        found = await self._intercepted(_CallDetails(method, metadata), 0)
        if found is None:
            raise _failure(grpc.StatusCode.UNIMPLEMENTED, f"no method {method}")
        return found

    async def _intercepted(self, details: grpc.HandlerCallDetails, index: int) -> Handler:
        if index == len(self._interceptors):
            return self._handlers.get(str(details.method))

        async def go_on(inner: grpc.HandlerCallDetails) -> Handler:
            return await self._intercepted(inner, index + 1)

        return await self._interceptors[index].intercept_service(go_on, details)


class _Stream:
    """The answers of a streaming call, pulled by the client from a task that runs the servicer."""

    def __init__(self, produce: Callable[[asyncio.Queue[Any]], Awaitable[None]]) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(_QUEUE_ANSWERS_MAX)
        self._task = asyncio.ensure_future(produce(self._queue))

    async def __aiter__(self) -> AsyncIterator[Any]:
        while not (self._task.done() and self._queue.empty()):
            waiting = asyncio.ensure_future(self._queue.get())
            await asyncio.wait((waiting, self._task), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                yield waiting.result()
            else:
                waiting.cancel()
        await self._task

    def cancel(self) -> None:
        self._task.cancel()


class _Transport(grpc.aio.Channel):
    """Calls an :class:`InProcessServer` in the shape of a grpc channel."""

    def __init__(self, server: InProcessServer) -> None:
        self._server = server

    def unary_unary(self, method: str, *codecs: Any, **named: Any) -> Any:  # noqa: ANN401 - grpc's
        return self._unary(method, *_codecs(codecs, named))

    def stream_unary(self, method: str, *codecs: Any, **named: Any) -> Any:  # noqa: ANN401 - grpc's signature
        return self._unary(method, *_codecs(codecs, named))

    def unary_stream(self, method: str, *codecs: Any, **named: Any) -> Any:  # noqa: ANN401 - grpc's signature
        return self._stream(method, *_codecs(codecs, named))

    def stream_stream(self, method: str, *codecs: Any, **named: Any) -> Any:  # noqa: ANN401 - grpc's signature
        return self._stream(method, *_codecs(codecs, named))

    async def close(self, grace: float | None = None) -> None:
        """Nothing is open."""

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: ARG002, FBT001, FBT002
        return grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:  # noqa: ARG002
        """The state never changes, so this waits for ever."""
        await asyncio.get_running_loop().create_future()

    async def channel_ready(self) -> None:
        """It always is."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    def _unary(self, method: str, encode: _Encode, decode: _Decode) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, *, timeout: float | None, metadata: Metadata) -> Any:  # noqa: ANN401, ASYNC109
            async def run() -> bytes:
                handler = await self._server.handler(method, metadata)
                behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
                answer = await behaviour(_sent(request, encode, handler), _Context(metadata))
                return bytes(handler.response_serializer(answer))

            try:
                async with asyncio.timeout(timeout):
                    return decode(await asyncio.create_task(run()))
            except TimeoutError as error:
                raise _deadline_exceeded() from error

        return call

    def _stream(self, method: str, encode: _Encode, decode: _Decode) -> Callable[..., _Stream]:
        def call(request: Any, *, timeout: float | None, metadata: Metadata) -> _Stream:  # noqa: ANN401
            async def produce(queue: asyncio.Queue[Any]) -> None:
                handler = await self._server.handler(method, metadata)
                behave = handler.stream_stream if handler.request_streaming else handler.unary_stream
                try:
                    async with asyncio.timeout(timeout):
                        async for answer in behave(_sent(request, encode, handler), _Context(metadata)):
                            await queue.put(decode(handler.response_serializer(answer)))
                except TimeoutError as error:
                    raise _deadline_exceeded() from error

            return _Stream(produce)

        return call


class InProcessChannel(AuthenticatedChannel):
    """A channel to servicers in this process, with a token as over a socket."""

    def __init__(self, server: InProcessServer, token: str) -> None:
        super().__init__(_Transport(server), token)


def _codecs(positional: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Any]:
    encode = named.get("request_serializer") or positional[0]
    decode = named.get("response_deserializer") or positional[1]
    return encode, decode


def _sent(request: Any, encode: Callable[[Any], bytes], handler: Handler) -> Any:  # noqa: ANN401 - any message
    """What arrives at the other side: one message, or a stream of them."""
    if not handler.request_streaming:
        return handler.request_deserializer(encode(request))

    async def messages() -> AsyncIterator[Any]:
        if hasattr(request, "__aiter__"):
            async for message in request:
                yield handler.request_deserializer(encode(message))
        else:
            for message in request:
                yield handler.request_deserializer(encode(message))

    return messages()


def _deadline_exceeded() -> grpc.aio.AioRpcError:
    return _failure(grpc.StatusCode.DEADLINE_EXCEEDED, "the call took too long")


def _failure(code: grpc.StatusCode, details: str, trailing: Metadata = ()) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details, None)
