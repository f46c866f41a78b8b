# SPDX-License-Identifier: Apache-2.0
"""One process's workspace, with what tests do to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from enchanted import history, rpc
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.workspace.v1 import workspace_pb2 as api
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.keyspace import (
    JOB_SCOPES,
    LOCAL_TENANT,
    OWNER_SCOPES,
    Keyspace,
    Principal,
    TenantId,
    TenantSpace,
)
from enchanted.workspace import (
    ERRORS,
    FileChange,
    Head,
    ObjectCache,
    PreparedCommit,
    advance,
    pack_source,
    prepare_commit,
    read_head,
)
from enchanted.workspace.client import WorkspaceClient
from enchanted.workspace.service import WorkspaceService

OWNER = Principal(LOCAL_TENANT, "owner", OWNER_SCOPES)
JOB = Principal(LOCAL_TENANT, "agents", JOB_SCOPES, job="job_1")
STRANGER = Principal(TenantId("other"), "stranger", OWNER_SCOPES)
CODER = "Coder <coder@enchanted.local>"
MINUTE_US = 60_000_000

RunGit = Callable[..., str]
PRINCIPALS = {"owner": OWNER, "job": JOB, "stranger": STRANGER}


class Tokens:
    def authenticate(self, token: str) -> Principal:
        try:
            return PRINCIPALS[token]
        except KeyError as error:
            raise rpc.UnauthenticatedError("this token is not known") from error


class Clock:
    """UTC microseconds that go on only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z

    def __call__(self) -> int:
        return self.now

    def wait(self, microseconds: int) -> None:
        self.now += microseconds


class Workspace:
    """One process's workspace, with what tests do to it."""

    def __init__(self, keyspace: Keyspace, space: TenantSpace, folder: Path) -> None:
        self.keyspace = keyspace
        self.space = space
        self.folder = folder
        self.clock = Clock()
        self.cache = ObjectCache()
        self._count = 0
        self.service = WorkspaceService(keyspace, self.clock, cache=self.cache)
        self._server = rpc.InProcessServer(rpc.interceptors(Tokens(), ERRORS))
        self.register(self._server)

    def register(self, server: Any) -> None:
        workspace_pb2_grpc.add_WorkspaceServicer_to_server(self.service, server)

    def channel(self, who: str = "owner") -> rpc.InProcessChannel:
        return rpc.InProcessChannel(self._server, who)

    def client(self, who: str = "owner") -> WorkspaceClient:
        return WorkspaceClient(self.channel(who))

    async def take(
        self, source: Path | str, name: str = "", request_id: str = ""
    ) -> api.ImportProjectResponse:
        """Pack and import."""
        self._count += 1
        packed = await pack_source(str(source), self.folder / f"pack-{self._count}", lambda _: None)
        request_id = request_id or f"request-{self._count}"
        return await self.client().import_project(packed, request_id=request_id, name=name)

    async def head(self, project_id: str) -> Head:
        found = await self.keyspace.run(self.space, read_head, project_id)
        assert found is not None
        return found

    async def change(self, project_id: str, *changes: FileChange, event_id: str = "") -> PreparedCommit:
        """Prepare a commit and move the head to it, with its event, as jobs do."""
        self._count += 1
        base = await self.head(project_id)
        prepared = await prepare_commit(
            self.keyspace,
            self.space,
            project_id,
            base,
            changes,
            author=CODER,
            message=f"Change {self._count}",
            now_us=self.clock(),
        )
        event = timeline_event(project_id, prepared, event_id or f"evt_{self._count}", self.clock())
        await self.keyspace.run(self.space, advance_and_tell, project_id, prepared, event)
        return prepared


def advance_and_tell(
    tr: object, space: TenantSpace, project_id: str, prepared: PreparedCommit, event: events.SwarmEvent
) -> None:
    advance(tr, space, project_id, prepared, event_id=event.event_id)
    history.append(tr, space, project_id, event)


def timeline_event(
    project_id: str, prepared: PreparedCommit, event_id: str, now_us: int
) -> events.SwarmEvent:
    event = events.SwarmEvent(
        event_id=event_id,
        agent_role=events.AGENT_ROLE_CODER,
        project_id=project_id,
        state_change=events.StateChange(
            target_type=history.TIMELINE,
            target_resource="main",
            previous_tree=prepared.base.tree,
            new_tree=prepared.head.tree,
            commit_id=prepared.head.commit,
            previous_state_hash=prepared.previous_state_hash,
            new_state_hash=prepared.new_state_hash,
        ),
    )
    event.timestamp.FromMicroseconds(now_us)
    return event
