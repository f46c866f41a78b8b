# SPDX-License-Identifier: Apache-2.0
"""Which requests are looked at, and what every answer carries."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enchanted.gateway.security import HEADERS, OwnName, ReadOnly, SafeHeaders

PORT = 8080


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def _application(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("reached")(scope, receive, send)


def _ask(app: ASGIApp, *, method: str = "GET", path: str = "/", host: str | None = None) -> Answer:
    answer = Answer()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [] if host is None else [(b"host", host.encode())]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    return answer


@pytest.mark.feature("K-02")
@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:8080"], ids=str)
def test_a_request_to_our_own_name_is_answered(host: str) -> None:
    assert _ask(OwnName(_application, PORT), host=host).body == b"reached"


@pytest.mark.feature("K-02")
@pytest.mark.parametrize(
    "host",
    [None, "", "evil.example:8080", "127.0.0.1", "localhost:80", "127.0.0.1:8080.evil.example", "[::1]:8080"],
    ids=str,
)
def test_a_request_to_another_name_is_refused_and_told_the_right_one(host: str | None) -> None:
    answer = _ask(OwnName(_application, PORT), host=host)
    assert answer.status == HTTPStatus.MISDIRECTED_REQUEST
    assert b"http://127.0.0.1:8080/" in answer.body


@pytest.mark.feature("K-02")
def test_the_default_port_need_not_be_named() -> None:
    assert _ask(OwnName(_application, 80), host="localhost").body == b"reached"
    assert _ask(OwnName(_application, 80), host="evil.example").status == HTTPStatus.MISDIRECTED_REQUEST


@pytest.mark.feature("K-02")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"], ids=str)
def test_nothing_but_reading_is_let_through(method: str) -> None:
    app = ReadOnly(_application, but_for="/git/")
    answer = _ask(app, method=method, path="/projects")
    assert (answer.status, answer.headers["allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, HEAD")
    assert _ask(app, method=method, path="/gitty").status == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.feature("K-02")
def test_git_decides_by_itself() -> None:
    app = ReadOnly(_application, but_for="/git/")
    assert _ask(app, method="POST", path="/git/local/x/git-upload-pack").body == b"reached"


@pytest.mark.feature("K-02")
def test_every_answer_carries_the_headers() -> None:
    answer = _ask(SafeHeaders(_application))
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= answer.headers.items()
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.feature("K-02")
def test_the_policy_lets_a_page_load_nothing_but_its_style() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
