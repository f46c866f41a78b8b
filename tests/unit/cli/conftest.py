# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command line share: views made with few words, and rendering without a terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from enchanted.generated.jobs.v1 import jobs_pb2


@pytest.fixture
def rendered() -> Callable[[RenderableType], str]:
    """Return a function that renders for a wide pipe, without colours."""

    def render(shown: RenderableType) -> str:
        console = Console(width=200, color_system=None)
        with console.capture() as capture:
            console.print(shown)
        return "\n".join(line.rstrip() for line in capture.get().splitlines())

    return render


@pytest.fixture
def ended_job() -> jobs_pb2.Job:
    """A job that changed one file, left out a part of another, and left a third alone."""
    left_out = jobs_pb2.LeftOutPart(
        description="replaces Optional[int] by int | None",
        reason="test_optional_fields_may_be_missing failed",
        first_line=12,
    )
    summary = jobs_pb2.JobSummary(
        headline="2 of 3 modules were modernised",
        tests_before=jobs_pb2.TestSummary(ran=True, passed=40, skipped=1),
        tests_after=jobs_pb2.TestSummary(ran=True, passed=40, skipped=1),
        edits=[
            jobs_pb2.EditSummary(path="src/a.py", accepted_parts=3, rationale="f-strings", commit="c" * 40),
            jobs_pb2.EditSummary(path="src/b.py", left_out=[left_out]),
        ],
        left_alone=["src/c.py: syntax error in line 3"],
    )
    job = jobs_pb2.Job(
        job_id="job_1",
        project_id="prj_1",
        playbook="modernize",
        state=jobs_pb2.JOB_STATE_SUCCEEDED,
        summary=summary,
        starts=1,
    )
    job.created_time.FromJsonString("2026-11-21T07:00:00Z")
    return job
