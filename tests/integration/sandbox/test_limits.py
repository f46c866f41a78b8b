# SPDX-License-Identifier: Apache-2.0
"""Every limit ends or restrains what goes beyond it, and the outcome says which it was."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enchanted.sandbox import BubblewrapSandbox, Command, Ending, Limits, Mount, Outcome, PythonEnvironment

pytestmark = pytest.mark.feature("E-12")

MIB = 1024 * 1024


async def shell(sandbox: BubblewrapSandbox, script: str, limits: Limits, *mounts: Mount) -> Outcome:
    return await sandbox.run(Command(("sh", "-c", script)), mounts, limits)


async def test_an_ordinary_run_answers_with_what_it_wrote_and_its_exit_code(
    any_sandbox: BubblewrapSandbox,
) -> None:
    outcome = await shell(any_sandbox, "pwd; echo problem >&2; exit 3", Limits())
    assert (outcome.exit_code, outcome.ended) == (3, Ending.EXITED)
    assert (outcome.stdout, outcome.stderr) == (b"/tmp\n", b"problem\n")
    assert not outcome.truncated


async def test_a_program_that_is_not_there_has_the_exit_code_of_a_shell(sandbox: BubblewrapSandbox) -> None:
    outcome = await sandbox.run(Command(("no-such-program",)), (), Limits())
    assert (outcome.exit_code, outcome.ended) == (127, Ending.EXITED)
    assert b"no-such-program" in outcome.stderr


async def test_a_signal_is_told_from_an_exit(sandbox: BubblewrapSandbox) -> None:
    outcome = await shell(sandbox, "kill -SEGV $$", Limits())
    assert (outcome.exit_code, outcome.ended) == (139, Ending.KILLED)


async def test_what_waits_for_ever_is_ended(any_sandbox: BubblewrapSandbox) -> None:
    outcome = await shell(any_sandbox, "echo waiting; sleep infinity", Limits(wall_seconds=0.5))
    assert (outcome.exit_code, outcome.ended) == (None, Ending.TIMED_OUT)
    assert outcome.stdout == b"waiting\n"


async def test_what_ignores_every_polite_signal_is_ended(sandbox: BubblewrapSandbox) -> None:
    script = "trap '' TERM INT HUP; (trap '' TERM; sleep infinity) & sleep infinity"
    assert (await shell(sandbox, script, Limits(wall_seconds=0.5))).ended is Ending.TIMED_OUT


async def test_what_computes_for_ever_is_ended(any_sandbox: BubblewrapSandbox) -> None:
    outcome = await shell(any_sandbox, "while :; do :; done", Limits(cpu_seconds=1, wall_seconds=100))
    assert outcome.ended is Ending.CPU_LIMIT


async def test_a_process_cannot_have_more_memory_than_the_limit(
    sandbox: BubblewrapSandbox, python: PythonEnvironment
) -> None:
    command = Command((str(python.interpreter), "-c", f"bytearray({400 * MIB})"))
    outcome = await sandbox.run(command, python.mounts, Limits(memory_bytes=200 * MIB))
    assert (outcome.exit_code, outcome.ended) == (1, Ending.EXITED)
    assert b"MemoryError" in outcome.stderr
    assert (await sandbox.run(command, python.mounts, Limits(memory_bytes=800 * MIB))).exit_code == 0


async def test_processes_cannot_have_more_memory_together_than_the_limit(
    sandbox: BubblewrapSandbox, python: PythonEnvironment
) -> None:
    if not sandbox.limits_groups:
        pytest.skip("no control groups can be written on this machine")
    # Each child stays below the limit; the parent goes on as soon as one of them has died.
    script = f"""
import os, signal
for _ in range(5):
    if os.fork() == 0:
        taken = b"x" * {60 * MIB}
        signal.pause()
print("died of", os.wait()[1])
"""
    command = Command((str(python.interpreter), "-c", script))
    outcome = await sandbox.run(command, python.mounts, Limits(memory_bytes=200 * MIB, wall_seconds=60))
    assert outcome.ended is Ending.OUT_OF_MEMORY
    assert (await sandbox.run(command, python.mounts, Limits(wall_seconds=1))).ended is Ending.TIMED_OUT


@pytest.mark.parametrize("folder", ["/tmp", "/home/sandbox", "/dev/shm"])  # noqa: S108 - paths inside
async def test_temporary_folders_are_bounded(any_sandbox: BubblewrapSandbox, folder: str) -> None:
    limits = Limits(memory_bytes=200 * MIB)
    fits = await shell(any_sandbox, f"head -c {40 * MIB} /dev/zero > {folder}/file", limits)
    exceeds = await shell(any_sandbox, f"head -c {60 * MIB} /dev/zero > {folder}/file", limits)
    assert fits.exit_code == 0
    assert exceeds.exit_code != 0
    assert b"No space left" in exceeds.stderr


async def test_a_file_cannot_be_larger_than_the_limit(any_sandbox: BubblewrapSandbox, work: Mount) -> None:
    limits = Limits(file_size_bytes=MIB)
    outcome = await shell(any_sandbox, f"head -c {2 * MIB} /dev/zero > /home/sandbox/work/file", limits, work)
    assert outcome.exit_code != 0
    assert (work.source / "file").stat().st_size == MIB


async def test_processes_are_counted(any_sandbox: BubblewrapSandbox) -> None:
    if os.getuid() == 0 and not any_sandbox.limits_groups:
        pytest.skip("the kernel does not count root's processes without control groups")
    script = "for each in $(seq 30); do sleep infinity & done; echo all started"
    assert (await shell(any_sandbox, script, Limits(processes=40))).stdout == b"all started\n"
    outcome = await shell(any_sandbox, script, Limits(processes=20))
    assert outcome.stdout == b""
    assert b"fork" in outcome.stderr


async def test_a_chatty_program_goes_on_and_loses_the_end_of_what_it_says(sandbox: BubblewrapSandbox) -> None:
    outcome = await shell(sandbox, "seq 1000; seq 3 >&2; exit 4", Limits(output_bytes=100))
    assert (outcome.exit_code, outcome.ended, outcome.truncated) == (4, Ending.EXITED, True)
    assert outcome.stdout == b"".join(b"%d\n" % number for number in range(1, 1001))[:100]
    assert outcome.stderr == b"1\n2\n3\n"


@pytest.mark.parametrize("stream", [1, 2])
async def test_a_flood_is_ended(sandbox: BubblewrapSandbox, stream: int) -> None:
    outcome = await shell(sandbox, f"yes >&{stream}", Limits(output_bytes=1000))
    assert (outcome.exit_code, outcome.ended, outcome.truncated) == (None, Ending.OUTPUT_LIMIT, True)
    assert len(outcome.stdout) + len(outcome.stderr) == 1000


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20), max_size=4),
    value=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
)
async def test_arguments_and_variables_arrive_as_they_are(
    sandbox: BubblewrapSandbox, words: list[str], value: str
) -> None:
    script = 'printf "%s\\0" "$VALUE" "$@"'
    command = Command(("sh", "-c", script, "sh", *words), environment={"VALUE": value})
    outcome = await sandbox.run(command, (), Limits())
    assert outcome.stdout.decode().split("\0")[:-1] == [value, *words]
