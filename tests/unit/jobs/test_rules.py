# SPDX-License-Identifier: Apache-2.0
"""What a ticket and a job may do, and what a call may say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from enchanted import jobs
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import model, requests
from enchanted.jobs.launcher import BoundedLog
from enchanted.rpc import InvalidRequestError

pytestmark = pytest.mark.feature("E-07")


def test_a_ticket_fails_with_another_about_the_same_resource() -> None:
    assert model.fails_with(v1.Ticket(resource="app.py"), v1.Ticket(resource="app.py"))


@pytest.mark.parametrize(
    ("dependent", "failed"),
    [
        pytest.param("app.py", "lib.py", id="another resource"),
        pytest.param("", "", id="no resource"),
        pytest.param("app.py", "", id="a ticket about nothing failed"),
        pytest.param("", "app.py", id="a ticket about nothing waits"),
    ],
)
def test_a_ticket_goes_on_after_another_failed_about_something_else(dependent: str, failed: str) -> None:
    assert not model.fails_with(v1.Ticket(resource=dependent), v1.Ticket(resource=failed))


@pytest.mark.parametrize("state", sorted(model.ENDED_JOBS))
def test_an_unfinished_ticket_has_failed_with_a_job_that_ended(state: v1.JobState.ValueType) -> None:
    job = v1.Job(state=state, reason="enough")
    ticket = v1.Ticket(state=v1.TICKET_STATE_LEASED)
    seen = model.as_seen(ticket, job)

    assert (seen.state, seen.outcome) == (v1.TICKET_STATE_FAILED, "the job ended: enough")
    assert ticket.state == v1.TICKET_STATE_LEASED


@pytest.mark.parametrize("state", sorted(model.FINISHED_TICKETS))
def test_a_finished_ticket_stays_what_it_is(state: v1.TicketState.ValueType) -> None:
    ticket = v1.Ticket(state=state, outcome="so it ended")
    assert model.as_seen(ticket, v1.Job(state=v1.JOB_STATE_CANCELLED)) == ticket


def test_restarts_wait_longer_each_time_up_to_ten_seconds() -> None:
    delays = [model.restart_delay_seconds(exits) for exits in range(1, 8)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_an_unknown_playbook_is_answered_with_those_that_exist() -> None:
    with pytest.raises(jobs.UnknownPlaybookError, match="there is: modernize"):
        model.check_playbook("polish")


def test_every_error_of_the_room_has_a_rule() -> None:
    errors = {
        cls for cls in vars(model).values() if isinstance(cls, type) and issubclass(cls, jobs.JobsError)
    }
    assert errors - {jobs.JobsError} <= set(jobs.ERRORS)


def test_a_call_is_its_kind_and_its_content() -> None:
    one = requests.call_of("req_1", v1.ReturnTicketRequest(reason="no"), 1)
    assert one == requests.call_of("req_1", v1.ReturnTicketRequest(reason="no"), 1)
    assert one.content != requests.call_of("req_1", v1.ReturnTicketRequest(reason="yes"), 1).content
    assert (
        requests.call_of("req_1", v1.GetJobRequest(), 1).content
        != requests.call_of("req_1", v1.HeartbeatRequest(), 1).content
    )


def refused(check: Callable[[], object], reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason):
        check()


@pytest.mark.parametrize("text", ["", "x" * 129, "a\nb"])
def test_an_id_is_short_and_printable(text: str) -> None:
    refused(lambda: requests.check_id("request_id", text), "request_id")


@pytest.mark.parametrize("text", ["", "x" * 101, "Ada <ada@example.org>", "a/b", "a b"])
def test_an_agents_name_could_stand_in_a_commit(text: str) -> None:
    refused(lambda: requests.check_agent_id(text), "agent_id")


def test_a_text_has_a_limit() -> None:
    requests.check_text("outcome", "x" * 4000)
    refused(lambda: requests.check_text("outcome", "x" * 4001), "outcome")


def test_artifacts_have_names_and_limits() -> None:
    good = v1.Artifact(name="pack", content=b"12345")
    assert requests.check_artifacts([good]) == 5
    refused(lambda: requests.check_artifacts([good, good]), "own name")
    refused(lambda: requests.check_artifacts([v1.Artifact()]), "name")
    refused(lambda: requests.check_artifacts([v1.Artifact(name="x", content=bytes(8 << 20 | 1))]), "8388608")
    many = [v1.Artifact(name=str(number)) for number in range(17)]
    refused(lambda: requests.check_artifacts(many), "16")


def test_an_edit_names_each_of_a_few_files_once() -> None:
    change = v1.FileChange(path="a.py", content=b"123")
    assert requests.check_files([change, v1.FileChange(path="gone.py")]) == 3
    refused(lambda: requests.check_files([]), "1 to 100")
    refused(lambda: requests.check_files([change, change]), "once")


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan"), float("inf")])
def test_confidence_is_a_share(confidence: float) -> None:
    decision = v1.Decision(decision=events.AgentDecision(confidence_score=confidence))
    refused(lambda: requests.check_words(v1.RecordDecisionsRequest(), [decision]), "confidence_score")


def test_what_is_written_ahead_does_not_count_as_words() -> None:
    artifact = v1.Artifact(name="pack", content=bytes(1 << 20))
    request = v1.CompleteTicketRequest(artifacts=[artifact])
    requests.check_words(request, [], apart_bytes=1 << 20)
    refused(lambda: requests.check_words(request, []), "bytes")


def test_a_log_stops_growing_and_remembers_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "agents.log"
    log = BoundedLog(path, bytes_max=10)
    log.append(b"12345678\n")
    log.append(b"9 and more\n\n")

    assert path.read_bytes() == b"12345678\n9"
    assert log.last_words == "9 and more"
    later = BoundedLog(path, bytes_max=12)
    assert later.last_words == ""
    later.append(b"abcdef")
    assert path.read_bytes() == b"12345678\n9ab"
