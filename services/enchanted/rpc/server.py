# SPDX-License-Identifier: Apache-2.0
"""The server's side: interceptors that every transport runs, and serving over a socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import grpc
import structlog

from enchanted.rpc import authentication, errors
from enchanted.rpc.authentication import Authenticator
from enchanted.rpc.errors import ErrorRule

MESSAGE_BYTES_MAX: Final = 16 << 20
CONCURRENT_CALLS_MAX: Final = 512
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.so_reuseport", 0),
)

# grpc's stubs make a handler's members optional and its context generic; at run time they are not.
Handler = Any
Interceptors = Sequence["grpc.aio.ServerInterceptor[Any, Any]"]
_Context = Any
_Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]
_OUR_FAULT: Final = "something went wrong on our side; the log says what"
_log = structlog.get_logger(__name__)


class GuardInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in stubs only
    """Authenticates each call, checks its scope, and answers exceptions by the rooms' rules."""

    def __init__(self, authenticator: Authenticator, rules: Mapping[type[Exception], ErrorRule]) -> None:
        self._authenticator = authenticator
        self._rules = rules

    async def intercept_service(
        self, continuation: _Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler:
        """Wrap the handler of a call."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = str(handler_call_details.method)

        @contextlib.asynccontextmanager
        async def guarded(context: _Context) -> AsyncIterator[None]:
            try:
                metadata = dict(context.invocation_metadata() or ())
                authorization = str(metadata.get(authentication.AUTHORIZATION, ""))
                authentication.admit(method, authorization, self._authenticator)
                yield
            except grpc.aio.BaseError:
                raise
            except Exception as error:  # noqa: BLE001 - the one place where any exception becomes a status
                await self._answer(error, method, context)

        return _wrap(handler, guarded)

    async def _answer(self, error: Exception, method: str, context: _Context) -> None:
        rule = errors.rule_for(error, self._rules)
        if rule is None:
            _log.error("a call failed by our fault", method=method, exc_info=error)
            await context.abort(grpc.StatusCode.INTERNAL, _OUR_FAULT)
        else:
            await context.abort(rule.code, str(error), errors.encode(error, rule))


_Guard = Callable[[Any], contextlib.AbstractAsyncContextManager[None]]


def _wrap(handler: Handler, guarded: _Guard) -> Handler:
    """The same handler with its call inside ``guarded``; all four kinds of calls."""
    codecs = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.response_streaming:
        inner_stream = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def stream(request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - any message
            async with guarded(context):
                async for answer in inner_stream(request, context):
                    yield answer

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_stream_rpc_method_handler
        )
        return make(stream, **codecs)

    inner = handler.stream_unary if handler.request_streaming else handler.unary_unary

    async def unary(request: Any, context: Any) -> Any:  # noqa: ANN401 - any message
        async with guarded(context):
            return await inner(request, context)

    make_unary = (
        grpc.stream_unary_rpc_method_handler
        if handler.request_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    return make_unary(unary, **codecs)


def interceptors(authenticator: Authenticator, rules: Mapping[type[Exception], ErrorRule]) -> Interceptors:
    """The interceptors of every transport, outermost first."""
    return (GuardInterceptor(authenticator, {**errors.KEYSPACE_ERRORS, **rules}),)


async def serve(
    register: Callable[[grpc.aio.Server], None],
    address: str,
    chain: Interceptors,
) -> tuple[grpc.aio.Server, int]:
    """Serve over a socket.

    Args:
        register: Adds the servicers to the server.
        address: ``127.0.0.1:0`` for any free port, or ``unix:/path``.
        chain: From :func:`interceptors`.

    Returns:
        The started server, and the port it listens on (1 for a unix socket).

    Raises:
        OSError: If the address cannot be had.
    """
    server = grpc.aio.server(
        interceptors=list(chain), options=list(_OPTIONS), maximum_concurrent_rpcs=CONCURRENT_CALLS_MAX
    )
    register(server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}") from error
    if port == 0:
        raise OSError(f"cannot listen on {address}")
    await server.start()
    return server, port
