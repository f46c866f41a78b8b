# SPDX-License-Identifier: Apache-2.0
"""Agents' processes on this machine: real children that do what a line of Python says."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from enchanted.jobs import AgentsProcess, Assignment, LaunchError, LocalLauncher
from enchanted.jobs.launcher import AGENTS_COMMAND, LocalProcess

pytestmark = pytest.mark.feature("E-07")

ASSIGNMENT = Assignment("unix:/hub", 300, "job_1", "prj_1", "a token")
OBEDIENT = "import sys; sys.stdin.read()"
DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open("../ready", "w") as ready:
    ready.write(str(grandchild.pid))
time.sleep(600)
"""


async def launch(folder: Path, code: str, **environment: str) -> LocalProcess:
    """Run a line of Python as agents are run."""
    launcher = LocalLauncher(folder / "logs", environment, (sys.executable, "-c", code))
    process = await launcher.launch(ASSIGNMENT)
    assert isinstance(process, LocalProcess)
    return process


async def launch_deaf(folder: Path) -> tuple[LocalProcess, int]:
    """A child that ignores SIGTERM and has a child of its own, and a descriptor of that one."""
    os.mkfifo(folder / "ready")
    process = await launch(folder, DEAF)
    # Reading waits until the child has opened the other end.
    grandchild = await asyncio.to_thread((folder / "ready").read_text)
    return process, os.pidfd_open(int(grandchild))


async def until_gone(descriptor: int) -> None:
    """Wait until a process has ended; a process's descriptor is readable then."""
    await asyncio.to_thread(select.select, [descriptor], [], [])
    os.close(descriptor)


def is_alive(descriptor: int) -> bool:
    return not select.select([descriptor], [], [], 0)[0]


def log_of(folder: Path) -> str:
    return (folder / "logs" / "agents-job_1.log").read_text()


async def until_ended(process: AgentsProcess) -> str:
    try:
        return await process.wait()
    finally:
        await process.stop()


async def test_a_child_is_told_its_job_in_one_line(tmp_path: Path) -> None:
    process = await launch(tmp_path, "import sys; sys.stderr.write(sys.stdin.readline())")
    await until_ended(process)

    assert json.loads(log_of(tmp_path)) == asdict(ASSIGNMENT)


async def test_a_child_sees_only_harmless_variables(tmp_path: Path) -> None:
    code = "import os, sys; sys.stderr.write(' '.join(sorted(os.environ)))"
    process = await launch(tmp_path, code, PATH="/bin", HOME="/home", API_KEY="secret", ENCHANTED_DATA="/d")
    await until_ended(process)

    seen = set(log_of(tmp_path).split())
    assert {"PATH", "HOME"} <= seen
    assert not seen & {"API_KEY", "ENCHANTED_DATA"}


async def test_a_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    process = await launch(tmp_path, OBEDIENT)
    try:
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
    finally:
        await process.stop()


async def test_the_end_of_a_child_is_told_with_its_last_words(tmp_path: Path) -> None:
    code = "import sys; sys.exit('no bubblewrap: install it')"
    assert await until_ended(await launch(tmp_path, code)) == "exit code 1: no bubblewrap: install it"


async def test_a_killed_child_is_told_by_its_signal(tmp_path: Path) -> None:
    process = await launch(tmp_path, OBEDIENT)
    os.kill(process.pid, signal.SIGKILL)

    assert await until_ended(process) == "killed by SIGKILL"


async def test_a_child_ends_when_its_input_does(tmp_path: Path) -> None:
    process = await launch(tmp_path, OBEDIENT)
    await process.stop()

    assert await process.wait() == "exit code 0"


async def test_a_child_that_does_not_listen_is_killed_with_its_own_children(tmp_path: Path) -> None:
    process, grandchild = await launch_deaf(tmp_path)
    await process.stop()

    assert await process.wait() == "killed by SIGKILL"
    await until_gone(grandchild)


async def test_the_death_of_a_child_is_noticed_though_its_own_children_live(tmp_path: Path) -> None:
    process, grandchild = await launch_deaf(tmp_path)
    os.kill(process.pid, signal.SIGKILL)

    assert await process.wait() == "killed by SIGKILL"
    assert is_alive(grandchild)
    await process.stop()
    await until_gone(grandchild)


async def test_a_child_that_writes_without_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write(('x' * 1023 + '\\n') * 6000); sys.stderr.write('last words')"
    ending = await until_ended(await launch(tmp_path, code))

    assert ending == "exit code 0: last words"
    assert (tmp_path / "logs" / "agents-job_1.log").stat().st_size == 4 << 20


async def test_a_program_that_is_not_there_is_a_launch_error(tmp_path: Path) -> None:
    absent = LocalLauncher(tmp_path / "logs", {}, (str(tmp_path / "absent"),))
    with pytest.raises(LaunchError, match="does not start"):
        await absent.launch(ASSIGNMENT)


def test_agents_do_not_import_from_the_folder_they_start_in() -> None:
    assert AGENTS_COMMAND[1:] == ("-P", "-m", "enchanted.swarm")
