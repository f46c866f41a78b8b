# SPDX-License-Identifier: Apache-2.0
"""What happens to a ticket: taken, given back, finished, and with it what waits for it.

Everything under a lease begins with :func:`held`, which reads job, ticket and lease with a conflict: an
effect whose job was cancelled, or whose ticket someone else has, fails and changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import announcements, records
from enchanted.jobs.announcements import Scene
from enchanted.jobs.lifecycle import end_job
from enchanted.jobs.model import (
    FINISHED_TICKETS,
    Actor,
    JobNotRunningError,
    TicketNotLeasedError,
    fails_with,
)
from enchanted.keyspace import Lease, TenantSpace, Transaction, leases


@dataclass(frozen=True, slots=True)
class Held:
    """A ticket under a lease that was checked in this transaction."""

    job: store.JobRecord
    ticket: store.TicketRecord
    lease: Lease

    def scene(self, now_us: int) -> Scene:
        """Where its events happen."""
        ticket = self.ticket.ticket
        return Scene(self.job, Actor(ticket.role, ticket.agent_id), now_us, ticket.ticket_id)


def lease_name(ticket_id: str) -> str:
    """Name of a ticket's lease."""
    return f"ticket/{ticket_id}"


def lease_of(message: v1.Lease) -> Lease:
    """The lease that a request names."""
    name = lease_name(message.ticket_id)
    return Lease(name, message.holder, message.fencing_token, message.term_seconds)


def held(tr: Transaction, space: TenantSpace, message: v1.Lease) -> Held:
    """The ticket that a lease is for, if the lease still holds. Transactional, with a conflict.

    Raises:
        JobNotFoundError: If there is no such job.
        TicketNotFoundError: If the job has no such ticket.
        JobNotRunningError: If the job has ended.
        LeaseLostError: If someone else has the ticket.
        TicketNotLeasedError: If the ticket was finished or given back.
    """
    lease = lease_of(message)
    job, ticket = records.read_job_and_ticket(tr, space, message.job_id, message.ticket_id)
    leases.check(tr, space, lease)
    if job.job.state != v1.JOB_STATE_RUNNING:
        raise JobNotRunningError(message.job_id, job.job.state)
    if ticket.ticket.state != v1.TICKET_STATE_LEASED:
        raise TicketNotLeasedError(message.ticket_id)
    return Held(job, ticket, lease)


def take(tr: Transaction, space: TenantSpace, scene: Scene, record: store.TicketRecord) -> None:
    """Note that the scene's agent works on a ticket. Transactional; the record is changed."""
    ticket = record.ticket
    ticket.state = v1.TICKET_STATE_LEASED
    ticket.agent_id = scene.actor.agent_id
    ticket.attempts += 1
    records.write_ticket(tr, space, scene.job, record)
    records.mark_leased(tr, space, record)
    announcements.signal(tr, space, scene, state_name(ticket.state), "", str(ticket.attempts))


def put_back(tr: Transaction, space: TenantSpace, scene: Scene, record: store.TicketRecord) -> None:
    """Let another agent claim a ticket. Transactional; the record is changed."""
    record.ticket.state = v1.TICKET_STATE_READY
    records.write_ticket(tr, space, scene.job, record)
    records.mark_given_back(tr, space, record)
    records.move_job_tip(tr, space, record.ticket.job_id)


def finish(
    tr: Transaction,
    space: TenantSpace,
    scene: Scene,
    record: store.TicketRecord,
    state: v1.TicketState.ValueType,
    outcome: str,
) -> None:
    """Finish a ticket, and unblock or fail what waits for it. Transactional; the record is changed.

    A job whose Orchestrator's ticket fails has nobody to plan or end it, and fails too.
    """
    known = {record.ticket.ticket_id: record}
    changed = dict(known)
    _set_finished(record, state, outcome)
    waiting = deque([record])
    while waiting:
        done = waiting.popleft()
        _announce(tr, space, scene, done)
        for dependent in _load(tr, space, scene.job, known, done.dependents):
            if dependent.ticket.state not in FINISHED_TICKETS:
                changed[dependent.ticket.ticket_id] = dependent
                if _resolve(dependent, done):
                    waiting.append(dependent)
    for written in changed.values():
        _write(tr, space, scene.job, written)
    records.move_job_tip(tr, space, record.ticket.job_id)
    if state == v1.TICKET_STATE_FAILED and record.ticket.role == events.AGENT_ROLE_ORCHESTRATOR:
        reason = f"the ticket '{record.ticket.title}' failed: {outcome}"
        end_job(tr, space, scene, v1.JOB_STATE_FAILED, reason)


def state_name(state: v1.TicketState.ValueType) -> str:
    """A ticket's state as its events have it."""
    return v1.TicketState.Name(state).removeprefix("TICKET_STATE_")


def _resolve(dependent: store.TicketRecord, done: store.TicketRecord) -> bool:
    """Tell a ticket that one it waits for is finished; whether it failed with it."""
    assert dependent.ticket.state == v1.TICKET_STATE_BLOCKED, "only blocked tickets wait for others"
    if done.ticket.state == v1.TICKET_STATE_FAILED and fails_with(dependent.ticket, done.ticket):
        outcome = f"skipped: the ticket '{done.ticket.title}' failed"
        _set_finished(dependent, v1.TICKET_STATE_FAILED, outcome)
        return True
    assert dependent.waits_for > 0, "a blocked ticket waits for at least one"
    dependent.waits_for -= 1
    if dependent.waits_for == 0:
        dependent.ticket.state = v1.TICKET_STATE_READY
    return False


def _set_finished(record: store.TicketRecord, state: v1.TicketState.ValueType, outcome: str) -> None:
    record.ticket.state = state
    record.ticket.outcome = outcome


def _announce(tr: Transaction, space: TenantSpace, scene: Scene, record: store.TicketRecord) -> None:
    about = scene.about(record.ticket.ticket_id)
    announcements.signal(tr, space, about, state_name(record.ticket.state), record.ticket.outcome)


def _load(
    tr: Transaction,
    space: TenantSpace,
    job: store.JobRecord,
    known: dict[str, store.TicketRecord],
    ticket_ids: Iterable[str],
) -> list[store.TicketRecord]:
    """Tickets by id, each read once in the transaction, those not known together."""
    wanted = list(ticket_ids)
    missing = [ticket_id for ticket_id in wanted if ticket_id not in known]
    known.update(zip(missing, records.read_tickets(tr, space, job, missing), strict=True))
    return [known[ticket_id] for ticket_id in wanted]


def _write(tr: Transaction, space: TenantSpace, job: store.JobRecord, record: store.TicketRecord) -> None:
    records.write_ticket(tr, space, job, record)
    if record.ticket.state in FINISHED_TICKETS:
        records.mark_finished(tr, space, record)
    elif record.ticket.state == v1.TICKET_STATE_READY:
        records.mark_ready(tr, space, record)
