# SPDX-License-Identifier: Apache-2.0
"""The gRPC face of the workspace: imports, projects, moments, checkouts, diffs, verification.

Requests name a project by id or name. What blocks runs in threads; what is large is streamed in pieces, as
fast as it is taken.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from enchanted.generated.workspace.v1 import workspace_pb2 as api
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.history import HistoryError, Place
from enchanted.keyspace import Keyspace, TenantSpace, Transaction
from enchanted.rpc import InvalidRequestError, principal
from enchanted.workspace import importing, moments, records
from enchanted.workspace.access import MayRead, deny_jobs
from enchanted.workspace.checkouts import checkout_pieces
from enchanted.workspace.diffs import diff
from enchanted.workspace.importing import ImportOrder
from enchanted.workspace.model import (
    PACK_BYTES_MAX,
    Head,
    InvalidPackError,
    Moment,
    PackTooLargeError,
    PageTokenError,
    Project,
    ProjectForbiddenError,
    State,
    check_name,
)
from enchanted.workspace.object_store import ObjectCache, ObjectStore
from enchanted.workspace.objects import parse_id
from enchanted.workspace.verification import verify_project

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1000
IMPORTS_MAX: Final = 2
VERIFICATIONS_MAX: Final = 2
_REQUEST_ID_CHARACTERS_MAX: Final = 128
_SOURCE_CHARACTERS_MAX: Final = 2000
_Context = Any


class WorkspaceService(workspace_pb2_grpc.WorkspaceServicer):
    """Serves the projects of the caller's tenant."""

    def __init__(
        self,
        keyspace: Keyspace,
        now_us: Callable[[], int],
        *,
        may_read: MayRead = deny_jobs,
        cache: ObjectCache | None = None,
    ) -> None:
        self._keyspace = keyspace
        self._now_us = now_us
        self._may_read = may_read
        self._cache = cache or ObjectCache()
        self._imports = asyncio.Semaphore(IMPORTS_MAX)
        self._verifications = asyncio.Semaphore(VERIFICATIONS_MAX)

    async def ImportProject(
        self,
        request_iterator: AsyncIterator[api.ImportProjectRequest],
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.ImportProjectResponse:
        """Make a project of a pack, or answer the one that has this name and content."""
        caller = principal()
        if caller.job is not None:
            raise ProjectForbiddenError("")
        order = _order(await _header(request_iterator), caller.subject, self._now_us())
        space = await self._keyspace.space(caller)
        imported = await self._keyspace.run(space, importing.earlier_import, order)
        if imported is None:
            async with self._imports:
                imported = await self._import(space, order, request_iterator)
        project = await self._keyspace.run(space, _with_head, imported.project)
        return api.ImportProjectResponse(project=project, existed=imported.existed)

    async def ListProjects(
        self,
        request: api.ListProjectsRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.ListProjectsResponse:
        """A page of projects in the order of their creation: 100 unless asked otherwise, at most 1,000."""
        caller = principal()
        space = await self._keyspace.space(caller)
        limit = _page_size(request.page_size)
        after = _place_of_token(request.page_token)
        rows = await self._keyspace.run(space, records.projects_after, after, limit=limit)
        shown = [project for _, project in rows if await self._may_read(caller, project.project_id)]
        projects = [await self._keyspace.run(space, _with_head, project) for project in shown]
        token = _token(rows[-1][0]) if len(rows) == limit else ""
        return api.ListProjectsResponse(projects=projects, next_page_token=token)

    async def GetProject(
        self,
        request: api.GetProjectRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.GetProjectResponse:
        """One project by id or name."""
        space, project = await self._opened(request.project)
        return api.GetProjectResponse(project=await self._keyspace.run(space, _with_head, project))

    async def ResolveMoment(
        self,
        request: api.ResolveMomentRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.ResolveMomentResponse:
        """The place in history that a text names, and the state in effect there."""
        space, project = await self._opened(request.project_id)
        return api.ResolveMomentResponse(moment=_moment(await self._resolved(space, project, request.text)))

    async def ListMoments(
        self,
        request: api.ListMomentsRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.ListMomentsResponse:
        """A page of the moments at which the state changed, newest first."""
        space, project = await self._opened(request.project_id)
        limit = _page_size(request.page_size)
        beyond = _place_of_token(request.page_token)
        found = await self._keyspace.run(
            space, records.states, project.project_id, beyond=beyond, limit=limit
        )
        token = _token(found[-1].place) if len(found) == limit else ""
        listed = [_moment(Moment(state.place, state)) for state in found]
        return api.ListMomentsResponse(moments=listed, next_page_token=token)

    async def Checkout(
        self,
        request: api.CheckoutRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> AsyncIterator[api.CheckoutResponse]:
        """Every file of the state at a moment, in the order of their paths."""
        space, project = await self._opened(request.project_id)
        moment = await self._resolved(space, project, request.at)
        store = self._store(space, project)
        async for piece in checkout_pieces(store, parse_id(moment.state.head.tree)):
            yield piece

    async def Diff(
        self,
        request: api.DiffRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> AsyncIterator[api.DiffResponse]:
        """The patch between two moments: from the import, and to now, unless said otherwise."""
        space, project = await self._opened(request.project_id)
        old = await self._keyspace.run(space, moments.first_state, project.project_id)
        if request.from_moment:
            old = (await self._resolved(space, project, request.from_moment)).state
        new = (await self._resolved(space, project, request.to_moment)).state
        store = self._store(space, project)
        patch = diff(store, parse_id(old.head.tree), parse_id(new.head.tree))
        async with contextlib.aclosing(patch) as pieces:
            async for piece in pieces:
                yield api.DiffResponse(patch=piece)

    async def VerifyProject(
        self,
        request: api.VerifyProjectRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.VerifyProjectResponse:
        """Check every object and every state of a project; two at a time in a process, others wait."""
        space, project = await self._opened(request.project_id)
        async with self._verifications:
            checks = await asyncio.to_thread(verify_project, self._keyspace, space, project.project_id)
        return api.VerifyProjectResponse(checks=checks)

    async def _import(
        self, space: TenantSpace, order: ImportOrder, requests: AsyncIterator[api.ImportProjectRequest]
    ) -> importing.Imported:
        with tempfile.TemporaryDirectory(prefix="enchanted-import-", ignore_cleanup_errors=True) as folder:
            pack = Path(folder) / "pack"
            await _receive(requests, pack)
            return await asyncio.to_thread(importing.import_pack, self._keyspace, space, order, pack)

    async def _opened(self, text: str) -> tuple[TenantSpace, Project]:
        """The project that is named, if the caller may read it."""
        caller = principal()
        space = await self._keyspace.space(caller)
        project = await self._keyspace.run(space, records.find_project, text)
        if not await self._may_read(caller, project.project_id):
            raise ProjectForbiddenError(text)
        return space, project

    async def _resolved(self, space: TenantSpace, project: Project, text: str) -> Moment:
        named = moments.parse_moment(text, self._now_us())
        return await self._keyspace.run(space, moments.resolve, project.project_id, named, text=text)

    def _store(self, space: TenantSpace, project: Project) -> ObjectStore:
        return ObjectStore(self._keyspace, space, project.project_id, self._cache)


async def _header(requests: AsyncIterator[api.ImportProjectRequest]) -> api.ImportHeader:
    async for request in requests:
        if request.WhichOneof("part") == "header":
            return request.header
        break
    raise InvalidRequestError("the first message of an import is its header")


def _order(header: api.ImportHeader, user_id: str, now_us: int) -> ImportOrder:
    check_name(header.name)
    if not 0 < len(header.request_id) <= _REQUEST_ID_CHARACTERS_MAX:
        raise InvalidRequestError("request_id must have 1 to 128 characters")
    try:
        parse_id(header.commit)
    except ValueError as error:
        raise InvalidRequestError("commit must be the 40 hexadecimal digits of a Git commit") from error
    source = header.source[:_SOURCE_CHARACTERS_MAX]
    return ImportOrder(header.request_id, header.name, source, header.commit.lower(), user_id, now_us)


async def _receive(requests: AsyncIterator[api.ImportProjectRequest], pack: Path) -> None:
    size_bytes = 0
    with pack.open("wb") as file:
        async for request in requests:
            if request.WhichOneof("part") != "pack":
                raise InvalidRequestError("after the header, every message carries a part of the pack")
            size_bytes += len(request.pack)
            if size_bytes > PACK_BYTES_MAX:
                raise PackTooLargeError("the repository's pack is larger than 512 MiB", PACK_BYTES_MAX)
            await asyncio.to_thread(file.write, request.pack)
    if not size_bytes:
        raise InvalidPackError("no pack was sent")


def _with_head(tr: Transaction, space: TenantSpace, project: Project) -> api.Project:
    head = records.read_head(tr, space, project.project_id) or Head("", "")
    return api.Project(
        project_id=project.project_id,
        name=project.name,
        created_time=_timestamp(project.created_time_us),
        source=project.source,
        imported_commit=project.imported_commit,
        imported_tree=project.imported_tree,
        head_commit=head.commit,
        head_tree=head.tree,
    )


def _moment(moment: Moment) -> api.Moment:
    state: State = moment.state
    return api.Moment(
        incarnation=moment.place.incarnation,
        versionstamp=moment.place.versionstamp,
        time=_timestamp(state.time_us),
        event_id=state.event_id,
        tree=state.head.tree,
        commit=state.head.commit,
        root_versionstamp=state.place.versionstamp,
        root_incarnation=state.place.incarnation,
    )


def _timestamp(time_us: int) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMicroseconds(time_us)
    return timestamp


def _page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidRequestError("page_size must not be negative")
    return min(asked or PAGE_DEFAULT, PAGE_MAX)


def _token(place: Place) -> str:
    return base64.urlsafe_b64encode(place.to_bytes()).decode()


def _place_of_token(token: str) -> Place | None:
    if not token:
        return None
    try:
        return Place.from_bytes(base64.urlsafe_b64decode(token))
    except (HistoryError, binascii.Error, ValueError) as error:
        raise PageTokenError from error
