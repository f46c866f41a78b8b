# SPDX-License-Identifier: Apache-2.0
"""What every answer of the gateway carries, and which requests it does not even look at.

A page on the web can make a browser send requests to 127.0.0.1, and by rebinding a name of its own to that
address it can read the answers too, unless the server insists on its own name. So a request with another
``Host`` is refused, and the policies below leave a page nothing to load or run but its own style sheet.

Sources: OWASP, DNS rebinding; W3C Content Security Policy Level 3; RFC 9110 section 15.5.20 (421).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
READING: Final = frozenset({"GET", "HEAD"})
_HTTP_PORT: Final = 80


def bearer_of(authorization: str) -> str | None:
    """The token of an ``Authorization`` header: a bearer's (RFC 6750), or Git's as a password (RFC 7617).

    Returns:
        The token; ``None`` if the header is of another kind or cannot be read.
    """
    scheme, _, value = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return value.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        _, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return password or None


class OwnName:
    """Refuses requests that were sent to another name than this server's own."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        names = {"127.0.0.1", "localhost"}
        self._hosts = {f"{name}:{port}" for name in names} | (names if port == _HTTP_PORT else set())
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its host is one of ours."""
        host = Headers(scope=scope).get("host", "").lower()
        if scope["type"] == "http" and host not in self._hosts:
            answer = PlainTextResponse(
                f"This hub answers at http://127.0.0.1:{self._port}/ only.\n",
                status_code=HTTPStatus.MISDIRECTED_REQUEST,
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


class ReadOnly:
    """Refuses requests that would change something, but for one path that decides by itself."""

    def __init__(self, app: ASGIApp, *, but_for: str) -> None:
        self._app = app
        self._but_for = but_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if it reads, or if its path is the excepted one."""
        reads = scope["type"] != "http" or scope["method"] in READING
        if reads or str(scope["path"]).startswith(self._but_for):
            await self._app(scope, receive, send)
            return
        answer = PlainTextResponse(
            "These pages are for reading; change things with the command `enchanted`.\n",
            status_code=HTTPStatus.METHOD_NOT_ALLOWED,
            headers={"Allow": "GET, HEAD"},
        )
        await answer(scope, receive, send)


class SafeHeaders:
    """Adds the headers to every answer, and tells browsers to keep no page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
