# SPDX-License-Identifier: Apache-2.0
"""The main job on the sample, as a new user runs it and then looks at what came of it."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SAMPLE, Installation, Run
from tests.e2e.scenarios import (
    changed_files,
    check_ended_well,
    check_patch_applies,
    check_replay_equals_clone,
    content,
    git,
)

PLANTED = "settings.py"
GUARD = "test_optional_fields_may_be_missing"
pytestmark = pytest.mark.timeout(900)


def sample_tests_pass(folder: Path) -> bool:
    options = (
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-c",
        "/dev/null",
        "--rootdir",
        str(folder),
    )
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder / "tests")],
        env={"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode == 0


@pytest.mark.feature("E-07")
def test_the_job_ends_well_and_its_history_verifies(done: tuple[Installation, Run]) -> None:
    check_ended_well(done[1])


@pytest.mark.feature("E-07")
def test_edits_of_many_modules_are_accepted_each_with_its_reason(done: tuple[Installation, Run]) -> None:
    _, run = done
    accepted = [edit for edit in run.job["edits"] if edit["accepted_parts"]]
    assert len(accepted) >= 10
    assert all(edit["rationale"] for edit in accepted)


@pytest.mark.feature("E-07")
def test_the_planted_harmful_part_is_left_out_and_the_test_that_guards_it_is_named(
    done: tuple[Installation, Run],
) -> None:
    _, run = done
    planted = next(edit for edit in run.job["edits"] if edit["path"].endswith(PLANTED))
    assert planted["accepted_parts"] > 0
    assert planted["left_out"]
    assert any(GUARD in part["reason"] for part in planted["left_out"])


@pytest.mark.feature("E-07")
def test_every_test_that_passed_before_passes_after(done: tuple[Installation, Run]) -> None:
    _, run = done
    before, after = run.job["tests_before"], run.job["tests_after"]
    assert before["ran"]
    assert after["passed"] == before["passed"] > 0
    assert after["failed"] == after["errors"] == 0


@pytest.mark.feature("E-01")
def test_the_history_tells_plan_packs_proposals_trials_and_verdicts(done: tuple[Installation, Run]) -> None:
    _, run = done
    events = [line["event"] for line in run.lines if line["type"] == "event"]
    kinds = {event["decision"]["kind"] for event in events if event["decision"]}
    assert {"plan", "scout", "propose", "trial", "accept", "reject", "finish"} <= kinds
    changes = [event["change"] for event in events if event["change"]]
    assert {change["target_type"] for change in changes} == {"FILE_SYSTEM", "TIMELINE"}
    assert all(event["decision"]["context_hash"] for event in events if event["decision"])


@pytest.mark.feature("X-02")
def test_the_patch_applies_to_the_original_and_its_tests_pass(
    done: tuple[Installation, Run], tmp_path: Path
) -> None:
    installation, run = done
    copy = tmp_path / "copy"
    check_patch_applies(installation, run, SAMPLE, copy)
    assert content(copy) != content(SAMPLE)
    assert sample_tests_pass(copy)


@pytest.mark.feature("E-03")
def test_replay_at_random_moments_equals_git_clone_of_those_moments(
    done: tuple[Installation, Run], tmp_path: Path
) -> None:
    installation, run = done
    assert len(check_replay_equals_clone(installation, run, tmp_path)) > 1


@pytest.mark.feature("X-02")
def test_git_clone_has_a_commit_for_each_accepted_edit(
    done: tuple[Installation, Run], tmp_path: Path
) -> None:
    installation, run = done
    with installation.serving() as url:
        git("clone", "-q", f"{url}/git/local/{run.project['name']}", "clone", cwd=tmp_path)
    clone = tmp_path / "clone"
    commits = git("log", "--format=%H", cwd=clone).split()
    assert len(commits) == changed_files(run) + 1
    assert {edit["commit"] for edit in run.job["edits"] if edit["accepted_parts"]} == set(commits[:-1])
    git("fsck", "--strict", cwd=clone)
    assert sample_tests_pass(clone)


@pytest.mark.feature("X-02")
def test_an_address_of_git_is_imported_with_its_history(
    done: tuple[Installation, Run], tmp_path: Path
) -> None:
    installation, run = done
    other = Installation(tmp_path / "other")
    with installation.serving() as url:
        imported = other.answer(
            "project", "import", f"{url}/git/local/{run.project['name']}", "--name", "copy"
        )
    with other.serving() as url:
        git("clone", "-q", f"{url}/git/local/copy", "clone", cwd=tmp_path)
    commits = git("log", "--format=%H", cwd=tmp_path / "clone").split()
    assert commits[0] == imported["project"]["imported_commit"]
    assert len(commits) == changed_files(run) + 1


@pytest.mark.feature("E-03")
def test_the_pages_show_the_project_its_job_and_its_history(done: tuple[Installation, Run]) -> None:
    installation, run = done

    def page(url: str) -> str:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - the hub of this test on 127.0.0.1
            return str(answer.read().decode())

    with installation.serving() as url:
        assert run.project["name"] in page(f"{url}/")
        assert run.job["id"] in page(f"{url}/projects/{run.project['id']}")
        assert GUARD in page(f"{url}/jobs/{run.job['id']}")


@pytest.mark.feature("E-07")
def test_the_same_command_again_shows_the_result_and_works_on_nothing(
    done: tuple[Installation, Run],
) -> None:
    installation, first = done
    again = installation.up(SAMPLE)
    assert again.exit_code == 0, again.told
    assert again.job["id"] == first.job["id"]
    assert len(installation.answer("job", "list")["jobs"]) == 1


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("live", [True, False], ids=["through a live hub", "with the rooms in the command"])
def test_commands_answer_alike_with_and_without_a_live_hub(
    done: tuple[Installation, Run],
    live: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    installation, run = done
    name = run.project["name"]

    def answers() -> list[Any]:
        commands = (
            ("project", "list"),
            ("job", "list"),
            ("job", "show", run.job["id"]),
            ("diff", name),
            ("project", "export", name, "--patch"),
        )
        return [installation.answer(*command) for command in commands]

    here = answers()
    if live:
        with installation.serving():
            assert answers() == here
    else:
        assert answers() == here
