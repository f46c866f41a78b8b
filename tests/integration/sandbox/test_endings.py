# SPDX-License-Identifier: Apache-2.0
"""Nothing outlives a run: however it ends, whoever ends it, and should we be killed ourselves."""

import asyncio
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from enchanted.sandbox import BubblewrapSandbox, Command, Ending, Limits, Mount, SandboxFailedError

pytestmark = pytest.mark.feature("E-12")


def processes_with(mark: str) -> list[int]:
    """The processes of this machine with a text on their command line, but for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if mark.encode() in line and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


@pytest.fixture
def mark(work: Mount) -> str:
    """A text that stands on the command line of this test's processes and no others."""
    return f"mark-of-{work.source.name}"


def waiting_script(mark: str) -> str:
    """Leaves the session and the parent behind in every way it can, then says that it has started."""
    return (
        f"sleep infinity {mark} & setsid sh -c 'sleep infinity; : {mark}' &"
        f"(setsid setsid nohup sh -c 'sleep infinity; : {mark}' >/dev/null 2>&1 &) ;"
        f"echo started > /home/sandbox/work/started; sleep infinity; : {mark}"
    )


async def first_line(fifo: Path) -> bytes:
    """What is written first into a named pipe, waited for on the loop."""
    loop = asyncio.get_running_loop()
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    written: asyncio.Future[bytes] = loop.create_future()

    def read() -> None:
        chunk = os.read(descriptor, 100)
        if chunk and not written.done():
            written.set_result(chunk)

    loop.add_reader(descriptor, read)
    try:
        return await written
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_cancelling_leaves_no_process(any_sandbox: BubblewrapSandbox, work: Mount, mark: str) -> None:
    os.mkfifo(work.source / "started")
    (work.source / "started").chmod(0o666)
    task = asyncio.create_task(
        any_sandbox.run(Command(("sh", "-c", waiting_script(mark))), [work], Limits(wall_seconds=100))
    )
    assert await first_line(work.source / "started") == b"started\n"
    assert len(processes_with(mark)) >= 4
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_with(mark) == []


async def test_cancelling_leaves_no_process_at_whatever_moment(
    sandbox: BubblewrapSandbox, work: Mount, mark: str
) -> None:
    for turns in range(12):
        command = Command(("sh", "-c", f"sleep infinity; : {mark}"))
        task = asyncio.create_task(sandbox.run(command, [work], Limits(wall_seconds=100)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert processes_with(mark) == [], f"cancelled after {turns} turns of the loop"


async def test_what_is_left_in_the_background_ends_with_the_command(
    any_sandbox: BubblewrapSandbox, mark: str
) -> None:
    script = f"setsid sh -c 'sleep infinity; : {mark}' & exit 0"
    outcome = await any_sandbox.run(Command(("sh", "-c", script)), [], Limits(wall_seconds=100))
    assert (outcome.exit_code, outcome.ended) == (0, Ending.EXITED)
    assert processes_with(mark) == []


async def test_a_run_that_times_out_leaves_no_process(sandbox: BubblewrapSandbox, mark: str) -> None:
    script = f"setsid sh -c 'sleep infinity; : {mark}' & sleep infinity"
    outcome = await sandbox.run(Command(("sh", "-c", script)), [], Limits(wall_seconds=0.5))
    assert outcome.ended is Ending.TIMED_OUT
    assert processes_with(mark) == []


RUN_FOR_EVER = """
import asyncio, sys
from pathlib import Path
from enchanted.sandbox import Command, Limits, Mount, open_sandbox

async def main() -> None:
    sandbox = await open_sandbox()
    work = Mount(Path(sys.argv[1]), "/home/sandbox/work", writable=True)
    await sandbox.run(Command(("sh", "-c", sys.argv[2])), [work], Limits())

asyncio.run(main())
"""


async def test_a_run_ends_with_us_should_we_be_killed(work: Mount, mark: str) -> None:
    os.mkfifo(work.source / "started")
    arguments = [sys.executable, "-c", RUN_FOR_EVER, str(work.source), waiting_script(mark)]
    services = str(Path(__file__).parents[3] / "services")
    killed = await asyncio.create_subprocess_exec(*arguments, env={**os.environ, "PYTHONPATH": services})
    await first_line(work.source / "started")
    inside = [os.pidfd_open(process) for process in processes_with(mark) if process != killed.pid]
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL
    assert len(inside) >= 4
    ended = all(select.select([descriptor], [], [], 10)[0] for descriptor in inside)
    for descriptor in inside:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)
    assert ended


async def test_runs_may_overlap(sandbox: BubblewrapSandbox) -> None:
    commands = [Command(("sh", "-c", f"echo {number}; exit {number}")) for number in range(8)]
    outcomes = await asyncio.gather(*(sandbox.run(command, (), Limits()) for command in commands))
    assert [(each.exit_code, each.stdout) for each in outcomes] == [
        (number, b"%d\n" % number) for number in range(8)
    ]


def open_descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


async def test_no_descriptor_is_kept_open(sandbox: BubblewrapSandbox, work: Mount) -> None:
    async def all_kinds() -> None:
        await sandbox.run(Command(("true",)), [work], Limits())
        await sandbox.run(Command(("sleep", "infinity")), [], Limits(wall_seconds=0.2))
        for refused in (Command(("true",), working_folder="/nowhere"), Command(("a\0",))):
            with pytest.raises(SandboxFailedError):
                await sandbox.run(refused, [], Limits())

    await all_kinds()
    before = open_descriptors()
    await all_kinds()
    assert open_descriptors() == before


async def test_a_run_that_cannot_be_set_up_says_why(sandbox: BubblewrapSandbox) -> None:
    with pytest.raises(SandboxFailedError, match=r"could not be set up: .*chdir to /nowhere"):
        await sandbox.run(Command(("true",), working_folder="/nowhere"), [], Limits())
