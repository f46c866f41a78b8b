# SPDX-License-Identifier: Apache-2.0
"""Running, listing and cancelling jobs."""

from __future__ import annotations

import grpc
import pytest

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.generated.jobs.v1 import jobs_pb2_grpc
from enchanted.rpc import CallError
from tests.integration.jobs.hub import OWNER_TOKEN, Hub
from tests.integration.jobs.work import ORCHESTRATOR, plan, planned

pytestmark = pytest.mark.feature("E-07")


async def test_a_job_waits_in_the_queue_with_its_planning_ticket(hub: Hub) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")

    assert job.state == v1.JOB_STATE_QUEUED
    assert job.base_commit == (await hub.head()).commit
    (ticket,) = (await hub.tickets(job.job_id)).values()
    assert (ticket.title, ticket.role, ticket.state) == ("Plan", ORCHESTRATOR, v1.TICKET_STATE_READY)


@pytest.mark.feature("E-01")
async def test_history_says_who_asked_for_the_job(hub: Hub) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")

    queued = next(event for event in await hub.events() if event.job_id == job.job_id)
    assert queued.system_signal.status == "QUEUED"
    assert (queued.agent_role, queued.agent_id) == (events.AGENT_ROLE_OPERATOR, "ada")
    assert len(queued.trace_id) == 32
    assert queued.user_id == "ada"


async def test_the_same_request_runs_one_job(hub: Hub) -> None:
    first = await hub.owner.run_job(hub.project_id, "modernize", request_id="req_1")
    again = await hub.owner.run_job(hub.project_id, "modernize", request_id="req_1")

    assert again.job_id == first.job_id
    assert [job.job_id async for job in hub.owner.list_jobs()] == [first.job_id]


async def test_a_project_has_one_unfinished_job_at_a_time(hub: Hub) -> None:
    first = await hub.owner.run_job(hub.project_id, "modernize")

    with pytest.raises(CallError) as refused:
        await hub.owner.run_job(hub.project_id, "modernize")
    assert (refused.value.code, refused.value.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PROJECT_BUSY",
    )
    assert first.job_id in str(refused.value)

    await hub.owner.cancel_job(first.job_id, "another one")
    hub.clock.pass_seconds(1)
    second = await hub.owner.run_job(hub.project_id, "modernize")
    assert [job.job_id async for job in hub.owner.list_jobs()] == [second.job_id, first.job_id]


async def test_an_unknown_playbook_is_refused_with_those_that_exist(hub: Hub) -> None:
    with pytest.raises(CallError, match="modernize") as refused:
        await hub.owner.run_job(hub.project_id, "rewrite-in-rust")
    assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_job_of_no_project_is_refused(hub: Hub) -> None:
    with pytest.raises(CallError) as refused:
        await hub.owner.run_job("prj_nothing", "modernize")
    assert refused.value.code == grpc.StatusCode.NOT_FOUND
    assert [job async for job in hub.owner.list_jobs()] == []


async def test_an_unknown_job_is_not_found(hub: Hub) -> None:
    with pytest.raises(CallError) as refused:
        await hub.owner.get_job("job_nothing")
    assert refused.value.reason == "JOB_NOT_FOUND"


async def test_cancelling_ends_the_job_and_its_open_tickets(hub: Hub) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    await plan(agents, job.job_id, planned("app.py"))
    scout = await agents.claim_ticket(job.job_id, "scout-1", [events.AGENT_ROLE_SCOUT])

    cancelled = await hub.owner.cancel_job(job.job_id, "not now")

    assert (cancelled.state, cancelled.reason) == (v1.JOB_STATE_CANCELLED, "not now")
    states = {title: ticket.state for title, ticket in (await hub.tickets(job.job_id)).items()}
    assert states.pop("Plan") == v1.TICKET_STATE_DONE
    assert set(states.values()) == {v1.TICKET_STATE_FAILED}
    assert await agents.heartbeat(scout.lease) == v1.JOB_STATE_CANCELLED
    with pytest.raises(CallError) as refused:
        await agents.complete_ticket(scout.lease, v1.TICKET_STATE_DONE, outcome="found")
    assert (refused.value.code, refused.value.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "JOB_NOT_RUNNING",
    )
    claimed = await agents.claim_ticket(job.job_id, "scout-2", [events.AGENT_ROLE_SCOUT])
    assert not claimed.HasField("ticket")
    assert claimed.job_state == v1.JOB_STATE_CANCELLED


async def test_cancelling_twice_changes_once(hub: Hub) -> None:
    job = await hub.run_job()
    await hub.owner.cancel_job(job.job_id, "not now")
    again = await hub.owner.cancel_job(job.job_id, "really")

    assert again.reason == "not now"
    assert (await hub.signals()).count("CANCELLED") == 1


async def test_a_job_that_ended_cannot_be_cancelled(hub: Hub) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    claimed = await agents.claim_ticket(job.job_id, "orchestrator-1", [ORCHESTRATOR])
    await agents.finish_job(claimed.lease, v1.JOB_STATE_FAILED, reason="not a Python project")

    with pytest.raises(CallError) as refused:
        await hub.owner.cancel_job(job.job_id, "")
    assert refused.value.reason == "JOB_NOT_RUNNING"
    assert (await hub.owner.get_job(job.job_id)).reason == "not a Python project"


async def test_jobs_come_page_by_page_newest_first(hub: Hub) -> None:
    made = []
    for _ in range(5):
        hub.clock.pass_seconds(1)
        job = await hub.owner.run_job(hub.project_id, "modernize")
        await hub.owner.cancel_job(job.job_id, "")
        made.append(job.job_id)

    stub = jobs_pb2_grpc.JobsStub(hub.channel(OWNER_TOKEN))
    first = await stub.ListJobs(v1.ListJobsRequest(project_id=hub.project_id, page_size=3))
    rest = await stub.ListJobs(v1.ListJobsRequest(page_size=3, page_token=first.next_page_token))

    assert [job.job_id for job in [*first.jobs, *rest.jobs]] == made[::-1]
    assert rest.next_page_token == ""


async def test_a_summary_comes_with_the_job_and_its_headline_with_the_list(hub: Hub) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    claimed = await agents.claim_ticket(job.job_id, "orchestrator-1", [ORCHESTRATOR])
    edits = [v1.EditSummary(path=f"module_{number}.py", rationale="why " * 40) for number in range(1500)]
    summary = v1.JobSummary(headline="Done.", edits=edits)
    finished = await agents.finish_job(claimed.lease, v1.JOB_STATE_SUCCEEDED, summary=summary)

    assert finished.state == v1.JOB_STATE_SUCCEEDED
    assert (await hub.owner.get_job(job.job_id)).summary == summary
    (listed,) = [job async for job in hub.owner.list_jobs()]
    assert listed.summary == v1.JobSummary(headline="Done.")
