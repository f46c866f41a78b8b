# SPDX-License-Identifier: Apache-2.0
"""Every unfinished job has one agents' process, whatever dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import AgentsProcess, Assignment, Launcher, LocalLauncher, Supervisor, Surroundings
from enchanted.jobs.launcher import LocalProcess
from enchanted.keyspace import JOB_SCOPES, LOCAL_TENANT, Keyspace, Principal, TenantId, TenantSpace, queue
from tests.integration.jobs.hub import OWNER, Hub
from tests.integration.jobs.stage import Stage
from tests.integration.jobs.work import ORCHESTRATOR, SCOUT, claim, plan, planned

pytestmark = pytest.mark.feature("E-09")


@dataclass
class Theatre:
    """A supervisor at work, its launcher, and how long it slept."""

    hub: Hub
    launcher: Launcher
    slept: list[float] = field(default_factory=list)

    def supervisor(self, jobs_at_once_max: int = 4) -> Supervisor:
        return Supervisor(
            self.hub.keyspace,
            self.hub.watcher,
            self.launcher,
            self.hub.signer,
            Surroundings(
                hub="unix:/hub",
                suite_seconds=300,
                principal_of=self._principal_of,
                now_us=self.hub.clock.now_us,
                sleep=self._sleep,
                random_bytes=os.urandom,
            ),
            jobs_at_once_max,
        )

    async def until_ended(self, job_id: str) -> v1.Job:
        """The job, when it has ended."""
        agents = self.hub.agents(job_id)
        while True:
            answer = await agents.claim_ticket(job_id, "watcher", [SCOUT], wait_milliseconds=10_000)
            if answer.job_state not in {v1.JOB_STATE_QUEUED, v1.JOB_STATE_RUNNING}:
                return await self.hub.owner.get_job(job_id)

    def _principal_of(self, tenant: TenantId) -> Principal:
        assert tenant == LOCAL_TENANT
        return OWNER

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def at_work(supervisor: Supervisor) -> AsyncIterator[None]:
    running = asyncio.create_task(supervisor.run())
    try:
        yield
    finally:
        await supervisor.stop()
        await running


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def theatre(hub: Hub, stage: Stage) -> Theatre:
    return Theatre(hub, stage)


async def test_a_queued_job_gets_a_process_with_a_token_for_it_alone(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    async with at_work(theatre.supervisor()):
        job = await hub.owner.run_job(hub.project_id, "modernize")
        assignment = (await stage.launched()).assignment

        assert (assignment.job_id, assignment.project_id) == (job.job_id, hub.project_id)
        assert (assignment.hub, assignment.suite_seconds) == ("unix:/hub", 300)
        agents = hub.verifier.verify(assignment.token)
        assert (agents.tenant, agents.scopes, agents.job) == (LOCAL_TENANT, JOB_SCOPES, job.job_id)
        started = await hub.owner.get_job(job.job_id)
        assert (started.state, started.starts) == (v1.JOB_STATE_RUNNING, 1)


async def test_a_job_queued_before_the_supervisor_began_is_found(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")
    async with at_work(theatre.supervisor()):
        assert (await stage.launched()).assignment.job_id == job.job_id


async def test_a_process_that_dies_is_started_again_later_each_time(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")
    async with at_work(theatre.supervisor()):
        for _ in range(4):
            (await stage.launched()).exit("killed by SIGKILL")
        await stage.launched()

    assert theatre.slept == [0.5, 1.0, 2.0, 4.0]
    assert (await hub.owner.get_job(job.job_id)).starts == 5
    assert (await hub.signals()).count("STOPPED") == 4


async def test_a_real_process_that_is_killed_is_started_again(hub: Hub, tmp_path: Path) -> None:
    launched: asyncio.Queue[LocalProcess] = asyncio.Queue()

    class Watched(LocalLauncher):
        async def launch(self, assignment: Assignment) -> AgentsProcess:
            process = await super().launch(assignment)
            assert isinstance(process, LocalProcess)
            launched.put_nowait(process)
            return process

    theatre = Theatre(hub, Watched(tmp_path, {}, (sys.executable, "-c", "import sys; sys.stdin.read()")))
    job = await hub.owner.run_job(hub.project_id, "modernize")
    async with at_work(theatre.supervisor()):
        first = await launched.get()
        os.kill(first.pid, signal.SIGKILL)
        second = await launched.get()

    assert second.pid != first.pid
    assert await second.wait() == "exit code 0"
    details = [event.system_signal.detail for event in await hub.events() if event.job_id == job.job_id]
    assert "killed by SIGKILL" in details


async def test_a_job_fails_when_its_process_dies_five_times_without_progress(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")
    async with at_work(theatre.supervisor()):
        for _ in range(5):
            (await stage.launched()).exit("exit code 3: install bubblewrap")
        ended = await theatre.until_ended(job.job_id)

    assert ended.state == v1.JOB_STATE_FAILED
    assert "5 times" in ended.reason
    assert ended.reason.endswith("exit code 3: install bubblewrap")
    assert stage.nothing_more_was_launched


async def test_a_finished_ticket_is_progress(theatre: Theatre, hub: Hub, stage: Stage) -> None:
    job_id = (await hub.owner.run_job(hub.project_id, "modernize")).job_id
    async with at_work(theatre.supervisor()):
        for _ in range(4):
            (await stage.launched()).exit("killed by SIGKILL")
        process = await stage.launched()
        await plan(hub.agents(job_id), job_id, planned("app.py"))
        process.exit("killed by SIGKILL")
        for _ in range(3):
            (await stage.launched()).exit("killed by SIGKILL")
        await stage.launched()

    assert (await hub.owner.get_job(job_id)).state == v1.JOB_STATE_RUNNING
    assert theatre.slept == [0.5, 1.0, 2.0, 4.0, 0.5, 1.0, 2.0, 4.0]


async def test_a_launcher_that_refuses_fails_the_job_with_its_reason(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    stage.refuses = True
    job = await hub.owner.run_job(hub.project_id, "modernize")
    async with at_work(theatre.supervisor()):
        ended = await theatre.until_ended(job.job_id)

    assert ended.state == v1.JOB_STATE_FAILED
    assert ended.reason.endswith(": there is no room")


async def test_cancelling_ends_the_process(theatre: Theatre, hub: Hub, stage: Stage) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")
    async with at_work(theatre.supervisor()):
        process = await stage.launched()
        await hub.owner.cancel_job(job.job_id, "enough")
        # A process leaves by itself once it hears of the end.
        process.exit("exit code 0")
        next_job = await hub.owner.run_job(hub.project_id, "modernize")
        assert (await stage.launched()).assignment.job_id == next_job.job_id

    assert process.stopped
    assert (await hub.owner.get_job(job.job_id)).state == v1.JOB_STATE_CANCELLED


async def test_stopping_ends_all_processes_and_counts_nothing_against_their_jobs(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")
    for _ in range(7):
        async with at_work(theatre.supervisor()):
            await stage.launched()

    assert all(process.stopped for process in stage.running)
    unfinished = await hub.owner.get_job(job.job_id)
    assert (unfinished.state, unfinished.starts) == (v1.JOB_STATE_RUNNING, 7)
    assert theatre.slept == []


async def test_a_job_goes_on_where_a_killed_platform_left_it(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    job_id = (await hub.owner.run_job(hub.project_id, "modernize")).job_id
    # Killed: neither the end of the process nor the holder's silence is recorded anywhere.
    await hub.start(job_id)
    old = await claim(hub.agents(job_id), job_id, ORCHESTRATOR)
    hub.restart()

    async with at_work(theatre.supervisor()):
        await stage.launched()
        new = await claim(hub.agents(job_id), job_id, ORCHESTRATOR)
    assert (new.ticket_id, new.fencing_token > old.fencing_token) == (old.ticket_id, True)


async def test_however_often_the_platform_stops_or_is_killed_a_job_loses_nothing_but_time(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    job_id = (await hub.owner.run_job(hub.project_id, "modernize")).job_id
    await hub.start(job_id)
    await plan(hub.agents(job_id), job_id, planned("app.py"))
    held = v1.Lease()
    for _ in range(10):
        async with at_work(theatre.supervisor()):
            await stage.launched()
            held = await claim(hub.agents(job_id), job_id, SCOUT)
        # Killed: the start is stored, and no end of it.
        await hub.start(job_id)
        await claim(hub.agents(job_id), job_id, SCOUT)
        hub.restart()

    async with at_work(theatre.supervisor()):
        await stage.launched()
        assert (await claim(hub.agents(job_id), job_id, SCOUT)).ticket_id == held.ticket_id
    assert (await hub.owner.get_job(job_id)).state == v1.JOB_STATE_RUNNING
    told = [event.system_signal for event in await hub.events() if event.ticket_id == held.ticket_id]
    assert [signal.detail for signal in told if signal.status == "LEASE_FREED"] == [
        f"the process of agent-{SCOUT} ended"
    ] * 20
    assert not any("silent" in signal.detail for signal in told)


async def test_agents_that_end_themselves_on_a_ticket_end_the_job(
    theatre: Theatre, hub: Hub, stage: Stage
) -> None:
    job_id = (await hub.owner.run_job(hub.project_id, "modernize")).job_id
    async with at_work(theatre.supervisor()):
        for _ in range(5):
            process = await stage.launched()
            await claim(hub.agents(job_id), job_id, ORCHESTRATOR)
            process.exit("killed by SIGKILL")
        ended = await theatre.until_ended(job_id)

    assert ended.state == v1.JOB_STATE_FAILED
    assert ended.reason.endswith("5 times without finishing a ticket, last: killed by SIGKILL")


async def test_more_jobs_than_places_wait_for_one_another(theatre: Theatre, hub: Hub, stage: Stage) -> None:
    other = await hub.import_project({"other.py": b"old = 3\n"})
    first = await hub.owner.run_job(hub.project_id, "modernize")
    hub.clock.pass_seconds(1)
    second = await hub.owner.run_job(other, "modernize")
    async with at_work(theatre.supervisor(jobs_at_once_max=1)):
        process = await stage.launched()
        assert process.assignment.job_id == first.job_id
        assert (await hub.owner.get_job(second.job_id)).state == v1.JOB_STATE_QUEUED
        await hub.owner.cancel_job(first.job_id, "")
        process.exit("exit code 0")
        assert (await stage.launched()).assignment.job_id == second.job_id


async def test_a_tenant_without_unfinished_jobs_is_not_looked_at(hub: Hub) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")
    busy = await tenants_with_jobs(hub.keyspace, hub.space)
    await hub.owner.cancel_job(job.job_id, "")

    assert busy == [LOCAL_TENANT]
    assert await tenants_with_jobs(hub.keyspace, hub.space) == []


async def tenants_with_jobs(keyspace: Keyspace, space: TenantSpace) -> list[TenantId]:
    found = []
    for bucket in range(queue.BUCKETS):
        found += await keyspace.run(space.hub, queue.tenants_with_work, "jobs", bucket, limit=10)
    return found
