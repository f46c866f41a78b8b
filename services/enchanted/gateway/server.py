# SPDX-License-Identifier: Apache-2.0
"""Serves the application inside a process that has other things to do.

uvicorn wants to own the process: it takes the signals, prints what it does and exits when a port is in use.
Here it is one task among others: the socket is bound before, so that a port in use is an ordinary error, and
whoever started the server stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

CONNECTIONS_MAX: Final = 256
STOP_SECONDS_MAX: Final = 1
_IDLE_SECONDS: Final = 15
_BACKLOG: Final = 128


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever owns the process."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Take a port.

    Args:
        host: The address.
        port: The port; 0 for any free one.

    Raises:
        OSError: If it cannot be had.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A port whose last connections are still dying down is free; one that somebody listens on is not.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
        bound.settimeout(0)
    except OSError:
        bound.close()
        raise
    return bound


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, bound: socket.socket) -> AsyncIterator[None]:
    """Serve an application for as long as the block runs, and end within a second after it.

    Args:
        app: The application.
        bound: Where, from :func:`bind`; closed at the end.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        limit_concurrency=CONNECTIONS_MAX,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve([bound]))
    try:
        waiting = asyncio.create_task(server.serving.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        bound.close()
