# SPDX-License-Identifier: Apache-2.0
"""The main job on real projects, as their authors published them: nothing that worked breaks.

`make soak` runs this. The source distributions come from the package index that pip is set up for, once, into
a cache outside the checkout (``ENCHANTED_PEERS``).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Installation, Run
from tests.e2e.scenarios import (
    changed_files,
    check_ended_well,
    check_flips_are_caught,
    check_patch_applies,
    check_replay_equals_clone,
    is_decision,
    kill_agents_in_the_middle,
    kill_platform_in_the_middle,
)

CACHE = Path(os.environ.get("ENCHANTED_PEERS", "~/.cache/enchanted-peers")).expanduser() / "sdists"
# Written in the Python of their time, with tests in the distribution that need pytest alone; toolz has a test
# that fails on a newer Python, which is nobody's fault here.
PROJECTS = ("inflection==0.5.1", "cachetools==4.2.4", "toolz==0.11.2", "more-itertools==8.14.0")
CHANGED_AT_LEAST = 2
FLIPS = 5
DOWNLOAD_SECONDS_MAX = 300
pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


def source_of(requirement: str, folder: Path) -> Path:
    """The unpacked source distribution; downloaded if it is not in the cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    name = requirement.replace("==", "-")
    archive = CACHE / f"{name}.tar.gz"
    if not archive.exists():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--no-binary",
            ":all:",
            "-d",
            str(CACHE),
        ]
        subprocess.run([*command, requirement], check=True, timeout=DOWNLOAD_SECONDS_MAX, capture_output=True)
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder / name


@dataclass
class Done:
    """The main job on one real project."""

    installation: Installation
    run: Run
    source: Path


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Done]]:
    """The main job on each project, done once for all tests."""
    folder = tmp_path_factory.mktemp("real")
    found: dict[str, Done] = {}
    for requirement in PROJECTS:
        source = source_of(requirement, folder)
        installation = Installation(folder / f"data-{source.name}")
        found[requirement] = Done(installation, installation.up(source), source)
    yield found
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.feature("E-07")
@pytest.mark.parametrize("project", PROJECTS)
def test_the_job_ends_well_and_tests_that_passed_before_pass_after(
    jobs: dict[str, Done], project: str
) -> None:
    check_ended_well(jobs[project].run)


@pytest.mark.feature("E-07")
def test_in_most_of_these_projects_something_was_modernised(jobs: dict[str, Done]) -> None:
    changed = [project for project, done in jobs.items() if changed_files(done.run)]
    assert len(changed) >= CHANGED_AT_LEAST, changed


@pytest.mark.feature("X-02")
@pytest.mark.parametrize("project", PROJECTS)
def test_the_patch_applies_to_what_was_published(jobs: dict[str, Done], project: str, tmp_path: Path) -> None:
    done = jobs[project]
    check_patch_applies(done.installation, done.run, done.source, tmp_path / "copy")


@pytest.mark.feature("E-03")
@pytest.mark.parametrize("project", PROJECTS)
def test_replay_at_random_moments_equals_git_clone_of_those_moments(
    jobs: dict[str, Done], project: str, tmp_path: Path
) -> None:
    done = jobs[project]
    check_replay_equals_clone(done.installation, done.run, tmp_path)


@pytest.mark.feature("E-02")
@pytest.mark.parametrize("project", PROJECTS)
def test_a_flipped_byte_is_caught_by_verify(jobs: dict[str, Done], project: str, tmp_path: Path) -> None:
    check_flips_are_caught(jobs[project].installation, tmp_path, FLIPS)


@pytest.mark.feature("E-09")
@pytest.mark.parametrize("project", PROJECTS)
def test_a_killed_agents_process_costs_only_time(jobs: dict[str, Done], project: str, tmp_path: Path) -> None:
    done = jobs[project]
    run = kill_agents_in_the_middle(Installation(tmp_path / "data"), done.source, is_decision("propose"), 1)
    check_ended_well(run)
    assert changed_files(run) == changed_files(done.run)


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("project", PROJECTS)
def test_a_killed_platform_costs_only_time(jobs: dict[str, Done], project: str, tmp_path: Path) -> None:
    done = jobs[project]
    run = kill_platform_in_the_middle(Installation(tmp_path / "data"), done.source, is_decision("propose"), 1)
    check_ended_well(run)
    assert changed_files(run) == changed_files(done.run)
