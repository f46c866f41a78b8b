# SPDX-License-Identifier: Apache-2.0
"""Every failure of a page as a page: what it is, and what to do.

A traceback in a browser tells a stranger about our insides and a friend nothing; and a caller's fault that is
answered as ours sends people to a log that says nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import grpc
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from jinja2 import Environment
from starlette.exceptions import HTTPException

from enchanted.rpc import CallError

_log = structlog.get_logger(__name__)
_STATUSES: Final = {
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: HTTPStatus.SERVICE_UNAVAILABLE,
}
_HINTS: Final = {
    HTTPStatus.NOT_FOUND: "The address may be mistyped, or another hub's; the first page lists all there is.",
    HTTPStatus.BAD_REQUEST: "A moment is a time, a place, an event, a commit or an age such as -5m.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Load the page again in a moment.",
    HTTPStatus.TOO_MANY_REQUESTS: "Load the page again in a moment.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The log of the hub, logs/hub.log in its folder, says more.",
}


def install(app: FastAPI, environment: Environment) -> None:
    """Answer all failures of an application with pages."""

    def page(status: HTTPStatus, detail: str) -> Response:
        text = environment.get_template("problem.html").render(
            title=status.phrase, detail=detail, hint=_HINTS.get(status, "")
        )
        return HTMLResponse(text, status_code=status)

    async def call_failed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, CallError), "registered for this class"
        status = _STATUSES.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("a page could not be made", code=error.code.name, exc_info=error)
        return page(status, error.message)

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException), "registered for this class"
        status = HTTPStatus(error.status_code)
        nothing = "There is nothing at this address."
        return page(status, nothing if status is HTTPStatus.NOT_FOUND else status.description)

    async def invalid(_request: Request, _error: Exception) -> Response:
        return page(HTTPStatus.BAD_REQUEST, "A part of the address cannot be read.")

    async def our_fault(_request: Request, error: Exception) -> Response:
        _log.error("a page failed by our fault", exc_info=error)
        return page(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side.")

    app.add_exception_handler(CallError, call_failed)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, our_fault)
