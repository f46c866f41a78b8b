# SPDX-License-Identifier: Apache-2.0
"""From messages to views: numbers to words, bytes to places, one-ofs to one line."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from enchanted.generated.history.v1 import events_pb2, history_pb2
from enchanted.generated.jobs.v1 import jobs_pb2
from enchanted.generated.workspace.v1 import workspace_pb2
from enchanted.views.values import (
    ChangeView,
    CheckView,
    DecisionView,
    EditView,
    EventView,
    JobView,
    LeftOutView,
    MomentView,
    ProjectView,
    SignalView,
    SuiteView,
    TicketView,
)

SHORT_ID_DIGITS: Final = 10


def time_text(timestamp: Timestamp) -> str:
    """RFC 3339 in UTC to the millisecond; empty for an unset time."""
    if not timestamp.seconds and not timestamp.nanos:
        return ""
    moment = timestamp.ToDatetime(tzinfo=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def short_commit(commit: str) -> str:
    """The first digits of a Git object id, enough to find it by."""
    return commit[:SHORT_ID_DIGITS]


def place_text(incarnation: int, versionstamp: bytes) -> str:
    """A place as people write it: ``incarnation-versionstamp``."""
    return f"{incarnation}-{versionstamp.hex()}"


def project_view(project: workspace_pb2.Project) -> ProjectView:
    """Show a project."""
    return ProjectView(
        id=project.project_id,
        name=project.name,
        source=project.source,
        created_time=time_text(project.created_time),
        imported_commit=project.imported_commit,
        head_commit=project.head_commit,
    )


def moment_view(moment: workspace_pb2.Moment) -> MomentView:
    """Show a moment."""
    return MomentView(
        place=place_text(moment.incarnation, moment.versionstamp),
        time=time_text(moment.time),
        event_id=moment.event_id,
        commit=moment.commit,
        tree=moment.tree,
    )


def job_view(job: jobs_pb2.Job) -> JobView:
    """Show a job."""
    summary = job.summary
    return JobView(
        id=job.job_id,
        project_id=job.project_id,
        playbook=job.playbook,
        state=_word(jobs_pb2.JobState, job.state, "JOB_STATE_"),
        created_time=time_text(job.created_time),
        finished_time=time_text(job.finished_time),
        reason=job.reason,
        headline=summary.headline,
        base_commit=job.base_commit,
        starts=job.starts,
        tests_before=_suite_view(summary.tests_before) if summary.HasField("tests_before") else None,
        tests_after=_suite_view(summary.tests_after) if summary.HasField("tests_after") else None,
        edits=tuple(_edit_view(edit) for edit in summary.edits),
        left_alone=tuple(summary.left_alone),
    )


def ticket_view(ticket: jobs_pb2.Ticket) -> TicketView:
    """Show a ticket."""
    return TicketView(
        id=ticket.ticket_id,
        job_id=ticket.job_id,
        role=_word(events_pb2.AgentRole, ticket.role, "AGENT_ROLE_"),
        title=ticket.title,
        resource=ticket.resource,
        depends_on=tuple(ticket.depends_on),
        state=_word(jobs_pb2.TicketState, ticket.state, "TICKET_STATE_"),
        agent_id=ticket.agent_id,
        attempts=ticket.attempts,
        outcome=ticket.outcome,
    )


def check_view(check: events_pb2.Check) -> CheckView:
    """Show a check."""
    return CheckView(check.name, check.passed, check.detail)


def event_view(recorded: history_pb2.RecordedEvent) -> EventView:
    """Show an event."""
    event = recorded.event
    decision = _decision_view(event.decision) if event.HasField("decision") else None
    change = _change_view(event.state_change) if event.HasField("state_change") else None
    signal = (
        SignalView(event.system_signal.status, event.system_signal.detail)
        if event.HasField("system_signal")
        else None
    )
    return EventView(
        id=event.event_id,
        place=place_text(recorded.incarnation, recorded.versionstamp),
        time=time_text(event.timestamp),
        role=_word(events_pb2.AgentRole, event.agent_role, "AGENT_ROLE_"),
        agent_id=event.agent_id,
        job_id=event.job_id,
        ticket_id=event.ticket_id,
        summary=_one_line(_summary(decision, change, signal)),
        decision=decision,
        change=change,
        signal=signal,
    )


def suite_text(tests: SuiteView | None) -> str:
    """What the tests said, in words."""
    if tests is None:
        return "not known"
    if not tests.ran:
        return f"none ran{': ' + tests.detail if tests.detail else ''}"
    counted = (
        (tests.passed, "passed"),
        (tests.failed, "failed"),
        (tests.errors, "with errors"),
        (tests.skipped, "skipped"),
    )
    return ", ".join(f"{number} {word}" for number, word in counted if number) or "no test was found"


def _summary(decision: DecisionView | None, change: ChangeView | None, signal: SignalView | None) -> str:
    if decision is not None:
        about = f" {decision.subject}" if decision.subject else ""
        return f"{decision.kind}{about}: {decision.rationale}"
    if change is not None and change.target_type == "TIMELINE":
        return f"moved {change.target} to {short_commit(change.commit)}"
    if change is not None:
        return f"changed {change.target}"
    if signal is not None:
        return f"{signal.status}{': ' + signal.detail if signal.detail else ''}"
    return "an event of a kind that this version does not know"


def _decision_view(decision: events_pb2.AgentDecision) -> DecisionView:
    return DecisionView(
        kind=_word(events_pb2.DecisionKind, decision.kind, "DECISION_KIND_"),
        subject=decision.subject,
        trigger=decision.input_trigger,
        rationale=decision.rationale,
        rejected_alternatives=tuple(decision.rejected_alternatives),
        confidence=round(decision.confidence_score, 3),
        context_hash=decision.context_hash,
        checks=tuple(check_view(check) for check in decision.checks),
    )


def _change_view(change: events_pb2.StateChange) -> ChangeView:
    return ChangeView(
        target_type=change.target_type,
        target=change.target_resource,
        previous_hash=change.previous_state_hash,
        new_hash=change.new_state_hash,
        diff=change.diff_patch,
        commit=change.commit_id,
    )


def _suite_view(tests: jobs_pb2.TestSummary) -> SuiteView:
    return SuiteView(tests.ran, tests.passed, tests.failed, tests.errors, tests.skipped, tests.detail)


def _edit_view(edit: jobs_pb2.EditSummary) -> EditView:
    left_out = tuple(LeftOutView(part.description, part.reason, part.first_line) for part in edit.left_out)
    return EditView(edit.path, edit.accepted_parts, left_out, edit.rationale, edit.commit)


def _word(enumeration: Any, number: int, prefix: str) -> str:  # noqa: ANN401 - any generated enumeration
    """The number's name without prefix; a number of a later release is shown as it is."""
    if number not in enumeration.values():
        return f"unknown_{number}"
    return str(enumeration.Name(number)).removeprefix(prefix).lower()


def _one_line(text: str) -> str:
    return " ".join(text.split())
