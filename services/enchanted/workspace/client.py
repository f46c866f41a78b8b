# SPDX-License-Identifier: Apache-2.0
"""The typed client of the workspace, the same over a socket and inside the process.

It hides page tokens and streams behind iterators, so that no caller forgets to go on; the messages are the
API's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import grpc

from enchanted.generated.history.v1.events_pb2 import Check
from enchanted.generated.workspace.v1 import workspace_pb2 as api
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.workspace.checkouts import CheckoutError, Landing
from enchanted.workspace.packing import PackedSource

__all__ = ["CheckoutError", "WorkspaceClient", "materialise"]

VERIFY_SECONDS_MAX: Final = 900.0
_PACK_PIECE_BYTES: Final = 1 << 20


class WorkspaceClient:
    """Calls the workspace over a channel of :mod:`enchanted.rpc`; refused calls raise ``CallError``.

    Wherever a project is asked for, its id and its name will do.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = workspace_pb2_grpc.WorkspaceStub(channel)

    async def import_project(
        self, packed: PackedSource, *, request_id: str, name: str = ""
    ) -> api.ImportProjectResponse:
        """Make a project of what :func:`enchanted.workspace.packing.pack_source` packed; at most 15 minutes.

        Args:
            packed: The pack and what it is.
            request_id: Made by the caller; the same again answers the same.
            name: For the project; the source's own if empty.
        """
        header = api.ImportHeader(
            request_id=request_id, name=name or packed.name, source=packed.source, commit=packed.commit
        )

        async def messages() -> AsyncIterator[api.ImportProjectRequest]:
            yield api.ImportProjectRequest(header=header)
            with packed.pack_path.open("rb") as file:
                while piece := await asyncio.to_thread(file.read, _PACK_PIECE_BYTES):
                    yield api.ImportProjectRequest(pack=piece)

        response: api.ImportProjectResponse = await self._stub.ImportProject(messages())
        return response

    async def list_projects(self, page_size: int = 0) -> AsyncIterator[api.Project]:
        """All projects in the order of their creation, a page at a time as they are asked for."""
        request = api.ListProjectsRequest(page_size=page_size)
        while True:
            response: api.ListProjectsResponse = await self._stub.ListProjects(request)
            for project in response.projects:
                yield project
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def get_project(self, project: str) -> api.Project:
        """One project."""
        response: api.GetProjectResponse = await self._stub.GetProject(api.GetProjectRequest(project=project))
        return response.project

    async def resolve_moment(self, project: str, text: str = "") -> api.Moment:
        """The moment that a text names; now, if it is empty."""
        response: api.ResolveMomentResponse = await self._stub.ResolveMoment(
            api.ResolveMomentRequest(project_id=project, text=text)
        )
        return response.moment

    async def list_moments(self, project: str, page_size: int = 0) -> AsyncIterator[api.Moment]:
        """The moments at which the state changed, newest first, a page at a time as they are asked for."""
        request = api.ListMomentsRequest(project_id=project, page_size=page_size)
        while True:
            response: api.ListMomentsResponse = await self._stub.ListMoments(request)
            for moment in response.moments:
                yield moment
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def checkout(self, project: str, at: str = "") -> AsyncIterator[api.CheckoutResponse]:
        """Every file of the state at a moment, in pieces; :func:`materialise` writes them to a folder."""
        async for piece in self._stub.Checkout(api.CheckoutRequest(project_id=project, at=at)):
            yield piece

    async def diff(self, project: str, from_moment: str = "", to_moment: str = "") -> AsyncIterator[bytes]:
        """A patch that `git apply` takes, in pieces; from the import and to now, if nothing else is said."""
        request = api.DiffRequest(project_id=project, from_moment=from_moment, to_moment=to_moment)
        async for piece in self._stub.Diff(request):
            yield piece.patch

    async def verify_project(self, project: str) -> Sequence[Check]:
        """Have every object and state checked; at most 15 minutes."""
        response: api.VerifyProjectResponse = await self._stub.VerifyProject(
            api.VerifyProjectRequest(project_id=project), timeout=VERIFY_SECONDS_MAX
        )
        return response.checks


async def materialise(client: WorkspaceClient, project: str, at: str, into: Path) -> None:
    """Write the state at a moment into a new or empty folder.

    Args:
        client: Reaches the hub.
        project: Its id or name.
        at: A moment; now, if empty.
        into: The folder; made if it is not there. Links are kept and never followed.

    Raises:
        CheckoutError: If the folder is not empty or cannot be written, or if a path would lead out of it.
        CallError: If the hub refuses.
    """
    landing = await asyncio.to_thread(Landing, into)
    try:
        async for piece in client.checkout(project, at):
            await asyncio.to_thread(landing.take, piece)
        await asyncio.to_thread(landing.finish)
    except OSError as error:
        raise CheckoutError(f"'{into}' cannot be written: {error.strerror}") from error
    finally:
        landing.close()
