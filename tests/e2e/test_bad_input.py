# SPDX-License-Identifier: Apache-2.0
"""Whatever a person hands over has a clear outcome: an advice, or a job that says what it could not do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import SAMPLE, Installation
from tests.fixtures import bad_projects

pytestmark = pytest.mark.timeout(900)


def refused(installation: Installation, source: str, *words: str) -> None:
    ended = installation.run("up", "--exit", "--repo", source)
    assert ended.returncode == 3, ended.stderr
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr, ended.stderr


def folder_with(tmp_path: Path, write: Callable[[Path], None]) -> Path:
    folder = tmp_path / "project"
    folder.mkdir(exist_ok=True)
    write(folder)
    return folder


@pytest.mark.feature("E-07")
def test_a_path_that_is_not_there_is_refused_by_name(installation: Installation, tmp_path: Path) -> None:
    refused(installation, str(tmp_path / "absent"), "absent")


@pytest.mark.feature("E-07")
def test_an_empty_folder_is_refused(installation: Installation, tmp_path: Path) -> None:
    refused(installation, str(folder_with(tmp_path, bad_projects.write_empty_folder)), "nothing to import")


@pytest.mark.feature("E-07")
def test_an_address_that_answers_nothing_is_refused_without_a_question(installation: Installation) -> None:
    refused(installation, "http://127.0.0.1:1/nothing.git")


@pytest.mark.feature("E-07")
@pytest.mark.parametrize(
    "write",
    [bad_projects.write_plain_folder, bad_projects.write_project_without_python],
    ids=["plain folder", "no Python"],
)
def test_a_project_without_python_ends_well_with_nothing_changed(
    installation: Installation, tmp_path: Path, write: Callable[[Path], None]
) -> None:
    run = installation.up(folder_with(tmp_path, write))
    assert run.exit_code == 0, run.told
    assert "no Python" in run.job["headline"]
    assert run.job["edits"] == []


@pytest.mark.feature("E-07")
def test_a_project_without_tests_gets_only_changes_that_no_program_can_observe(
    installation: Installation, tmp_path: Path
) -> None:
    run = installation.up(folder_with(tmp_path, bad_projects.write_project_without_tests))
    assert run.exit_code == 0, run.told
    assert not run.job["tests_before"]["ran"]
    plan = next(
        line["event"]["decision"]["rationale"]
        for line in run.lines
        if line["type"] == "event"
        and line["event"]["decision"]
        and line["event"]["decision"]["kind"] == "plan"
    )
    assert "no test stands guard" in plan


@pytest.mark.feature("E-07")
def test_tests_that_failed_before_are_the_baseline_and_blamed_on_nobody(
    installation: Installation, tmp_path: Path
) -> None:
    run = installation.up(folder_with(tmp_path, bad_projects.write_project_with_failing_tests))
    assert run.exit_code == 0, run.told
    before, after = run.job["tests_before"], run.job["tests_after"]
    assert before["failed"] > 0
    assert (after["passed"], after["failed"]) == (before["passed"], before["failed"])


@pytest.mark.feature("E-07")
def test_a_module_that_does_not_parse_is_left_alone_and_the_others_are_done(
    installation: Installation, tmp_path: Path
) -> None:
    run = installation.up(folder_with(tmp_path, bad_projects.write_project_with_a_syntax_error))
    assert run.exit_code == 0, run.told
    assert any("does not parse" in left_alone for left_alone in run.job["left_alone"])
    assert any(edit["accepted_parts"] for edit in run.job["edits"])


@pytest.mark.feature("E-12")
def test_a_test_file_that_hangs_is_left_out_by_name_and_the_others_stand_guard(
    installation: Installation, tmp_path: Path
) -> None:
    installation.variables["ENCHANTED_SUITE_SECONDS"] = "10"
    run = installation.up(folder_with(tmp_path, bad_projects.write_project_with_hanging_tests))
    assert run.exit_code == 0, run.told
    before = run.job["tests_before"]
    assert before["passed"] > 0
    assert "did not end in time" in before["detail"]
    assert run.job["tests_after"]["passed"] == before["passed"]


@pytest.mark.feature("E-12")
def test_a_test_that_eats_memory_fails_alone_and_the_others_stand_guard(
    installation: Installation, tmp_path: Path
) -> None:
    run = installation.up(folder_with(tmp_path, bad_projects.write_project_with_greedy_tests))
    assert run.exit_code == 0, run.told
    before = run.job["tests_before"]
    assert before["passed"] > 0
    assert before["failed"] + before["errors"] == 1
    assert run.job["tests_after"]["passed"] == before["passed"]


@pytest.mark.feature("X-02")
def test_the_persons_own_folder_is_never_written(installation: Installation, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(SAMPLE, folder)

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in sorted([folder, *folder.rglob("*")])
        }

    before = state()
    imported = installation.run("project", "import", str(folder))
    assert imported.returncode == 0, imported.stderr
    assert state() == before


@pytest.mark.feature("K-01")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("frobnicate",), 2, id="no such command"),
        pytest.param(("job", "show", "job_absent"), 3, id="no such job"),
        pytest.param(("diff", "absent"), 3, id="no such project"),
        pytest.param(("up", "--nonsense"), 2, id="no such option"),
        pytest.param(("up", "--no-demo", "--repo", "x"), 2, id="options against each other"),
    ],
)
def test_a_wrong_argument_is_told_in_a_line_with_its_exit_code(
    installation: Installation, arguments: tuple[str, ...], code: int
) -> None:
    ended = installation.run(*arguments)
    assert ended.returncode == code, ended.stderr
    assert ended.stderr.strip()
    assert "Traceback" not in ended.stderr
