# SPDX-License-Identifier: Apache-2.0
"""An agent's shift: it works while there is work, gives back what it cannot do, and stops when told."""

from __future__ import annotations

import asyncio

import pytest

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.client import JobsClient
from enchanted.swarm.agents.shift import Assignment, Perform, Shift
from enchanted.swarm.model import TreeError
from tests.integration.jobs.hub import Hub
from tests.integration.jobs.work import ORCHESTRATOR, planned

pytestmark = pytest.mark.feature("E-09")


def shift(agents: JobsClient, job_id: str, perform: Perform) -> Shift:
    """An Orchestrator's shift that beats quickly, so that a test need not wait for a term."""
    return Shift(agents, job_id, "orchestrator-1", [ORCHESTRATOR], perform, beats_per_term=1_000)


async def test_an_agent_works_until_the_job_has_ended(hub: Hub) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    done: list[str] = []

    async def perform(assignment: Assignment) -> None:
        done.append(assignment.ticket.title)
        if assignment.ticket.title == "Plan":
            await agents.plan_tickets(assignment.lease, planned())
        else:
            await agents.finish_job(assignment.lease, v1.JOB_STATE_SUCCEEDED)

    await shift(agents, job.job_id, perform).work()
    assert done == ["Plan", "Finish"]
    assert (await hub.owner.get_job(job.job_id)).state == v1.JOB_STATE_SUCCEEDED


async def test_a_ticket_that_cannot_be_done_is_given_back_with_its_reason_until_it_has_failed(
    hub: Hub,
) -> None:
    job = await hub.run_job()
    tries: list[int] = []

    async def perform(assignment: Assignment) -> None:
        tries.append(assignment.ticket.attempts)
        raise TreeError("the tree is not a folder", path="x")

    await shift(hub.agents(job.job_id), job.job_id, perform).work()
    ended = await hub.owner.get_job(job.job_id)
    assert len(tries) == 3
    assert ended.state == v1.JOB_STATE_FAILED
    assert "the tree is not a folder" in ended.reason


async def test_an_agents_own_fault_is_told_without_its_details(hub: Hub) -> None:
    job = await hub.run_job()

    async def perform(assignment: Assignment) -> None:
        raise ZeroDivisionError("a line of somebody's code")

    await shift(hub.agents(job.job_id), job.job_id, perform).work()
    reason = (await hub.owner.get_job(job.job_id)).reason
    assert "ZeroDivisionError" in reason
    assert "somebody's code" not in reason


async def test_work_is_dropped_when_the_job_is_cancelled(hub: Hub) -> None:
    job = await hub.run_job()
    begun, dropped = asyncio.Event(), asyncio.Event()

    async def perform(assignment: Assignment) -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            dropped.set()

    working = asyncio.create_task(shift(hub.agents(job.job_id), job.job_id, perform).work())
    await begun.wait()
    await hub.owner.cancel_job(job.job_id, "enough")
    await working
    assert dropped.is_set()
    assert (await hub.owner.get_job(job.job_id)).state == v1.JOB_STATE_CANCELLED


async def test_work_under_a_lease_that_another_took_is_dropped_and_the_shift_goes_on(hub: Hub) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    leases: list[v1.Lease] = []
    begun = asyncio.Event()

    async def perform(assignment: Assignment) -> None:
        leases.append(assignment.lease)
        if len(leases) > 1:
            await agents.plan_tickets(assignment.lease, planned())
            await hub.owner.cancel_job(job.job_id, "seen enough")
            return
        begun.set()
        await asyncio.get_running_loop().create_future()

    working = asyncio.create_task(shift(agents, job.job_id, perform).work())
    await begun.wait()
    # Given back in its name, as by a platform that holds it for dead.
    await agents.return_ticket(leases[0], "held for dead")
    await working
    assert leases[1].fencing_token > leases[0].fencing_token


async def test_a_shift_that_is_cancelled_from_outside_ends_at_once(hub: Hub) -> None:
    job = await hub.run_job()
    begun = asyncio.Event()

    async def perform(assignment: Assignment) -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    working = asyncio.create_task(shift(hub.agents(job.job_id), job.job_id, perform).work())
    await begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    tickets = await hub.tickets(job.job_id)
    assert tickets["Plan"].state == v1.TICKET_STATE_LEASED
    assert tickets["Plan"].role == events.AGENT_ROLE_ORCHESTRATOR
