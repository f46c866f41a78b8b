# SPDX-License-Identifier: Apache-2.0
"""The client's side: a channel that adds the token and a deadline, and raises one kind of error.

It wraps any channel, so that stubs and typed clients work alike over a socket and inside the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self

import grpc

from enchanted.rpc import authentication, errors
from enchanted.rpc.server import MESSAGE_BYTES_MAX

UNARY_SECONDS_MAX: Final = 60.0
UPLOAD_SECONDS_MAX: Final = 900.0
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.enable_http_proxy", 0),
)


class AuthenticatedChannel(grpc.aio.Channel):
    """A channel whose every call carries the token, ends in time, and fails with ``CallError``."""

    def __init__(self, inner: grpc.aio.Channel, token: str) -> None:
        self._inner = inner
        self._metadata = ((authentication.AUTHORIZATION, f"Bearer {token}"),)

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - grpc's own signature
        """A call with one request and one answer; 60 s unless told otherwise."""
        return self._awaited(self._inner.unary_unary(*args, **kwargs), UNARY_SECONDS_MAX)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - grpc's own signature
        """A call with many requests and one answer; 15 minutes unless told otherwise."""
        return self._awaited(self._inner.stream_unary(*args, **kwargs), UPLOAD_SECONDS_MAX)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - grpc's own signature
        """A call with one request and many answers, as an async iterator."""
        return self._iterated(self._inner.unary_stream(*args, **kwargs))

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - grpc's own signature
        """A call with many requests and many answers, as an async iterator."""
        return self._iterated(self._inner.stream_stream(*args, **kwargs))

    async def close(self, grace: float | None = None) -> None:
        """Close the wrapped channel."""
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - grpc's
        """State of the wrapped channel."""
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait on the wrapped channel."""
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the wrapped channel is connected."""
        await self._inner.channel_ready()

    async def __aenter__(self) -> Self:
        """The channel itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def _awaited(self, call: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        async def run(request: Any, *, timeout: float | None = seconds) -> Any:  # noqa: ANN401, ASYNC109 - grpc's
            try:
                return await call(request, timeout=timeout, metadata=self._metadata)
            except grpc.aio.AioRpcError as error:
                raise errors.decode(error) from error

        return run

    def _iterated(self, call: Callable[..., Any]) -> Callable[..., AsyncIterator[Any]]:
        async def run(request: Any, *, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ANN401, ASYNC109
            answers = call(request, timeout=timeout, metadata=self._metadata)
            try:
                async for answer in answers:
                    yield answer
            except grpc.aio.AioRpcError as error:
                raise errors.decode(error) from error
            finally:
                answers.cancel()

        return run


def connect(address: str, token: str) -> grpc.aio.Channel:
    """A channel to a hub in another process on this machine.

    Args:
        address: ``127.0.0.1:PORT`` or ``unix:/path``.
        token: Sent with every call.
    """
    return AuthenticatedChannel(grpc.aio.insecure_channel(address, options=list(_OPTIONS)), token)
