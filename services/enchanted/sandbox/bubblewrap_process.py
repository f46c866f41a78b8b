# SPDX-License-Identifier: Apache-2.0
"""One process of bubblewrap, from its start to the end of everything inside.

The danger is not the run that ends but the one that does not: a process that outlives its parent, a pipe
that is held open, a task cancelled between starting a child and knowing its number. So bubblewrap is told
to wait before it goes on (`--block-fd`); meanwhile its first process inside is named by a descriptor and
put into its control group. Killing that process makes the kernel kill all others in its namespace, and its
descriptor tells when the last of them has gone (pid_namespaces(7)). Should our own process be killed,
bubblewrap goes with it, and so does all within.

Bubblewrap reports on a descriptor of its own (`--json-status-fd`), one JSON object a line: `child-pid`
before it waits, `exit-code` at the end, and the latter only if the command was started; this tells a
command that failed from a sandbox that could not be set up.
"""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from enchanted.sandbox.arguments import ETC_FILES, limited, sandbox_arguments
from enchanted.sandbox.control_groups import ControlGroups, Group
from enchanted.sandbox.model import (
    FLOOD_FACTOR,
    Command,
    Ending,
    Limits,
    Mount,
    Obstacle,
    Outcome,
    SandboxFailedError,
    SandboxUnavailableError,
)
from enchanted.sandbox.pipes import Pipe, exit_of

_STATUS_BYTES = 4096
_SIGNALLED = 128


