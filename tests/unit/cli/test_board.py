# SPDX-License-Identifier: Apache-2.0
"""The state of a watched job, and how it is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import RenderableType

from enchanted.cli.board import DECISIONS_SHOWN, Board, news, picture
from enchanted.generated.history.v1 import events_pb2, history_pb2
from enchanted.generated.jobs.v1 import jobs_pb2
from enchanted.views import event_view, job_view, ticket_view

Rendered = Callable[[RenderableType], str]


def _decision(
    kind: events_pb2.DecisionKind.ValueType, rationale: str, *, passed: int = 0, failed: int = 0
) -> history_pb2.RecordedEvent:
    checks = [events_pb2.Check(name="tests", passed=number < passed) for number in range(passed + failed)]
    decision = events_pb2.AgentDecision(kind=kind, subject="a.py", rationale=rationale, checks=checks)
    event = events_pb2.SwarmEvent(
        event_id=f"evt_{rationale}", agent_role=events_pb2.AGENT_ROLE_CRITIC, decision=decision
    )
    return history_pb2.RecordedEvent(incarnation=1, versionstamp=bytes(12), event=event)


def _ticket(number: int, state: jobs_pb2.TicketState.ValueType, outcome: str = "") -> jobs_pb2.Ticket:
    return jobs_pb2.Ticket(
        ticket_id=f"tkt_{number}",
        role=events_pb2.AGENT_ROLE_CODER,
        title=f"Modernise module {number}",
        state=state,
        outcome=outcome,
    )


@pytest.fixture
def board() -> Board:
    job = jobs_pb2.Job(job_id="job_1", playbook="modernize", state=jobs_pb2.JOB_STATE_RUNNING)
    return Board("library", job_view(job))


@pytest.mark.feature("E-07")
def test_decisions_and_checks_are_counted_and_the_newest_are_kept(board: Board) -> None:
    for number in range(DECISIONS_SHOWN + 2):
        event = _decision(events_pb2.DECISION_KIND_ACCEPT, f"reason {number}", passed=2, failed=1)
        board = board.with_event(event_view(event))
    board = board.with_event(event_view(_decision(events_pb2.DECISION_KIND_REJECT, "harmful", failed=1)))
    assert board.kinds == {"accept": DECISIONS_SHOWN + 2, "reject": 1}
    assert board.checks_passed == 2 * (DECISIONS_SHOWN + 2)
    assert board.checks_failed == DECISIONS_SHOWN + 3
    assert len(board.decisions) == DECISIONS_SHOWN
    assert board.decisions[-1].summary == "reject a.py: harmful"


@pytest.mark.feature("E-07")
def test_a_moved_head_counts_as_a_commit_and_a_changed_file_does_not(board: Board) -> None:
    for target_type in ("TIMELINE", "FILE_SYSTEM"):
        change = events_pb2.StateChange(target_type=target_type, target_resource="main")
        event = history_pb2.RecordedEvent(event=events_pb2.SwarmEvent(state_change=change))
        board = board.with_event(event_view(event))
    assert board.commits == 1


@pytest.mark.feature("E-07")
def test_the_picture_shows_states_agents_and_decisions(board: Board, rendered: Rendered) -> None:
    tickets = [
        _ticket(1, jobs_pb2.TICKET_STATE_DONE),
        _ticket(2, jobs_pb2.TICKET_STATE_LEASED),
        _ticket(3, jobs_pb2.TICKET_STATE_BLOCKED),
    ]
    event = _decision(events_pb2.DECISION_KIND_REJECT, "a test\nfailed [red]\x1b[31m", failed=1)
    board = board.with_state(board.job, [ticket_view(ticket) for ticket in tickets])
    shown = rendered(picture(board.with_event(event_view(event)), seconds=75))
    assert "modernize library  running  1:15  job_1" in shown
    assert "1 blocked  1 leased  1 done" in shown
    assert "0 passed  1 failed" in shown
    assert "coder  Modernise module 2" in shown
    assert "reject   a.py: a test failed [red]\N{REPLACEMENT CHARACTER}[31m" in shown


@pytest.mark.feature("E-07")
def test_news_are_the_changes_of_tickets_and_of_the_job(board: Board) -> None:
    before = board.with_state(board.job, [ticket_view(_ticket(1, jobs_pb2.TICKET_STATE_LEASED))])
    ended = jobs_pb2.Job(job_id="job_1", state=jobs_pb2.JOB_STATE_SUCCEEDED)
    tickets = [
        _ticket(1, jobs_pb2.TICKET_STATE_REJECTED, "2 parts left out"),
        _ticket(2, jobs_pb2.TICKET_STATE_READY),
        _ticket(3, jobs_pb2.TICKET_STATE_BLOCKED),
    ]
    after = before.with_state(job_view(ended), [ticket_view(ticket) for ticket in tickets])
    assert list(news(before, after)) == [
        "job job_1 succeeded",
        "rejected coder Modernise module 1: 2 parts left out",
        "ready    coder Modernise module 2",
    ]
    assert list(news(after, after)) == []
