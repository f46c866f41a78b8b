# SPDX-License-Identifier: Apache-2.0
"""From messages to what people and scripts are shown."""

from __future__ import annotations

import dataclasses

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from enchanted.generated.history.v1 import events_pb2, history_pb2
from enchanted.generated.jobs.v1 import jobs_pb2
from enchanted.generated.workspace.v1 import workspace_pb2
from enchanted.views import (
    EventView,
    event_view,
    job_view,
    moment_view,
    project_view,
    suite_text,
    ticket_view,
    time_text,
)


def _recorded(event: events_pb2.SwarmEvent) -> EventView:
    return event_view(history_pb2.RecordedEvent(incarnation=2, versionstamp=bytes(range(12)), event=event))


@pytest.mark.feature("E-01")
def test_times_are_rfc_3339_in_utc_and_an_unset_one_is_empty() -> None:
    moment = Timestamp()
    moment.FromMicroseconds(1_700_000_000_123_456)
    assert time_text(moment) == "2023-11-14T22:13:20.123Z"
    assert time_text(Timestamp()) == ""


@pytest.mark.feature("E-01")
def test_a_decision_is_shown_with_its_reasons() -> None:
    decision = events_pb2.AgentDecision(
        kind=events_pb2.DECISION_KIND_REJECT,
        subject="a.py",
        rationale="a test\n  failed",
        rejected_alternatives=["keep it"],
        confidence_score=0.9,
    )
    shown = _recorded(events_pb2.SwarmEvent(agent_role=events_pb2.AGENT_ROLE_CRITIC, decision=decision))
    assert shown.role == "critic"
    assert shown.place == "2-000102030405060708090a0b"
    assert shown.summary == "reject a.py: a test failed"
    assert shown.decision is not None
    assert shown.decision.confidence == 0.9
    assert shown.decision.rejected_alternatives == ("keep it",)
    assert (shown.change, shown.signal) == (None, None)


@pytest.mark.feature("E-01")
def test_changes_and_signals_are_told_in_a_line() -> None:
    moved = events_pb2.StateChange(target_type="TIMELINE", target_resource="main", commit_id="d" * 40)
    written = events_pb2.StateChange(target_type="FILE_SYSTEM", target_resource="a.py")
    signal = events_pb2.SystemSignal(status="STARTING", detail="start 1")
    told = [
        _recorded(event).summary
        for event in (
            events_pb2.SwarmEvent(state_change=moved),
            events_pb2.SwarmEvent(state_change=written),
            events_pb2.SwarmEvent(system_signal=signal),
        )
    ]
    assert told == ["moved main to dddddddddd", "changed a.py", "STARTING: start 1"]


@pytest.mark.feature("E-01")
def test_a_message_of_a_later_release_is_shown_and_not_refused() -> None:
    event = events_pb2.SwarmEvent.FromString(bytes((5 << 3, 99)))
    shown = _recorded(event)
    assert shown.role == "unknown_99"
    assert shown.summary == "an event of a kind that this version does not know"


@pytest.mark.feature("E-07")
def test_a_job_counts_what_was_accepted_and_left_out(ended_job: jobs_pb2.Job) -> None:
    shown = job_view(ended_job)
    assert (shown.state, shown.ended) == ("succeeded", True)
    assert (shown.accepted_parts, shown.left_out_parts) == (3, 1)
    assert shown.created_time == "2026-11-21T07:00:00.000Z"
    assert shown.finished_time == ""


@pytest.mark.feature("E-07")
@pytest.mark.parametrize(
    ("state", "ended"),
    [("QUEUED", False), ("RUNNING", False), ("SUCCEEDED", True), ("FAILED", True), ("CANCELLED", True)],
    ids=["queued", "running", "succeeded", "failed", "cancelled"],
)
def test_every_state_of_a_job_has_a_word_and_an_end_or_none(state: str, *, ended: bool) -> None:
    shown = job_view(jobs_pb2.Job(state=jobs_pb2.JobState.Value(f"JOB_STATE_{state}")))
    assert (shown.state, shown.ended) == (state.lower(), ended)


@pytest.mark.feature("E-07")
def test_tests_are_told_in_words() -> None:
    told = [
        suite_text(job_view(jobs_pb2.Job(summary=jobs_pb2.JobSummary(tests_before=tests))).tests_before)
        for tests in (
            jobs_pb2.TestSummary(ran=True, passed=3, failed=1, errors=2),
            jobs_pb2.TestSummary(ran=True),
            jobs_pb2.TestSummary(ran=False, detail="there are no tests"),
        )
    ]
    assert told == ["3 passed, 1 failed, 2 with errors", "no test was found", "none ran: there are no tests"]
    assert suite_text(job_view(jobs_pb2.Job()).tests_before) == "not known"


@pytest.mark.feature("E-01")
def test_json_has_nothing_that_json_cannot_say() -> None:
    views = (
        project_view(workspace_pb2.Project(name="library")),
        moment_view(workspace_pb2.Moment(incarnation=1, versionstamp=bytes(12))),
        ticket_view(jobs_pb2.Ticket(depends_on=["tkt_1"])),
        job_view(jobs_pb2.Job()),
        _recorded(events_pb2.SwarmEvent(decision=events_pb2.AgentDecision(checks=[events_pb2.Check()]))),
    )

    def plain(value: object) -> bool:
        if isinstance(value, dict):
            return all(isinstance(name, str) and plain(item) for name, item in value.items())
        if isinstance(value, list | tuple):
            return all(plain(item) for item in value)
        return value is None or isinstance(value, str | int | float | bool)

    assert all(plain(dataclasses.asdict(view)) for view in views)
