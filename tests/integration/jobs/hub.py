# SPDX-License-Identifier: Apache-2.0
"""A hub of jobs on the embedded engine in memory, called through the interceptors that serve sockets too."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import grpc

from enchanted import history, identity, jobs, workspace
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.generated.jobs.v1 import jobs_pb2_grpc
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.jobs.client import JobsClient
from enchanted.jobs.processes import process_starts
from enchanted.jobs.requests import Call
from enchanted.keyspace import (
    JOB_SCOPES,
    LOCAL_TENANT,
    OWNER_SCOPES,
    Keyspace,
    Principal,
    TenantSpace,
    TipWatcher,
    Transaction,
)
from enchanted.rpc import InProcessChannel, InProcessServer, interceptors
from enchanted.workspace.service import WorkspaceService
from tests.integration.jobs.projects import import_project

OWNER = Principal(LOCAL_TENANT, "ada", OWNER_SCOPES)
OWNER_TOKEN = "the owner's"
START_US = 1_700_000_000_000_000
FILES = {"README.md": b"a project\n", "app.py": b"old = 1\n", "lib.py": b"old = 2\n"}


@dataclass
class Clock:
    """Time as the tests want it: both of a process's clocks."""

    now: int = START_US
    monotonic: float = 0.0

    def now_us(self) -> int:
        return self.now

    def monotonic_seconds(self) -> float:
        return self.monotonic

    def pass_seconds(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)
        self.monotonic += seconds


@dataclass
class Hub:
    """A served keyspace with one project."""

    keyspace: Keyspace
    space: TenantSpace
    clock: Clock
    signer: identity.TokenSigner
    verifier: identity.TokenVerifier
    watcher: TipWatcher
    server: InProcessServer = field(init=False)
    project_id: str = ""

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Serve anew: what the process remembered is gone, what it stored is there."""
        rules = {**history.ERRORS, **identity.ERRORS, **workspace.ERRORS, **jobs.ERRORS}
        self.server = InProcessServer(interceptors(self, rules))
        # It takes servicers as a grpc server does, and is none.
        registrar = cast("grpc.aio.Server", self.server)
        service = jobs.JobsService(
            self.keyspace, self.watcher, self.clock.now_us, self.clock.monotonic_seconds
        )
        jobs_pb2_grpc.add_JobsServicer_to_server(service, registrar)
        projects = WorkspaceService(self.keyspace, self.clock.now_us)
        workspace_pb2_grpc.add_WorkspaceServicer_to_server(projects, registrar)

    def authenticate(self, token: str) -> Principal:
        return OWNER if token == OWNER_TOKEN else self.verifier.verify(token)

    async def import_project(self, files: Mapping[str, bytes]) -> str:
        """A project of these files."""
        return await import_project(self.channel(OWNER_TOKEN), files)

    def channel(self, token: str) -> grpc.aio.Channel:
        return InProcessChannel(self.server, token)

    @property
    def owner(self) -> JobsClient:
        return JobsClient(self.channel(OWNER_TOKEN))

    def agents(self, job_id: str) -> JobsClient:
        """What the agents' process of a job has."""
        principal = Principal(LOCAL_TENANT, f"agents:{job_id}", JOB_SCOPES, job_id)
        return JobsClient(self.channel(self.signer.job_token(principal)))

    async def run_job(self) -> v1.Job:
        """A job whose agents' process was started."""
        job = await self.owner.run_job(self.project_id, "modernize")
        await self.start(job.job_id)
        return job

    async def start(self, job_id: str) -> None:
        call = Call(os.urandom(8).hex(), b"start", self.clock.now)
        await self.keyspace.run(self.space, process_starts, call, job_id)

    async def events(self) -> list[events.SwarmEvent]:
        """The project's history, oldest first."""
        recorded = await self.keyspace.run(
            self.space, history.events_after, self.project_id, None, limit=10_000
        )
        return [each.event for each in recorded]

    async def signals(self, ticket_id: str = "") -> list[str]:
        """States that the history tells of, of a ticket or of the job itself."""
        found = await self.events()
        return [
            event.system_signal.status
            for event in found
            if event.HasField("system_signal") and event.ticket_id == ticket_id
        ]

    async def head(self) -> workspace.Head:
        found = await self.keyspace.run(self.space, workspace.read_head, self.project_id)
        assert found is not None
        return found

    async def tickets(self, job_id: str) -> dict[str, v1.Ticket]:
        """A job's tickets by title."""
        return {ticket.title: ticket async for ticket in self.owner.list_tickets(job_id)}

    async def everything_stored(self) -> bytes:
        """All keys and values of the tenant."""
        return await self.keyspace.run(self.space, _everything)


def _everything(tr: Transaction, space: TenantSpace) -> bytes:
    pairs = tr.get_range(space.prefix, space.prefix + b"\xff")
    return b"".join(bytes(pair.key) + bytes(pair.value) for pair in pairs)
