# SPDX-License-Identifier: Apache-2.0
"""Sees to it that every unfinished job has one agents' process, whatever dies.

Without it a job would hang for ever when its agents are killed, or start them for ever when they cannot live.
What it must know is in the database: the queue says which jobs need a process, the job how often one ended
in vain. So a platform that was killed goes on where it stopped, and a platform that was stopped has counted
nothing against the job.

It runs in the one process that owns the store's folder; two supervisors on one store would start two
processes for a job, which costs time and, by the tickets' leases, nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import structlog

from enchanted.jobs import processes, records
from enchanted.jobs.launcher import Assignment, Launcher, LaunchError
from enchanted.jobs.lifecycle import QUEUE_NAME
from enchanted.jobs.model import restart_delay_seconds
from enchanted.jobs.processes import Standing
from enchanted.jobs.requests import Call
from enchanted.keyspace import (
    JOB_SCOPES,
    HubSpace,
    Keyspace,
    KeyspaceError,
    Principal,
    TenantId,
    TenantSpace,
    TipWatcher,
    Transaction,
    new_id,
    queue,
)

TOKEN_SECONDS: Final = 24 * 3600
JOBS_AT_ONCE_MAX: Final = 4
_LOOK_AGAIN_SECONDS: Final = 30.0
_LEAVE_SECONDS: Final = 5.0
_OUR_FAULT_SECONDS: Final = 10.0
_TENANTS_PER_BUCKET: Final = 64
_JOBS_PER_TENANT: Final = 64

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class JobTokens(Protocol):
    """Signs tokens for agents' processes; ``identity.TokenSigner`` is one."""

    def job_token(self, principal: Principal, lifetime_seconds: int) -> str:
        """A token that stands for the principal."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a supervisor needs from its process.

    Attributes:
        hub: Address of the gRPC services, for the agents.
        suite_seconds: Most that one run of a repository's tests may take, for the agents.
        principal_of: The platform's own principal in a tenant.
        now_us: UTC microseconds since 1970.
        sleep: Waits so many seconds.
        random_bytes: Randomness, for ids.
    """

    hub: str
    suite_seconds: int
    principal_of: Callable[[TenantId], Principal]
    now_us: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    random_bytes: Callable[[int], bytes]


