# SPDX-License-Identifier: Apache-2.0
"""What a job came to, in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import RenderableType

from enchanted.cli.summary import LEFT_ALONE_SHOWN, checks_summary, job_summary, tickets_table
from enchanted.generated.jobs.v1 import jobs_pb2
from enchanted.views import CheckView, job_view, ticket_view

Rendered = Callable[[RenderableType], str]


@pytest.mark.feature("E-07")
def test_the_summary_says_what_changed_what_did_not_and_why(
    ended_job: jobs_pb2.Job, rendered: Rendered
) -> None:
    assert rendered(job_summary(job_view(ended_job))).splitlines() == [
        "succeeded  2 of 3 modules were modernised",
        "",
        "Changed (1 file)",
        "  src/a.py  3 parts, cccccccccc",
        "    f-strings",
        "",
        "Left out (1 part)",
        "  src/b.py:12  replaces Optional[int] by int | None",
        "    test_optional_fields_may_be_missing failed",
        "",
        "Left alone (1 file)",
        "  src/c.py: syntax error in line 3",
        "",
        "Tests",
        "  before  40 passed, 1 skipped",
        "  after   40 passed, 1 skipped",
    ]


@pytest.mark.feature("E-07")
def test_a_failed_job_says_why(rendered: Rendered) -> None:
    job = jobs_pb2.Job(job_id="job_1", state=jobs_pb2.JOB_STATE_FAILED, reason="the agents ended 5 times")
    assert rendered(job_summary(job_view(job))) == "failed  the agents ended 5 times"


@pytest.mark.feature("E-07")
def test_a_long_list_is_cut_and_says_where_the_rest_is(ended_job: jobs_pb2.Job, rendered: Rendered) -> None:
    del ended_job.summary.left_alone[:]
    ended_job.summary.left_alone.extend(f"m{number}.py: generated" for number in range(LEFT_ALONE_SHOWN + 3))
    shown = rendered(job_summary(job_view(ended_job)))
    assert "  and 3 more: enchanted job show job_1 --json" in shown
    assert f"m{LEFT_ALONE_SHOWN}.py" not in shown


@pytest.mark.feature("E-07")
def test_tickets_are_listed_with_their_outcome(rendered: Rendered) -> None:
    ticket = jobs_pb2.Ticket(title="Check", state=jobs_pb2.TICKET_STATE_REJECTED, outcome="a test failed")
    assert "a test failed" in rendered(tickets_table([ticket_view(ticket)]))
    assert rendered(tickets_table([])) == ""


@pytest.mark.feature("E-01")
def test_a_verification_names_what_failed_and_where(rendered: Rendered) -> None:
    checks = [
        ("library", CheckView("tree", passed=True, detail="112 events")),
        ("store", CheckView("files", passed=False, detail="000012.sst")),
    ]
    assert rendered(checks_summary(checks)).splitlines() == [
        "passed library: tree  112 events",
        "FAILED store: files  000012.sst",
    ]
