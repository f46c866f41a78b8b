# SPDX-License-Identifier: Apache-2.0
"""The application: pages, style sheet, health and Git under one roof, with one answer to every failure.

Until there is sign-in, whoever can connect to this machine's own address may read; so a request that comes
without a token is answered as a reader, and only if it asks to read. An agent that fetches the project says
who it is by its job's token; the Git application that is mounted here checks it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from enchanted.gateway import pages, problems, security
from enchanted.gateway.rendering import templates
from enchanted.gateway.rooms import Rooms

GIT_PATH: Final = "/git"
GIT_THREADS: Final = 8
_STATIC: Final = Path(__file__).parent / "static"
WSGIApplication = Callable[[Any, Any], Any]


def create_app(rooms: Rooms, git: WSGIApplication, port: int) -> ASGIApp:
    """The whole gateway as an ASGI application.

    Args:
        rooms: Clients that hold a reader's token.
        git: Git over HTTP, mounted at ``/git``; it authenticates by itself.
        port: The port it will be served at, which every request must name.
    """
    app = FastAPI(title="Enchanted", openapi_url=None, docs_url=None, redoc_url=None)
    environment = templates()
    problems.install(app, environment)
    app.include_router(pages.router(rooms, environment, f"http://127.0.0.1:{port}{GIT_PATH}"))
    app.add_api_route("/healthz", _healthy, methods=["GET", "HEAD"], response_class=PlainTextResponse)
    app.mount("/static", StaticFiles(directory=_STATIC))
    app.mount(GIT_PATH, cast("ASGIApp", WSGIMiddleware(git, workers=GIT_THREADS)))
    reading = security.ReadOnly(app, but_for=f"{GIT_PATH}/")
    return security.OwnName(security.SafeHeaders(reading), port)


async def _healthy() -> str:
    return "ok\n"
