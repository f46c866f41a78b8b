# SPDX-License-Identifier: Apache-2.0
"""What the sandbox is for: the tests of Python projects, good and bad."""

import shutil
from pathlib import Path

import pytest

from enchanted.sandbox import BubblewrapSandbox, Command, Ending, Limits, Mount, Outcome, PythonEnvironment
from tests.fixtures.bad_projects import write_project_with_greedy_tests, write_project_with_hanging_tests

pytestmark = pytest.mark.feature("E-12")

SAMPLE = Path(__file__).parents[2] / "fixtures" / "sample_project"


async def run_tests(
    sandbox: BubblewrapSandbox, python: PythonEnvironment, work: Mount, limits: Limits
) -> Outcome:
    argv = (str(python.interpreter), "-m", "pytest", "-q", "-p", "no:cacheprovider")
    return await sandbox.run(
        Command(argv, working_folder="/home/sandbox/work"), [*python.mounts, work], limits
    )


async def test_this_interpreter_runs_inside_with_its_packages(
    sandbox: BubblewrapSandbox, python: PythonEnvironment
) -> None:
    outcome = await sandbox.run(
        Command((str(python.interpreter), "-m", "pytest", "--version")), python.mounts, Limits()
    )
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith(b"pytest ")


async def test_what_lies_beside_the_interpreter_is_not_there(
    sandbox: BubblewrapSandbox, python: PythonEnvironment
) -> None:
    for mount in python.mounts:
        target = Path(mount.target)
        outcome = await sandbox.run(Command(("ls", "-A", str(target.parent))), python.mounts, Limits())
        assert outcome.stdout.decode().split() == [target.name]


async def test_the_tests_of_a_project_pass_inside(
    sandbox: BubblewrapSandbox, python: PythonEnvironment, work: Mount
) -> None:
    shutil.copytree(SAMPLE, work.source, dirs_exist_ok=True)
    outcome = await run_tests(sandbox, python, work, Limits())
    assert (outcome.exit_code, outcome.ended) == (0, Ending.EXITED), outcome


async def test_tests_that_hang_are_ended(
    sandbox: BubblewrapSandbox, python: PythonEnvironment, work: Mount
) -> None:
    write_project_with_hanging_tests(work.source)
    outcome = await run_tests(sandbox, python, work, Limits(wall_seconds=3))
    assert outcome.ended is Ending.TIMED_OUT


async def test_tests_that_eat_memory_fail_and_the_others_have_their_say(
    sandbox: BubblewrapSandbox, python: PythonEnvironment, work: Mount
) -> None:
    write_project_with_greedy_tests(work.source)
    outcome = await run_tests(sandbox, python, work, Limits(memory_bytes=500 * 1024 * 1024))
    assert (outcome.exit_code, outcome.ended) == (1, Ending.EXITED), outcome
    assert b"MemoryError" in outcome.stdout
    assert b"1 failed, 1 passed" in outcome.stdout
