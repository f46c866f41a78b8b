# SPDX-License-Identifier: Apache-2.0
"""Git over HTTP: a project, now or as it was at any moment, is a repository to clone.

``/TENANT/PROJECT`` is the project by name or id, ``/TENANT/PROJECT@MOMENT`` the same as it was then; ``.git``
may follow. Git's "smart" protocol over HTTP (https://git-scm.com/docs/http-protocol), reading only. It is a
WSGI application, for whose threads the blocking calls below are meant; answers are generators, so that a
large clone is streamed at the pace of whoever reads it.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import parse_qs

from enchanted.keyspace import Keyspace, KeyspaceError, Principal, Scope, TenantSpace, Transaction
from enchanted.rpc import UnauthenticatedError
from enchanted.workspace import moments, records, upload_pack
from enchanted.workspace.access import MayRead, deny_jobs
from enchanted.workspace.model import (
    Moment,
    ObjectId,
    ProjectNotFoundError,
    WorkspaceError,
)
from enchanted.workspace.object_store import ObjectCache, ObjectStore
from enchanted.workspace.objects import parse_id

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

BODY_BYTES_MAX: Final = 32 << 20
_PATH: Final = re.compile(
    r"/(?P<tenant>[^/]+)/(?P<repository>[^/]+)/(?P<service>info/refs|git-upload-pack|git-receive-pack)"
)
_UPLOAD: Final = "git-upload-pack"
_NO_CACHE: Final = ("Cache-Control", "no-cache, max-age=0, must-revalidate")
_NO_PUSH: Final = "this hub does not take pushes; its agents change the project, export their work as a patch"

Authenticate = Callable[["WSGIEnvironment"], Principal | None]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A repository that a caller may read: a project at a moment."""

    space: TenantSpace
    project_id: str
    head: ObjectId


