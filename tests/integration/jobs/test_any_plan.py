# SPDX-License-Identifier: Apache-2.0
"""Whatever the plan and however its tickets end, every ticket is finished and the job can be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.model import FINISHED_TICKETS
from tests.integration.jobs.hub import Hub
from tests.integration.jobs.work import ORCHESTRATOR, SCOUT, claim, plan

ENDINGS = (v1.TICKET_STATE_DONE, v1.TICKET_STATE_REJECTED, v1.TICKET_STATE_FAILED)


NONE: st.SearchStrategy[list[str]] = st.just([])


@dataclass(frozen=True)
class Story:
    """A plan, and how each ticket that an agent gets ends."""

    tickets: list[v1.PlannedTicket]
    endings: list[v1.TicketState.ValueType]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    count = draw(st.integers(0, 7))
    tickets: list[v1.PlannedTicket] = []
    for number in range(count):
        earlier = st.lists(st.sampled_from([each.key for each in tickets]), max_size=3) if tickets else NONE
        tickets.append(
            v1.PlannedTicket(
                key=f"t{number}",
                role=SCOUT,
                title=f"t{number}",
                resource=draw(st.sampled_from(["", "a.py", "b.py"])),
                depends_on=draw(earlier),
            )
        )
    keys = [ticket.key for ticket in tickets]
    last = v1.PlannedTicket(key="last", role=ORCHESTRATOR, title="last", depends_on=keys)
    endings = st.lists(st.sampled_from(ENDINGS), min_size=count, max_size=count)
    return Story([*tickets, last], draw(endings))


@pytest.mark.feature("E-07")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories())
async def test_every_plan_comes_to_its_end(hub: Hub, story: Story) -> None:
    project_id = await hub.import_project({"app.py": b"old = 1\n"})
    job = await hub.owner.run_job(project_id, "modernize")
    await hub.start(job.job_id)
    agents = hub.agents(job.job_id)
    await plan(agents, job.job_id, story.tickets)
    given_up: set[str] = set()
    for ending in story.endings:
        claimed = await agents.claim_ticket(job.job_id, "scout-1", [SCOUT])
        if not claimed.HasField("ticket"):
            break
        if ending == v1.TICKET_STATE_FAILED:
            given_up.add(claimed.ticket.title)
            await agents.return_ticket(claimed.lease, "no")
            for _ in range(2):
                await agents.return_ticket(await claim(agents, job.job_id, SCOUT), "no")
        else:
            await agents.complete_ticket(claimed.lease, ending, outcome="so")

    found = await hub.tickets(job.job_id)
    last = found.pop("last")
    assert all(ticket.state in FINISHED_TICKETS for ticket in found.values())
    assert last.state == v1.TICKET_STATE_READY
    by_id = {ticket.ticket_id: ticket for ticket in found.values()}
    for ticket in found.values():
        needed = [by_id[ticket_id] for ticket_id in ticket.depends_on]
        must_fail = any(
            other.state == v1.TICKET_STATE_FAILED and other.resource == ticket.resource != ""
            for other in needed
        )
        assert (ticket.state == v1.TICKET_STATE_FAILED) == (must_fail or ticket.title in given_up)
    lease = await claim(agents, job.job_id, ORCHESTRATOR)
    assert (await agents.finish_job(lease, v1.JOB_STATE_SUCCEEDED)).state == v1.JOB_STATE_SUCCEEDED