class Supervisor:
    """Starts, watches and ends agents' processes."""

    def __init__(
        self,
        keyspace: Keyspace,
        watcher: TipWatcher,
        launcher: Launcher,
        tokens: JobTokens,
        surroundings: Surroundings,
        jobs_at_once_max: int = JOBS_AT_ONCE_MAX,
    ) -> None:
        """Supervise the jobs of a store.

        Args:
            keyspace: The database.
            watcher: Shared by all rooms of the process.
            launcher: Where processes run.
            tokens: Signs what the processes show.
            surroundings: What else it needs.
            jobs_at_once_max: How many processes run at a time; other jobs wait in the queue.
        """
        self._keyspace = keyspace
        self._watcher = watcher
        self._launcher = launcher
        self._tokens = tokens
        self._around = surroundings
        self._jobs_at_once_max = jobs_at_once_max
        self._tending: dict[tuple[TenantId, str], asyncio.Task[None]] = {}
        self._look_again = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Supervise until stopped or cancelled; then no process is left."""
        hub = await self._keyspace.hub()
        watching = asyncio.create_task(self._watch_queues(hub))
        try:
            while not self._stopping:
                self._look_again.clear()
                await self._despite_faults(self._look(hub))
                await self._look_again.wait()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self.stop()

    async def stop(self) -> None:
        """End all processes, within a second; their jobs stay as they are and go on another time."""
        self._stopping = True
        self._look_again.set()
        tasks = list(self._tending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch_queues(self, hub: HubSpace) -> None:
        """Have the queues looked at when one changed, and now and then anyway."""
        tip = b""
        while True:
            self._look_again.set()
            wait = self._watcher.wait(hub, records.WORK_TIP, (), tip, _LOOK_AGAIN_SECONDS)
            tip = await self._despite_faults(wait) or b""

    async def _look(self, hub: HubSpace) -> None:
        """Tend the jobs that nobody tends, as far as there are places."""
        for tenant in await self._keyspace.run(hub, _tenants_with_jobs):
            space = await self._keyspace.space(self._around.principal_of(tenant))
            for job_id in await self._keyspace.run(space, records.queued_jobs, limit=_JOBS_PER_TENANT):
                place = (tenant, job_id)
                if self._stopping or len(self._tending) >= self._jobs_at_once_max:
                    return
                if place not in self._tending:
                    self._tending[place] = asyncio.create_task(self._tend(space, place))

    async def _despite_faults(self, step: Awaitable[T]) -> T | None:
        """Do a step; a database that is away for a while must not end supervision."""
        try:
            return await step
        except KeyspaceError as error:
            _log.error("the jobs' queues cannot be read; they are read again soon", exc_info=error)
            await self._around.sleep(_OUR_FAULT_SECONDS)
            self._look_again.set()
            return None

    async def _tend(self, space: TenantSpace, place: tuple[TenantId, str]) -> None:
        try:
            await self._keep_running(space, place[1])
        except Exception as error:  # noqa: BLE001 - one job's trouble must not end the others' supervisor
            _log.error("a job could not be tended; it is tried again", job=place[1], exc_info=error)
            await self._around.sleep(_OUR_FAULT_SECONDS)
        finally:
            del self._tending[place]
            self._look_again.set()

    async def _keep_running(self, space: TenantSpace, job_id: str) -> None:
        """Start the job's process, again and again, until the job has ended."""
        while True:
            standing = await self._keyspace.run(space, processes.process_starts, self._call(), job_id)
            if standing.ended:
                return
            ending = await self._run_process(space, job_id, standing)
            if ending is None:
                return
            _log.warning("an agents' process ended", job=job_id, ending=ending)
            standing = await self._keyspace.run(space, processes.process_exited, self._call(), job_id, ending)
            if standing.ended:
                return
            await self._around.sleep(restart_delay_seconds(standing.exits_without_progress))

    async def _run_process(self, space: TenantSpace, job_id: str, standing: Standing) -> str | None:
        """How the process ended by itself, or ``None`` if the job ended before."""
        try:
            process = await self._launcher.launch(self._assignment(space, job_id, standing.project_id))
        except LaunchError as error:
            return str(error)
        exited = asyncio.create_task(process.wait())
        job_ended = asyncio.create_task(self._until_ended(space, job_id, standing))
        try:
            await asyncio.wait({exited, job_ended}, return_when=asyncio.FIRST_COMPLETED)
            if job_ended.done():
                job_ended.result()
                await asyncio.wait({exited}, timeout=_LEAVE_SECONDS)
                return None
            return exited.result()
        finally:
            job_ended.cancel()
            await process.stop()
            await asyncio.gather(exited, job_ended, return_exceptions=True)

    async def _until_ended(self, space: TenantSpace, job_id: str, standing: Standing) -> None:
        while not standing.ended:
            await self._watcher.wait(space, records.JOB_TIP, (job_id,), standing.tip, _LOOK_AGAIN_SECONDS)
            standing = await self._keyspace.run(space, processes.standing, job_id)

    def _assignment(self, space: TenantSpace, job_id: str, project_id: str) -> Assignment:
        agents = Principal(space.tenant, f"agents:{job_id}", JOB_SCOPES, job_id)
        token = self._tokens.job_token(agents, TOKEN_SECONDS)
        return Assignment(self._around.hub, self._around.suite_seconds, job_id, project_id, token)

    def _call(self) -> Call:
        now_us = self._around.now_us()
        return Call(new_id("req", now_us, self._around.random_bytes), b"supervisor", now_us)


def _tenants_with_jobs(tr: Transaction, hub: HubSpace) -> list[TenantId]:
    """Which tenants have jobs that need a process. By snapshot."""
    found = [
        queue.tenants_with_work(tr, hub, QUEUE_NAME, bucket, limit=_TENANTS_PER_BUCKET)
        for bucket in range(queue.BUCKETS)
    ]
    return [tenant for bucket in found for tenant in bucket]