class BubblewrapProcess:
    """A running bubblewrap: `release`, `ended`, `gone` and `outcome` in this order, `kill` at any time."""

    def __init__(self, process: subprocess.Popen[bytes], ends: "_OurEnds", limits: Limits) -> None:
        """Take over a process that was just started, and the descriptors that lead to it."""
        flood_bytes = limits.output_bytes * FLOOD_FACTOR
        self._process = process
        self._gate = ends.gate
        self._status = Pipe(ends.status, _STATUS_BYTES, _STATUS_BYTES)
        self._stdout = Pipe(ends.stdout, limits.output_bytes, flood_bytes)
        self._stderr = Pipe(ends.stderr, limits.output_bytes, flood_bytes)
        self._outer = os.pidfd_open(process.pid)
        self._outer_exit = exit_of(self._outer)
        self._inner: int | None = None
        self._inner_process_id = 0
        self._group: Group | None = None
        self._out_of_memory = False

    @classmethod
    def start(
        cls,
        bubblewrap: Path,
        prlimit: Path,
        system: Sequence[str],
        command: Command,
        mounts: Sequence[Mount],
        limits: Limits,
    ) -> "BubblewrapProcess":
        """Start bubblewrap; it waits for `release`.

        Nothing is awaited here, so that there is no moment at which a cancelled task leaves half a child
        behind.

        Raises:
            SandboxFailedError: The request cannot be met.
            SandboxUnavailableError: Bubblewrap is no longer there.
        """
        with ExitStack() as ours, ExitStack() as theirs:
            ends, stdout, stderr, status, gate = _pipes(ours, theirs)
            etc = [(name, _memory_file(theirs, text.encode())) for name, text in ETC_FILES.items()]
            arguments = sandbox_arguments(command, mounts, limits, system, etc)
            arguments += ["--json-status-fd", str(status), "--block-fd", str(gate)]
            options = _memory_file(theirs, b"".join(os.fsencode(each) + b"\0" for each in arguments))
            try:
                process = subprocess.Popen(  # noqa: S603 - running what it is given is what a sandbox is for
                    [bubblewrap, "--args", str(options), "--", *limited(command.argv, limits, prlimit)],
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env={},
                    pass_fds=[options, status, gate, *(descriptor for _, descriptor in etc)],
                )
            except FileNotFoundError as error:
                raise SandboxUnavailableError(Obstacle.NO_BUBBLEWRAP, str(error)) from error
            except OSError as error:
                raise SandboxFailedError("bubblewrap could not be started", str(error)) from error
            ours.pop_all()
            return cls(process, ends, limits)

    async def release(self, control_groups: ControlGroups | None, limits: Limits) -> None:
        """Put the first process inside into its control group, and let it go on.

        Raises:
            SandboxFailedError: There is no such group to be had.
        """
        await self._name_inner()
        if self._inner is None:
            return
        if control_groups is not None:
            try:
                self._group = control_groups.hold(self._inner_process_id, limits)
            except OSError as error:
                raise SandboxFailedError("the run could not be limited as a group", str(error)) from error
        with suppress(BrokenPipeError):
            os.write(self._gate, b"\n")

    async def ended(self) -> Ending:
        """Wait until the command has ended by itself, or floods its output."""
        floods = {self._stdout.flooded, self._stderr.flooded}
        await asyncio.wait({self._outer_exit, *floods}, return_when=asyncio.FIRST_COMPLETED)
        return Ending.EXITED if self._outer_exit.done() else Ending.OUTPUT_LIMIT

    def kill(self) -> None:
        """Kill everything inside; if bubblewrap has yet to say what that is, leave it to `gone`."""
        if self._inner is not None:
            for descriptor in (self._inner, self._outer):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    async def gone(self) -> None:
        """Kill what is left, wait until it has gone, and give back all that the run held."""
        await self._name_inner()
        self.kill()
        await asyncio.wait({self._outer_exit})
        self._process.wait()
        if self._inner is not None:
            await asyncio.wait({exit_of(self._inner)})
            os.close(self._inner)
        os.close(self._outer)
        os.close(self._gate)
        for pipe in (self._status, self._stdout, self._stderr):
            pipe.close()
        if self._group is not None:
            self._out_of_memory = self._group.out_of_memory()
            self._group.remove()

    def outcome(self, ending: Ending, wall_seconds: float) -> Outcome:
        """What came of the run, once it has gone.

        Args:
            ending: What was seen from outside: ended by itself, or why it was killed.
            wall_seconds: How long it took.

        Raises:
            SandboxFailedError: The command was never started.
        """
        exit_code = None
        if ending is Ending.EXITED:
            exit_code = self._exit_code()
            if exit_code is None and self._process.returncode > 0 and not self._out_of_memory:
                raise SandboxFailedError("the sandbox could not be set up", self._last_words())
            ending = _ending_of(exit_code)
        return Outcome(
            exit_code=exit_code,
            stdout=bytes(self._stdout.kept),
            stderr=bytes(self._stderr.kept),
            ended=Ending.OUT_OF_MEMORY if self._out_of_memory else ending,
            wall_seconds=wall_seconds,
            truncated=self._stdout.truncated or self._stderr.truncated,
        )

    async def _name_inner(self) -> None:
        """Learn which process is the first one inside; there is none if bubblewrap gave up before."""
        await asyncio.wait({self._status.first_line})
        line = self._status.first_line.result()
        if line and self._inner is None:
            self._inner_process_id = int(json.loads(line)["child-pid"])
            with suppress(ProcessLookupError):
                self._inner = os.pidfd_open(self._inner_process_id)

    def _exit_code(self) -> int | None:
        for line in self._status.kept.splitlines():
            code = json.loads(line).get("exit-code")
            if code is not None:
                return int(code)
        return None

    def _last_words(self) -> str:
        lines = self._stderr.kept.decode(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("bwrap: ") if lines else ""


@dataclass(frozen=True, slots=True)
class _OurEnds:
    """The ends of four pipes that stay with us: three to read from, and the gate that bubblewrap waits at."""

    stdout: int
    stderr: int
    status: int
    gate: int


def _pipes(ours: ExitStack, theirs: ExitStack) -> tuple[_OurEnds, int, int, int, int]:
    """Make the four pipes; answers our ends, and theirs: standard output and error, status, gate."""
    pairs = [os.pipe() for _ in range(4)]
    *from_them, (their_gate, our_gate) = pairs
    for our_end, their_end in (*from_them, (our_gate, their_gate)):
        ours.callback(os.close, our_end)
        theirs.callback(os.close, their_end)
    stdout, stderr, status = from_them
    return _OurEnds(stdout[0], stderr[0], status[0], our_gate), stdout[1], stderr[1], status[1], their_gate


def _memory_file(owner: ExitStack, content: bytes) -> int:
    """A descriptor to read some bytes from, closed with its owner."""
    descriptor = os.memfd_create("sandbox")
    owner.callback(os.close, descriptor)
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _ending_of(exit_code: int | None) -> Ending:
    if exit_code == _SIGNALLED + signal.SIGXCPU:
        return Ending.CPU_LIMIT
    return Ending.KILLED if exit_code is None or exit_code > _SIGNALLED else Ending.EXITED
