# SPDX-License-Identifier: Apache-2.0
"""Killing any part in the middle of a job, or stopping it by hand, costs time and nothing else."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import SAMPLE, Installation, Run
from tests.e2e.scenarios import (
    agents_process,
    changed_files,
    check_ended_well,
    is_decision,
    is_gone,
    kill_agents_in_the_middle,
    kill_platform_in_the_middle,
    lines_until,
    start_job,
)

ACCEPTED_BEFORE_THE_FAULT = 2
pytestmark = pytest.mark.timeout(900)


def check_sample_was_done(run: Run) -> None:
    check_ended_well(run)
    assert changed_files(run) >= 10


@pytest.mark.feature("E-09")
def test_a_killed_agents_process_is_replaced_and_the_job_ends_well(installation: Installation) -> None:
    run = kill_agents_in_the_middle(installation, SAMPLE, is_decision("accept"), ACCEPTED_BEFORE_THE_FAULT)
    check_sample_was_done(run)
    assert run.job["starts"] >= 2


@pytest.mark.feature("K-01")
def test_after_a_killed_platform_the_same_command_finishes_the_same_job(installation: Installation) -> None:
    run = kill_platform_in_the_middle(installation, SAMPLE, is_decision("accept"), ACCEPTED_BEFORE_THE_FAULT)
    check_sample_was_done(run)


@pytest.mark.feature("E-07")
def test_ctrl_c_stops_keeps_what_was_done_and_says_how_to_go_on(installation: Installation) -> None:
    started = start_job(installation, SAMPLE)
    lines_until(started, is_decision("accept"), ACCEPTED_BEFORE_THE_FAULT)
    agents = agents_process(started.pid)
    started.process.send_signal(signal.SIGINT)
    # The promise is two seconds; a machine at its limit is given more, and not more than this.
    stopped = started.end(seconds_max=20)
    assert stopped.exit_code == 130
    assert "goes on" in stopped.told
    assert "Traceback" not in stopped.told
    assert is_gone(agents)
    assert not (installation.data / "hub.json").exists()
    check_sample_was_done(installation.up(SAMPLE))


@pytest.mark.feature("K-01")
def test_a_port_in_use_is_one_clear_line_with_what_to_do(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", installation.port))
        taken.listen()
        ended = installation.run("up", "--no-demo")
    assert ended.returncode == 4
    assert str(installation.port) in ended.stderr
    assert "ENCHANTED_PORT=" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 2


@pytest.mark.feature("K-01")
def test_a_second_hub_on_the_folder_uses_the_first_one(installation: Installation) -> None:
    with installation.serving() as url:
        ended = installation.run("up", "--no-demo", "--exit")
        assert ended.returncode == 0, ended.stderr
        assert url in ended.stderr


@pytest.mark.feature("E-12")
def test_without_bubblewrap_nothing_runs_and_one_line_says_what_to_do(
    installation: Installation, tmp_path: Path
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").symlink_to("/usr/bin/git")
    installation.variables["PATH"] = str(tools)
    ended = installation.run("up", "--exit", "--repo", str(SAMPLE))
    assert ended.returncode == 4
    assert "bubblewrap" in ended.stderr
    assert "make setup" in ended.stderr
    assert "Traceback" not in ended.stderr