class _AnswerError(Exception):
    """Ends a request with a status and a line of text."""

    def __init__(self, status: str, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


def git_application(
    keyspace: Keyspace,
    authenticate: Authenticate,
    *,
    now_us: Callable[[], int],
    may_read: MayRead = deny_jobs,
    cache: ObjectCache | None = None,
) -> WSGIApplication:
    """A WSGI application to be mounted where repositories are served.

    Args:
        keyspace: The database.
        authenticate: Who asks, from the request's environment; ``None`` if that tells of nobody known.
        now_us: UTC microseconds, for moments such as ``-5m``.
        may_read: Whether a principal of the tenant may read a project.
        cache: Opened objects, to be shared with the service; one of its own if ``None``.
    """
    return _GitApplication(keyspace, authenticate, now_us, may_read, cache or ObjectCache())


class _GitApplication:
    def __init__(
        self,
        keyspace: Keyspace,
        authenticate: Authenticate,
        now_us: Callable[[], int],
        may_read: MayRead,
        cache: ObjectCache,
    ) -> None:
        self._keyspace = keyspace
        self._authenticate = authenticate
        self._now_us = now_us
        self._may_read = may_read
        self._cache = cache

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            kind, body = self._answer(environ)
        except _AnswerError as error:
            headers = [("Content-Type", "text/plain; charset=utf-8"), _NO_CACHE, *error.headers]
            start_response(error.status, headers)
            return [f"{error}\n".encode()]
        start_response("200 OK", [("Content-Type", f"application/x-git-upload-pack-{kind}"), _NO_CACHE])
        return body

    def _answer(self, environ: WSGIEnvironment) -> tuple[str, Iterator[bytes]]:
        path = _PATH.fullmatch(_text(environ.get("PATH_INFO", "")))
        if path is None:
            raise _AnswerError("404 Not Found", "a repository's address is /git/TENANT/PROJECT[@MOMENT]")
        opened = self._opened(environ, path["tenant"], path["repository"])
        service = path["service"]
        if service == "info/refs":
            service = parse_qs(str(environ.get("QUERY_STRING", ""))).get("service", [""])[0]
        if service == "git-receive-pack":
            raise _AnswerError("403 Forbidden", _NO_PUSH)
        if service != _UPLOAD:
            raise _AnswerError("403 Forbidden", "use a version of Git that speaks its smart HTTP protocol")
        method = environ.get("REQUEST_METHOD")
        if path["service"] == "info/refs" and method == "GET":
            return "advertisement", upload_pack.advertisement(opened.head)
        if path["service"] != "info/refs" and method == "POST":
            return "result", self._fetch(opened, _body(environ))
        raise _AnswerError("405 Method Not Allowed", "this address does not take this method")

    def _fetch(self, opened: _Opened, body: bytes) -> Iterator[bytes]:
        store = ObjectStore(self._keyspace, opened.space, opened.project_id, self._cache)

        def are_states(commits: set[ObjectId]) -> set[ObjectId]:
            return self._keyspace.transact(opened.space, records.are_states, opened.project_id, commits)

        try:
            request = upload_pack.parse_request(body)
        except upload_pack.FetchRefusedError as error:
            raise _AnswerError("400 Bad Request", str(error)) from error
        return upload_pack.answer(store, opened.head, request, are_states)

    def _opened(self, environ: WSGIEnvironment, tenant: str, repository: str) -> _Opened:
        caller = self._caller(environ)
        if caller.tenant != tenant:
            raise _AnswerError("403 Forbidden", "the token is for another tenant")
        if Scope.WORKSPACE_READ not in caller.scopes:
            raise _AnswerError("403 Forbidden", "the token does not have the scope workspace:read")
        name, _, moment = repository.removesuffix(".git").partition("@")
        try:
            named = moments.parse_moment(moment, self._now_us())
            space = asyncio.run(self._keyspace.space(caller))
            project_id, found = self._keyspace.transact(space, _find, name, named, moment)
        except ProjectNotFoundError as error:
            raise _AnswerError("404 Not Found", str(error)) from error
        except WorkspaceError as error:
            raise _AnswerError("404 Not Found", f"{error} ('{moment}')") from error
        except KeyspaceError as error:
            raise _AnswerError("503 Service Unavailable", str(error)) from error
        if not asyncio.run(_allowed(self._may_read, caller, project_id)):
            raise _AnswerError("403 Forbidden", "this token may reach only the project of its own job")
        return _Opened(space, project_id, parse_id(found.state.head.commit))

    def _caller(self, environ: WSGIEnvironment) -> Principal:
        try:
            caller = self._authenticate(environ)
        except UnauthenticatedError:
            caller = None
        if caller is None:
            challenge = ("WWW-Authenticate", 'Basic realm="Enchanted", charset="UTF-8"')
            raise _AnswerError("401 Unauthorized", "a token is needed", challenge)
        return caller


async def _allowed(may_read: MayRead, caller: Principal, project_id: str) -> bool:
    return await may_read(caller, project_id)


def _find(
    tr: Transaction, space: TenantSpace, name: str, named: moments.Named, text: str
) -> tuple[str, Moment]:
    project_id = records.find_project(tr, space, name).project_id
    return project_id, moments.resolve(tr, space, project_id, named, text=text)


def _text(wsgi: Any) -> str:  # noqa: ANN401 - WSGI's own "bytes as Latin-1 text"
    return str(wsgi).encode("latin-1").decode("utf-8", "replace")


def _body(environ: WSGIEnvironment) -> bytes:
    """The request's body, unzipped.

    Raises:
        _AnswerError: If it is not a body of this protocol, or too large.
    """
    if environ.get("CONTENT_TYPE") != f"application/x-{_UPLOAD}-request":
        raise _AnswerError("415 Unsupported Media Type", "this address takes requests of the Git program")
    stream: BinaryIO = environ["wsgi.input"]
    length = str(environ.get("CONTENT_LENGTH") or "")
    # Without a length a server may end the stream itself (a2wsgi does), or may block for ever (wsgiref).
    if not length and "asgi.scope" not in environ and not environ.get("wsgi.input_terminated"):
        raise _AnswerError("411 Length Required", "the request does not say how long it is")
    try:
        body = stream.read(min(int(length), BODY_BYTES_MAX + 1) if length else BODY_BYTES_MAX + 1)
        if len(body) <= BODY_BYTES_MAX and environ.get("HTTP_CONTENT_ENCODING") in {"gzip", "x-gzip"}:
            body = _unzipped(body)
    except (ValueError, zlib.error) as error:
        raise _AnswerError("400 Bad Request", "the request cannot be read") from error
    if len(body) > BODY_BYTES_MAX:
        raise _AnswerError("413 Content Too Large", "the request is too large")
    return body


def _unzipped(body: bytes) -> bytes:
    """At most one byte more than is allowed."""
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(body, BODY_BYTES_MAX + 1)
