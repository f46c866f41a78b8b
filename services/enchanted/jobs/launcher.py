# SPDX-License-Identifier: Apache-2.0
"""Where agents' processes run: a port, and its adapter for one machine.

Agents handle other people's code, so their process gets the least that works: a token for its one job on its
standard input, where no other program reads it; an environment of a few harmless names; a session of its own,
so that a Ctrl-C in the terminal does not kill it before the platform has stopped it in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, Self

AGENTS_COMMAND: Final = (sys.executable, "-P", "-m", "enchanted.swarm")
KEPT_VARIABLES: Final = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"})
LOG_BYTES_MAX: Final = 4 << 20
_LEAVE_SECONDS: Final = 0.3
_TERMINATE_SECONDS: Final = 0.4
_CHUNK_BYTES: Final = 16_384
_LAST_WORDS_BYTES: Final = 500


class LaunchError(Exception):
    """An agents' process could not be started; the text says why."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an agents' process is told, as one line of JSON.

    Attributes:
        hub: Address of the hub's gRPC services.
        suite_seconds: Most that one run of the repository's tests may take.
        job_id: The job.
        project_id: Its project.
        token: Good for this job alone.
    """

    hub: str
    suite_seconds: int
    job_id: str
    project_id: str
    token: str


class AgentsProcess(Protocol):
    """A started agents' process."""

    async def wait(self) -> str:
        """Wait until it has ended; how, in a few words for people."""

    async def stop(self) -> None:
        """End it within a second, if it has not ended."""


class Launcher(Protocol):
    """Starts agents' processes."""

    async def launch(self, assignment: Assignment) -> AgentsProcess:
        """Start the agents of a job; raises :class:`LaunchError` if that cannot be done."""


class LocalLauncher:
    """Starts agents as child processes on this machine."""

    def __init__(
        self, logs: Path, environment: Mapping[str, str], command: Sequence[str] = AGENTS_COMMAND
    ) -> None:
        """Start children.

        Args:
            logs: Folder of their logs, one file a job.
            environment: This process's; children get the harmless part of it.
            command: What to run. The interpreter's ``-P`` keeps the working folder out of its module path.
        """
        self._logs = logs
        self._environment = {name: value for name, value in environment.items() if name in KEPT_VARIABLES}
        self._command = tuple(command)

    async def launch(self, assignment: Assignment) -> AgentsProcess:
        """Start a child and tell it its job.

        Raises:
            LaunchError: If the system refuses.
        """
        try:
            self._logs.mkdir(parents=True, exist_ok=True)
            with _Pipes() as pipes:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=pipes.input_end,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=pipes.error_end,
                    env=self._environment,
                    cwd=self._logs,
                    start_new_session=True,
                )
                order, errors = pipes.keep()
        except OSError as error:
            raise LaunchError(f"the agents' process does not start: {error.strerror}") from error
        # A child that ends before it has read is noticed by its end, not here.
        with contextlib.suppress(BrokenPipeError):
            order.write(json.dumps(asdict(assignment)).encode() + b"\n")
        log = BoundedLog(self._logs / f"agents-{assignment.job_id}.log")
        return LocalProcess(process, order, asyncio.create_task(_copy(errors, log)), log)


class _Pipes:
    """Both pipes of a child; the child's ends are closed here once it has them, all four if it has not.

    They are not asyncio's own, because with those a child counts as running until all that it started have
    closed them too.
    """

    def __init__(self) -> None:
        self.input_end, input_ours = os.pipe()
        error_ours, self.error_end = os.pipe()
        self._order, self._errors = os.fdopen(input_ours, "wb", 0), os.fdopen(error_ours, "rb", 0)
        self._kept = False

    def keep(self) -> tuple[BinaryIO, BinaryIO]:
        """Our ends, for the caller to close."""
        self._kept = True
        return self._order, self._errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.input_end)
        os.close(self.error_end)
        if not self._kept:
            self._order.close()
            self._errors.close()


async def _copy(errors: BinaryIO, log: BoundedLog) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), errors)
    try:
        while content := await reader.read(_CHUNK_BYTES):
            log.append(content)
    finally:
        transport.close()


class LocalProcess:
    """A child process, its log, and its end."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        order: BinaryIO,
        copying: asyncio.Task[None],
        log: BoundedLog,
    ) -> None:
        self._process = process
        self._order = order
        self._copying = copying
        self._log = log

    @property
    def pid(self) -> int:
        """The child's process id, which is its session's and group's too."""
        return self._process.pid

    async def wait(self) -> str:
        """Wait until the child has ended; its exit code or signal, and its last words."""
        code = await self._process.wait()
        await asyncio.wait({self._copying}, timeout=_LEAVE_SECONDS)
        ended = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
        return f"{ended}: {self._log.last_words}" if self._log.last_words else ended

    async def stop(self) -> None:
        """End the child: by the end of its input, then SIGTERM, then SIGKILL to all that it started."""
        self._order.close()
        if not await self._ends_within(_LEAVE_SECONDS):
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._ends_within(_TERMINATE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        self._copying.cancel()
        await asyncio.gather(self._copying, return_exceptions=True)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        return self._process.returncode is not None


class BoundedLog:
    """A log file that stops growing, and remembers what was said last."""

    def __init__(self, path: Path, bytes_max: int = LOG_BYTES_MAX) -> None:
        self._path = path
        self._left_bytes = max(0, bytes_max - path.stat().st_size) if path.exists() else bytes_max
        self._tail = b""

    def append(self, content: bytes) -> None:
        """Write what still fits."""
        self._tail = (self._tail + content)[-_LAST_WORDS_BYTES:]
        kept = content[: self._left_bytes]
        self._left_bytes -= len(kept)
        if kept:
            with self._path.open("ab") as file:
                file.write(kept)

    @property
    def last_words(self) -> str:
        """The last line that was written and is not empty; empty if there is none."""
        lines = self._tail.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
