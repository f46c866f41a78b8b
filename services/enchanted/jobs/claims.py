# SPDX-License-Identifier: Apache-2.0
"""Who works on which ticket: claims, heartbeats, and tickets whose holders have vanished.

A claim's lease is held under a name of its own (agent and request), so that an agents' process that was
restarted under the same agent ids never inherits what its predecessor held: an edit of the old process,
however late, finds a greater fencing token and changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import announcements, model, records, tickets
from enchanted.jobs.announcements import Scene
from enchanted.jobs.model import PLATFORM, Actor
from enchanted.jobs.requests import Call, answered
from enchanted.keyspace import BeatObserver, Lease, TenantSpace, Transaction, idempotency, leases

LEASE_EXPIRED: Final = "LEASE_EXPIRED"
LEASE_FREED: Final = "LEASE_FREED"
_LEASED_LOOK_MAX: Final = 64
_PLATFORM_HOLDER: Final = "platform"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found.

    Attributes:
        job_state: The job's.
        ticket: The ticket, or ``None`` if nothing can be claimed now.
        lease: Under which it is held.
        tip: The job's tip at the time, to wait from.
        others_hold: Whether tickets of these roles are held, whose leases may expire.
    """

    job_state: v1.JobState.ValueType
    ticket: v1.Ticket | None = None
    lease: v1.Lease | None = None
    tip: bytes = b""
    others_hold: bool = False


def claim(
    tr: Transaction, space: TenantSpace, call: Call, request: v1.ClaimTicketRequest, observer: BeatObserver
) -> Claim:
    """Lease a ready ticket, or one whose holder was silent for its term. Transactional; once per request.

    Raises:
        JobNotFoundError: If there is no such job.
        LeaseLostError: If the request was answered before and its lease is lost since.
    """
    job = records.read_job(tr, space, request.job_id)
    earlier = answered(tr, space, call)
    if earlier is not None:
        return _same_again(tr, space, job, v1.Lease.FromString(earlier))
    if job.job.state != v1.JOB_STATE_RUNNING:
        return Claim(job.job.state, tip=records.job_tip(tr, space, request.job_id))
    attempt = _Attempt(job, request, observer, call.now_us)
    found = _ready(tr, space, attempt) or _expired(tr, space, attempt)
    if found is None:
        held = records.leased(tr, space, request.job_id, request.roles, limit=1)
        tip = records.job_tip(tr, space, request.job_id)
        return Claim(job.job.state, tip=tip, others_hold=bool(held))
    record, lease = found
    actor = Actor(record.ticket.role, request.agent_id)
    tickets.take(tr, space, Scene(job, actor, call.now_us, record.ticket.ticket_id), record)
    message = _lease_message(record.ticket, lease)
    idempotency.remember(tr, space, call.request_id, call.content, message.SerializeToString(), call.now_us)
    return Claim(job.job.state, record.ticket, message)


def beat(tr: Transaction, space: TenantSpace, message: v1.Lease) -> v1.JobState.ValueType:
    """Say that a ticket's holder lives, and hear how its job is. Transactional.

    Raises:
        JobNotFoundError: If there is no such job.
        LeaseLostError: If the job runs and someone else has the ticket, or it was finished.
    """
    state = records.read_job(tr, space, message.job_id).job.state
    if state == v1.JOB_STATE_RUNNING:
        leases.beat(tr, space, tickets.lease_of(message))
    return state


def reclaim(tr: Transaction, space: TenantSpace, scene: Scene) -> None:
    """Free every ticket of a job whose agents' process is known to have ended. Transactional.

    Waiting for each lease's term would be safe and slow; taking the leases at once is as safe, because what
    an old holder still sends finds a greater fencing token. Nothing is counted against the tickets: the
    process may have been stopped with the platform, and one that ends by itself counts against the job.
    """
    job_id = scene.job.job.job_id
    records.forget_expiries(tr, space, job_id)
    witness = _Witness(lambda: 0.0)
    for ticket_id in records.leased(tr, space, job_id, sorted(model.WORKING_ROLES), limit=_LEASED_LOOK_MAX):
        lease = leases.acquire(
            tr, space, tickets.lease_name(ticket_id), _PLATFORM_HOLDER, model.LEASE_SECONDS, witness
        )
        assert lease is not None, "a witness of the end may take any lease"
        leases.release(tr, space, lease)
        record = records.read_tickets(tr, space, scene.job, [ticket_id])[0]
        ticket = record.ticket
        detail = f"the process of {ticket.agent_id} ended"
        announcements.signal(tr, space, scene.about(ticket_id), LEASE_FREED, detail, str(ticket.attempts))
        tickets.put_back(tr, space, scene, record)


