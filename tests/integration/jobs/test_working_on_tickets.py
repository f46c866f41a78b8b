# SPDX-License-Identifier: Apache-2.0
"""Claiming tickets, doing them, and what becomes of those that wait."""

from __future__ import annotations

import asyncio
import os

import grpc
import pytest

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import LEASE_SECONDS, plans
from enchanted.rpc import CallError
from tests.integration.jobs.hub import Hub
from tests.integration.jobs.work import (
    CODER,
    CRITIC,
    ORCHESTRATOR,
    SCOUT,
    claim,
    decision,
    do,
    plan,
    planned,
)

pytestmark = [pytest.mark.feature("E-07"), pytest.mark.feature("E-09")]

DONE, REJECTED, FAILED = v1.TICKET_STATE_DONE, v1.TICKET_STATE_REJECTED, v1.TICKET_STATE_FAILED


async def test_a_plan_unblocks_its_tickets_in_order(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    ready = []
    for role in (SCOUT, CODER, CRITIC, ORCHESTRATOR):
        tickets = (await hub.tickets(job_id)).values()
        ready.append([ticket.title for ticket in tickets if ticket.state == v1.TICKET_STATE_READY])
        if role != ORCHESTRATOR:
            await do(agents, job_id, role)

    assert ready == [["scout app.py"], ["coder app.py"], ["critic app.py"], ["Finish"]]


async def test_tickets_are_listed_and_claimed_in_the_order_of_the_plan(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    plan_of_three = planned("c.py", "a.py", "b.py")
    await plan(agents, job_id, plan_of_three)

    listed = [ticket.title async for ticket in hub.owner.list_tickets(job_id)]
    claimed = [(await do(agents, job_id, SCOUT)).resource for _ in range(3)]

    assert listed == ["Plan", *(ticket.title for ticket in plan_of_three)]
    assert claimed == ["c.py", "a.py", "b.py"]


async def test_no_two_agents_hold_one_ticket(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned(*(f"m{number}.py" for number in range(5))))

    claims = await asyncio.gather(
        *(agents.claim_ticket(job_id, f"scout-{number}", [SCOUT]) for number in range(9))
    )

    held = [answer.ticket.ticket_id for answer in claims if answer.HasField("ticket")]
    assert len(held) == 5
    assert len(set(held)) == 5


async def test_a_claim_asked_twice_gets_one_ticket(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    first = await agents.claim_ticket(job_id, "o-1", [ORCHESTRATOR], request_id="req_1")
    again = await agents.claim_ticket(
        job_id, "o-1", [ORCHESTRATOR], request_id="req_1", wait_milliseconds=500
    )

    assert again.lease == first.lease
    assert again.ticket.attempts == 1


async def test_a_waiting_claim_is_answered_when_a_ticket_becomes_ready(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    waiting = asyncio.create_task(agents.claim_ticket(job_id, "s-1", [SCOUT], wait_milliseconds=10_000))
    await plan(agents, job_id, planned("app.py"))

    assert (await waiting).ticket.title == "scout app.py"


async def test_a_waiting_claim_is_answered_when_the_job_is_cancelled(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    waiting = asyncio.create_task(
        hub.agents(job_id).claim_ticket(job_id, "s-1", [SCOUT], wait_milliseconds=10_000)
    )
    await hub.owner.cancel_job(job_id, "enough")

    assert (await waiting).job_state == v1.JOB_STATE_CANCELLED


async def test_a_job_that_no_process_was_started_for_has_nothing_to_claim(hub: Hub) -> None:
    job = await hub.owner.run_job(hub.project_id, "modernize")
    answer = await hub.agents(job.job_id).claim_ticket(job.job_id, "o-1", [ORCHESTRATOR])

    assert not answer.HasField("ticket")
    assert answer.job_state == v1.JOB_STATE_QUEUED


async def test_a_rejected_ticket_unblocks_what_waits_for_it(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    await do(agents, job_id, SCOUT)
    await do(agents, job_id, CODER)
    await do(agents, job_id, CRITIC, REJECTED)

    tickets = await hub.tickets(job_id)
    assert tickets["critic app.py"].state == REJECTED
    assert tickets["Finish"].state == v1.TICKET_STATE_READY


async def test_a_ticket_fails_with_a_failed_one_about_the_same_resource_and_others_go_on(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    tickets = planned("lib.py", "app.py")
    next(ticket for ticket in tickets if ticket.key == "scout app.py").depends_on.append("critic lib.py")
    await plan(agents, job_id, tickets)
    for _ in range(3):
        await agents.return_ticket(await claim(agents, job_id, SCOUT), "the file is not text")

    found = await hub.tickets(job_id)
    failed = {title for title, ticket in found.items() if ticket.state == FAILED}
    assert failed == {"scout lib.py", "coder lib.py", "critic lib.py"}
    assert found["scout lib.py"].outcome == "the file is not text"
    assert found["critic lib.py"].outcome == "skipped: the ticket 'coder lib.py' failed"
    assert found["scout app.py"].state == v1.TICKET_STATE_READY
    assert found["Finish"].state == v1.TICKET_STATE_BLOCKED
    for role in (SCOUT, CODER, CRITIC):
        await do(agents, job_id, role)
    assert (await hub.tickets(job_id))["Finish"].state == v1.TICKET_STATE_READY


async def test_a_ticket_that_was_given_back_is_another_agents_twice_and_fails_the_third_time(
    hub: Hub,
) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    states = [(await agents.return_ticket(await claim(agents, job_id, SCOUT), "no")).state for _ in range(3)]

    assert states == [v1.TICKET_STATE_READY, v1.TICKET_STATE_READY, FAILED]
    ticket = (await hub.tickets(job_id))["scout app.py"]
    assert ticket.attempts == 3
    signals = await hub.signals(ticket.ticket_id)
    assert signals == ["LEASED", "RETURNED"] * 3 + ["FAILED"]


async def test_a_job_whose_planning_fails_has_failed(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    for _ in range(3):
        await agents.return_ticket(await claim(agents, job_id, ORCHESTRATOR), "no sandbox")

    job = await hub.owner.get_job(job_id)
    assert job.state == v1.JOB_STATE_FAILED
    assert job.reason == "the ticket 'Plan' failed: no sandbox"


async def test_a_returned_lease_is_returned_once(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    await agents.return_ticket(lease, "no")
    await agents.return_ticket(lease, "no")

    assert (await hub.signals(lease.ticket_id)).count("RETURNED") == 1


async def test_a_ticket_completed_twice_by_one_request_changes_once(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    lease = await claim(agents, job_id, SCOUT)
    for _ in range(2):
        ticket = await agents.complete_ticket(
            lease, DONE, outcome="found", decisions=[decision("evt_1")], request_id="req_1"
        )
        assert (ticket.state, ticket.outcome) == (DONE, "found")

    assert (await hub.signals(lease.ticket_id)).count("DONE") == 1
    assert [event.event_id for event in await hub.events()].count("evt_1") == 1


async def test_a_request_id_is_not_used_for_two_requests(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    lease = await claim(agents, job_id, SCOUT)
    await agents.complete_ticket(lease, DONE, outcome="found", request_id="req_1")
    with pytest.raises(CallError) as refused:
        await agents.complete_ticket(lease, REJECTED, outcome="not found", request_id="req_1")
    assert refused.value.reason == "REQUEST_REUSED"


async def test_a_silent_holders_ticket_is_anothers_and_the_old_holder_changes_nothing(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    old = await agents.claim_ticket(job_id, "scout-1", [SCOUT])
    early = await agents.claim_ticket(job_id, "scout-2", [SCOUT])
    hub.clock.pass_seconds(LEASE_SECONDS)
    new = await agents.claim_ticket(job_id, "scout-2", [SCOUT])

    assert not early.HasField("ticket")
    assert new.ticket.ticket_id == old.ticket.ticket_id
    assert new.ticket.attempts == 2
    assert new.lease.fencing_token > old.lease.fencing_token
    before = await hub.events()
    late_calls = (
        lambda: agents.complete_ticket(old.lease, DONE, outcome="late"),
        lambda: agents.record_decisions(old.lease, [decision("evt_late")]),
        lambda: agents.return_ticket(old.lease, "late"),
        lambda: agents.heartbeat(old.lease),
    )
    for call in late_calls:
        with pytest.raises(CallError) as refused:
            await call()
        assert (refused.value.code, refused.value.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "LEASE_LOST",
        )
    assert await hub.events() == before
    assert "LEASE_EXPIRED" in await hub.signals(old.ticket.ticket_id)
    assert (await agents.complete_ticket(new.lease, DONE, outcome="found")).state == DONE


async def test_heartbeats_keep_a_ticket(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    held = await claim(agents, job_id, ORCHESTRATOR)
    for _ in range(4):
        hub.clock.pass_seconds(LEASE_SECONDS - 1)
        assert await agents.heartbeat(held) == v1.JOB_STATE_RUNNING
        other = await agents.claim_ticket(job_id, "orchestrator-2", [ORCHESTRATOR])
        assert not other.HasField("ticket")


async def test_a_restarted_hub_gives_every_holder_a_whole_term(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    held = await claim(hub.agents(job_id), job_id, ORCHESTRATOR)
    hub.clock.pass_seconds(10 * LEASE_SECONDS)
    hub.restart()

    agents = hub.agents(job_id)
    early = await agents.claim_ticket(job_id, "orchestrator-2", [ORCHESTRATOR])
    assert not early.HasField("ticket")
    assert await agents.heartbeat(held) == v1.JOB_STATE_RUNNING


async def test_the_tickets_of_a_dead_process_are_free_when_its_successor_starts(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    old = await claim(agents, job_id, ORCHESTRATOR)
    await hub.start(job_id)
    new = await claim(agents, job_id, ORCHESTRATOR)

    assert new.ticket_id == old.ticket_id
    with pytest.raises(CallError) as refused:
        await agents.plan_tickets(old, planned("app.py"))
    assert refused.value.reason == "LEASE_LOST"


async def fall_silent(hub: Hub, job_id: str, times: int) -> None:
    """Have so many holders of the Scout's ticket fall silent, one after the other."""
    agents = hub.agents(job_id)
    await agents.claim_ticket(job_id, "scout-1", [SCOUT])
    for _ in range(times):
        # Nobody is held for dead who was not watched for a whole term.
        assert not (await agents.claim_ticket(job_id, "scout-2", [SCOUT])).HasField("ticket")
        hub.clock.pass_seconds(LEASE_SECONDS)
        await agents.claim_ticket(job_id, "scout-1", [SCOUT])


async def test_a_ticket_whose_holders_fall_silent_fails_in_the_end(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    await plan(hub.agents(job_id), job_id, planned("app.py"))
    await fall_silent(hub, job_id, 9)
    assert (await hub.tickets(job_id))["scout app.py"].state == v1.TICKET_STATE_LEASED
    await fall_silent(hub, job_id, 1)

    ticket = (await hub.tickets(job_id))["scout app.py"]
    assert (ticket.state, ticket.outcome) == (FAILED, "its holders were silent 10 times")
    assert (await hub.tickets(job_id))["Finish"].state == v1.TICKET_STATE_READY


async def test_silence_is_counted_anew_in_each_agents_process(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    await plan(hub.agents(job_id), job_id, planned("app.py"))
    for _ in range(2):
        await fall_silent(hub, job_id, 9)
        await hub.start(job_id)

    assert (await hub.tickets(job_id))["scout app.py"].state == v1.TICKET_STATE_READY


async def test_a_plan_made_twice_by_one_request_makes_its_tickets_once(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    first = await agents.plan_tickets(lease, planned("app.py"), request_id="req_1")
    again = await agents.plan_tickets(lease, planned("app.py"), request_id="req_1")

    assert list(again) == list(first)
    assert len(await hub.tickets(job_id)) == 5


async def test_a_plan_of_which_only_a_part_was_written_is_seen_by_nobody(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    request = v1.PlanTicketsRequest(request_id="req_1", lease=lease, tickets=planned("app.py", "lib.py"))
    part = plans.tickets_of_plan(request)[:4]
    await hub.keyspace.run(hub.space, plans.write_ahead, lease, part)
    assert list(await hub.tickets(job_id)) == ["Plan"]

    await agents.plan_tickets(lease, planned("app.py"))
    assert list(await hub.tickets(job_id)) == ["Plan", *(each.title for each in planned("app.py"))]


async def test_a_plan_of_a_thousand_modules_is_made_and_worked_on(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned(*(f"package/module_{number}.py" for number in range(999))))

    assert len(await hub.tickets(job_id)) == 1 + 3 * 999 + 1
    for role in (SCOUT, CODER, CRITIC):
        assert (await do(agents, job_id, role)).resource == "package/module_0.py"


async def test_the_orchestrators_tickets_are_not_completed_like_others(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    with pytest.raises(CallError) as refused:
        await agents.complete_ticket(lease, DONE, outcome="planned nothing")
    assert refused.value.reason == "WRONG_TICKET"


async def test_only_the_first_ticket_plans(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned())
    with pytest.raises(CallError) as refused:
        await agents.plan_tickets(await claim(agents, job_id, ORCHESTRATOR), planned("app.py"))
    assert refused.value.reason == "WRONG_TICKET"


async def test_a_job_does_not_succeed_with_unfinished_tickets(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    tickets = planned("app.py")
    del tickets[-1].depends_on[:]
    await plan(agents, job_id, tickets)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    with pytest.raises(CallError) as refused:
        await agents.finish_job(lease, v1.JOB_STATE_SUCCEEDED)

    assert (refused.value.reason, refused.value.metadata["unfinished"]) == ("TICKETS_UNFINISHED", "3")
    assert (await hub.owner.get_job(job_id)).state == v1.JOB_STATE_RUNNING


async def test_a_job_succeeds_when_all_tickets_are_finished(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    for role in (SCOUT, CODER, CRITIC):
        await do(agents, job_id, role)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    for _ in range(2):
        job = await agents.finish_job(lease, v1.JOB_STATE_SUCCEEDED, request_id="req_1")
        assert job.state == v1.JOB_STATE_SUCCEEDED
    assert await hub.signals() == ["QUEUED", "STARTING", "RUNNING", "SUCCEEDED"]


@pytest.mark.feature("E-01")
async def test_decisions_are_in_the_history_with_who_and_where(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    claimed = await agents.claim_ticket(job_id, "orchestrator-1", [ORCHESTRATOR])
    for _ in range(2):
        await agents.record_decisions(claimed.lease, [decision("evt_1", "one"), decision("evt_2", "two")])

    decided = [event for event in await hub.events() if event.HasField("decision")]
    assert [event.decision.rationale for event in decided] == ["one", "two"]
    first = decided[0]
    assert (first.agent_role, first.agent_id) == (ORCHESTRATOR, "orchestrator-1")
    assert (first.project_id, first.job_id) == (hub.project_id, job_id)
    assert (first.ticket_id, first.timeline) == (claimed.ticket.ticket_id, "main")
    assert first.span_id == "0123456789abcdef"
    assert {event.trace_id for event in await hub.events() if event.job_id} == {first.trace_id}


@pytest.mark.parametrize(
    ("decisions", "reason"),
    [
        pytest.param([decision("")], "event_id", id="no id"),
        pytest.param([decision("evt_1", "x" * 600_000)], "bytes", id="too long"),
        pytest.param(
            [v1.Decision(event_id="evt_1", decision=events.AgentDecision(confidence_score=1.5))],
            "confidence_score",
            id="too sure",
        ),
    ],
)
async def test_a_decision_that_cannot_be_recorded_is_refused(
    hub: Hub, decisions: list[v1.Decision], reason: str
) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    lease = await claim(agents, job_id, ORCHESTRATOR)
    with pytest.raises(CallError, match=reason) as refused:
        await agents.record_decisions(lease, decisions)
    assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("size_bytes", [0, 1, 80_000, 80_001, 3 << 20])
async def test_an_artifact_is_read_as_it_was_handed_in(hub: Hub, size_bytes: int) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("app.py"))
    content = os.urandom(size_bytes)
    lease = await claim(agents, job_id, SCOUT)
    artifact = v1.Artifact(name="pack", content=content)
    await agents.complete_ticket(lease, DONE, outcome="found", artifacts=[artifact])

    assert await hub.owner.find_artifact(job_id, lease.ticket_id, "pack") == content
    assert await hub.owner.find_artifact(job_id, lease.ticket_id, "edit") is None


async def test_nothing_that_was_written_stands_in_the_open(hub: Hub) -> None:
    job_id = (await hub.run_job()).job_id
    agents = hub.agents(job_id)
    await plan(agents, job_id, planned("secret_path.py"))
    artifact = v1.Artifact(name="secret_name", content=b"secret_content")
    await agents.complete_ticket(
        await claim(agents, job_id, SCOUT), DONE, outcome="secret_outcome", artifacts=[artifact]
    )
    await hub.owner.cancel_job(job_id, "secret_reason")

    stored = await hub.everything_stored()
    assert job_id.encode() in stored
    for word in ("path", "name", "content", "outcome", "reason"):
        assert f"secret_{word}".encode() not in stored
