# SPDX-License-Identifier: Apache-2.0
"""What agents' work changes: each effect is one transaction with its lease check, its ticket and its events.

So an edit is never in the history without being in the project, a ticket is never done without its reasons,
and a holder that was declared dead changes nothing, however late it speaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from enchanted import workspace
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import announcements, records, tickets
from enchanted.jobs.lifecycle import end_job
from enchanted.jobs.model import RETURNS_MAX, TicketsUnfinishedError, WrongTicketError
from enchanted.jobs.requests import Call, answered, once
from enchanted.jobs.tickets import Held, finish, held
from enchanted.keyspace import TenantSpace, Transaction, derived_id, leases
from enchanted.wording import counted

RETURNED: Final = "RETURNED"
_ORCHESTRATORS_ENDS: Final = "the Orchestrator's tickets end by planning tickets or by finishing the job"


@dataclass(frozen=True, slots=True)
class Report:
    """What an agent hands in with its ticket.

    Attributes:
        decisions: Why.
        artifacts: Where the contents stand, written ahead.
    """

    decisions: Sequence[v1.Decision]
    artifacts: Sequence[store.ArtifactRecord] = ()


def record_decisions(
    tr: Transaction, space: TenantSpace, call: Call, lease: v1.Lease, decisions: Sequence[v1.Decision]
) -> None:
    """Add decisions to the history while the ticket goes on. Transactional; once per call.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
    """

    def effect() -> bytes:
        _report(tr, space, call, held(tr, space, lease), Report(decisions))
        return b""

    once(tr, space, call, effect)


def complete_ticket(
    tr: Transaction, space: TenantSpace, call: Call, request: v1.CompleteTicketRequest, report: Report
) -> v1.Ticket:
    """Finish a ticket as DONE or REJECTED. Transactional; once per request.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
        WrongTicketError: If it is the Orchestrator's.
    """

    def effect() -> bytes:
        work = _worker(tr, space, request.lease)
        _report(tr, space, call, work, report)
        _finish(tr, space, call, work, request.state, request.outcome)
        return b""

    once(tr, space, call, effect)
    return _ticket(tr, space, request.lease)


def accept_edit(
    tr: Transaction,
    space: TenantSpace,
    call: Call,
    request: v1.AcceptEditRequest,
    report: Report,
    prepared: workspace.PreparedCommit,
) -> v1.AcceptEditResponse:
    """Move the head to a prepared commit, and finish the ticket as DONE. Transactional; once per request.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
        HeadMovedError: If the head is no longer what the commit was prepared on.
        WrongTicketError: If the ticket is the Orchestrator's.
    """

    def effect() -> bytes:
        work = _worker(tr, space, request.lease)
        _report(tr, space, call, work, report)
        _advance(tr, space, call, work, request, prepared)
        work.ticket.ticket.commit = prepared.head.commit
        _finish(tr, space, call, work, v1.TICKET_STATE_DONE, request.outcome)
        response = v1.AcceptEditResponse(commit=prepared.head.commit, tree=prepared.head.tree)
        return response.SerializeToString()

    return _edit_response(tr, space, request.lease, once(tr, space, call, effect))


@dataclass(frozen=True, slots=True)
class EditBase:
    """On what an edit's commit is prepared, and in whose name."""

    project_id: str
    head: workspace.Head
    author: str


def base_of_edit(tr: Transaction, space: TenantSpace, request: v1.AcceptEditRequest) -> EditBase:
    """The head on which the edit was checked, if it still is the head and the lease holds. Transactional.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
        HeadMovedError: If the head is another tree.
        WrongTicketError: If the ticket is the Orchestrator's.
    """
    work = _worker(tr, space, request.lease)
    project_id = work.job.job.project_id
    head = workspace.read_head(tr, space, project_id)
    if head is None or head.tree != request.expected_tree:
        raise workspace.HeadMovedError(project_id, head.commit if head is not None else "")
    return EditBase(project_id, head, f"{work.ticket.ticket.agent_id} <agents@enchanted.invalid>")


def edit_accepted_before(
    tr: Transaction, space: TenantSpace, call: Call, lease: v1.Lease
) -> v1.AcceptEditResponse | None:
    """What the call answered before, if it took effect. Transactional."""
    earlier = answered(tr, space, call)
    return None if earlier is None else _edit_response(tr, space, lease, earlier)


def return_ticket(tr: Transaction, space: TenantSpace, call: Call, lease: v1.Lease, reason: str) -> v1.Ticket:
    """Give a ticket back, for another agent or, the third time, as FAILED. Transactional; once per lease.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
    """

    def effect() -> bytes:
        work = held(tr, space, lease)
        record, scene = work.ticket, work.scene(call.now_us)
        record.returns += 1
        announcements.signal(tr, space, scene, RETURNED, reason, str(record.ticket.attempts))
        if record.returns >= RETURNS_MAX:
            _finish(tr, space, call, work, v1.TICKET_STATE_FAILED, reason)
        else:
            leases.release(tr, space, work.lease)
            tickets.put_back(tr, space, scene, record)
        return b""

    once(tr, space, call, effect)
    return _ticket(tr, space, lease)


