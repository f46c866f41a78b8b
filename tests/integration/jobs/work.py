# SPDX-License-Identifier: Apache-2.0
"""Short hands for what agents do in the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.client import JobsClient

ORCHESTRATOR: Final = events.AGENT_ROLE_ORCHESTRATOR
SCOUT: Final = events.AGENT_ROLE_SCOUT
CODER: Final = events.AGENT_ROLE_CODER
CRITIC: Final = events.AGENT_ROLE_CRITIC


def planned(*paths: str) -> list[v1.PlannedTicket]:
    """A plan with a Scout's, a Coder's and a Critic's ticket for each path, and the last one."""
    tickets = []
    for path in paths:
        before: list[str] = []
        for name, role in (("scout", SCOUT), ("coder", CODER), ("critic", CRITIC)):
            key = f"{name} {path}"
            ticket = v1.PlannedTicket(key=key, role=role, title=key, resource=path, depends_on=before)
            tickets.append(ticket)
            before = [key]
    last = [f"critic {path}" for path in paths]
    return [*tickets, v1.PlannedTicket(key="finish", role=ORCHESTRATOR, title="Finish", depends_on=last)]


async def plan(
    agents: JobsClient,
    job_id: str,
    tickets: Sequence[v1.PlannedTicket],
    decisions: Sequence[v1.Decision] = (),
) -> None:
    """Do the planning ticket."""
    lease = await claim(agents, job_id, ORCHESTRATOR)
    await agents.plan_tickets(lease, tickets, decisions=decisions)


async def claim(agents: JobsClient, job_id: str, role: events.AgentRole.ValueType) -> v1.Lease:
    """Claim a ticket that must be there."""
    claimed = await agents.claim_ticket(job_id, f"agent-{role}", [role])
    assert claimed.HasField("ticket"), "a ticket of the role should be ready"
    return claimed.lease


async def do(
    agents: JobsClient,
    job_id: str,
    role: events.AgentRole.ValueType,
    state: v1.TicketState.ValueType = v1.TICKET_STATE_DONE,
) -> v1.Ticket:
    """Claim a ticket of the role and complete it."""
    return await agents.complete_ticket(await claim(agents, job_id, role), state, outcome="as it should be")


def decision(event_id: str, rationale: str = "because") -> v1.Decision:
    """A decision as an agent reports it."""
    made = events.AgentDecision(rationale=rationale, kind=events.DECISION_KIND_ACCEPT, confidence_score=0.5)
    return v1.Decision(event_id=event_id, decision=made, span_id="0123456789abcdef")