class _Witness(BeatObserver):
    """Knows that holders are gone, because it saw their process end."""

    def silent_for_seconds(self, space: TenantSpace, name: str, beat: bytes) -> float:  # noqa: ARG002 - the port's
        return math.inf


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One claim in one transaction."""

    job: store.JobRecord
    request: v1.ClaimTicketRequest
    observer: BeatObserver
    now_us: int

    def acquire(self, tr: Transaction, space: TenantSpace, ticket_id: str) -> Lease | None:
        """The ticket's lease, if it can be had."""
        holder = f"{self.request.agent_id}/{self.request.request_id}"
        name = tickets.lease_name(ticket_id)
        return leases.acquire(tr, space, name, holder, model.LEASE_SECONDS, self.observer)


_Found = tuple[store.TicketRecord, Lease]


def _ready(tr: Transaction, space: TenantSpace, attempt: _Attempt) -> _Found | None:
    """The ready ticket that comes first in the plan, and its lease."""
    ticket_id = records.first_ready(tr, space, attempt.request.job_id, attempt.request.roles)
    if not ticket_id:
        return None
    record = records.read_tickets(tr, space, attempt.job, [ticket_id])[0]
    lease = attempt.acquire(tr, space, ticket_id)
    assert lease is not None, "nobody holds the lease of a ready ticket"
    return record, lease


def _expired(tr: Transaction, space: TenantSpace, attempt: _Attempt) -> _Found | None:
    """A ticket whose holder was silent for its term, and its lease."""
    request, job = attempt.request, attempt.job
    for ticket_id in records.leased(tr, space, request.job_id, request.roles, limit=_LEASED_LOOK_MAX):
        lease = attempt.acquire(tr, space, ticket_id)
        if lease is None:
            continue
        record = records.read_tickets(tr, space, job, [ticket_id])[0]
        if _expire(tr, space, Scene(job, PLATFORM, attempt.now_us), record):
            return record, lease
        leases.release(tr, space, lease)
        if job.job.state != v1.JOB_STATE_RUNNING:
            return None
    return None


def _expire(tr: Transaction, space: TenantSpace, scene: Scene, record: store.TicketRecord) -> bool:
    """Record that a ticket's holder fell silent; whether the ticket may be tried again."""
    ticket = record.ticket
    about = scene.about(ticket.ticket_id)
    detail = f"{ticket.agent_id} was silent"
    announcements.signal(tr, space, about, LEASE_EXPIRED, detail, str(ticket.attempts))
    expiries = records.count_expiry(tr, space, ticket.job_id, ticket.ticket_id)
    if expiries < model.EXPIRIES_MAX:
        return True
    outcome = f"its holders were silent {expiries} times"
    tickets.finish(tr, space, about, record, v1.TICKET_STATE_FAILED, outcome)
    return False


def _same_again(tr: Transaction, space: TenantSpace, job: store.JobRecord, message: v1.Lease) -> Claim:
    leases.check(tr, space, tickets.lease_of(message))
    record = records.read_tickets(tr, space, job, [message.ticket_id])[0]
    return Claim(job.job.state, record.ticket, message)


def _lease_message(ticket: v1.Ticket, lease: Lease) -> v1.Lease:
    return v1.Lease(
        job_id=ticket.job_id,
        ticket_id=ticket.ticket_id,
        holder=lease.holder,
        fencing_token=lease.fencing_token,
        term_seconds=lease.term_seconds,
    )