def finish_job(
    tr: Transaction, space: TenantSpace, call: Call, request: v1.FinishJobRequest, report: Report
) -> v1.Job:
    """Finish the Orchestrator's ticket and the job. Transactional; once per request.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
        TicketsUnfinishedError: If the job is to succeed and other tickets are unfinished.
        WrongTicketError: If the ticket is not the Orchestrator's.
    """

    def effect() -> bytes:
        work = held(tr, space, request.lease)
        ticket, job = work.ticket.ticket, work.job
        if ticket.role != events.AGENT_ROLE_ORCHESTRATOR:
            raise WrongTicketError("only the Orchestrator's ticket ends a job", ticket.ticket_id)
        if request.state == v1.JOB_STATE_SUCCEEDED:
            _check_all_finished(tr, space, work)
        records.write_summary(tr, space, job, request.summary)
        _report(tr, space, call, work, report)
        _finish(tr, space, call, work, v1.TICKET_STATE_DONE, request.summary.headline or request.reason)
        end_job(tr, space, work.scene(call.now_us), request.state, request.reason)
        return b""

    once(tr, space, call, effect)
    return records.read_job_in_full(tr, space, request.lease.job_id)


def plan_tickets(
    tr: Transaction,
    space: TenantSpace,
    call: Call,
    lease: v1.Lease,
    report: Report,
    planned: Sequence[store.TicketRecord],
) -> int:
    """Make the tickets of a plan, written ahead, visible, and finish the planning ticket. Transactional.

    Returns:
        How many tickets the job has now.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
        WrongTicketError: If the ticket is not the Orchestrator's first.
    """

    def effect() -> bytes:
        work = check_planning(tr, space, lease)
        records.set_planned_count(tr, space, lease.job_id, 1 + len(planned))
        for record in planned:
            if record.ticket.state == v1.TICKET_STATE_READY:
                records.mark_ready(tr, space, record)
        _report(tr, space, call, work, report)
        _finish(tr, space, call, work, v1.TICKET_STATE_DONE, f"{counted(len(planned), 'ticket')} planned")
        return b""

    once(tr, space, call, effect)
    return records.planned_count(tr, space, lease.job_id)


def check_planning(tr: Transaction, space: TenantSpace, lease: v1.Lease) -> Held:
    """The planning ticket under its lease. Transactional, with a conflict.

    Raises:
        LeaseLostError: As all effects here; see :func:`enchanted.jobs.tickets.held`.
        WrongTicketError: If the ticket is not the Orchestrator's first.
    """
    work = held(tr, space, lease)
    if work.ticket.ticket.role != events.AGENT_ROLE_ORCHESTRATOR or work.ticket.order != 0:
        raise WrongTicketError("only a job's first ticket is for planning", work.ticket.ticket.ticket_id)
    return work


def _worker(tr: Transaction, space: TenantSpace, lease: v1.Lease) -> Held:
    work = held(tr, space, lease)
    if work.ticket.ticket.role == events.AGENT_ROLE_ORCHESTRATOR:
        raise WrongTicketError(_ORCHESTRATORS_ENDS, work.ticket.ticket.ticket_id)
    return work


def _report(tr: Transaction, space: TenantSpace, call: Call, work: Held, report: Report) -> None:
    announcements.decide(tr, space, work.scene(call.now_us), call.request_id, report.decisions)
    for artifact in report.artifacts:
        records.write_artifact(tr, space, work.job, work.ticket.ticket.ticket_id, artifact)


def _finish(
    tr: Transaction, space: TenantSpace, call: Call, work: Held, state: v1.TicketState.ValueType, outcome: str
) -> None:
    leases.release(tr, space, work.lease)
    finish(tr, space, work.scene(call.now_us), work.ticket, state, outcome)


def _advance(
    tr: Transaction,
    space: TenantSpace,
    call: Call,
    work: Held,
    request: v1.AcceptEditRequest,
    prepared: workspace.PreparedCommit,
) -> None:
    scene = work.scene(call.now_us)
    for change in request.files:
        announcements.change_file(tr, space, scene, call.request_id, change)
    event_id = derived_id("evt", call.request_id, "timeline")
    workspace.advance(tr, space, work.job.job.project_id, prepared, event_id=event_id)
    announcements.move_timeline(tr, space, scene, event_id, prepared)


def _check_all_finished(tr: Transaction, space: TenantSpace, work: Held) -> None:
    job_id = work.job.job.job_id
    planned, finished = records.planned_count(tr, space, job_id), records.finished_count(tr, space, job_id)
    others = planned - finished - 1
    if others:
        raise TicketsUnfinishedError(job_id, others)


def _edit_response(
    tr: Transaction, space: TenantSpace, lease: v1.Lease, result: bytes
) -> v1.AcceptEditResponse:
    response = v1.AcceptEditResponse.FromString(result)
    response.ticket.CopyFrom(_ticket(tr, space, lease))
    return response


def _ticket(tr: Transaction, space: TenantSpace, lease: v1.Lease) -> v1.Ticket:
    return records.read_job_and_ticket(tr, space, lease.job_id, lease.ticket_id)[1].ticket
