# SPDX-License-Identifier: Apache-2.0
"""What is asked of a sandbox and what it answers.

The port is stated apart from any isolation technique, so that a caller depends on values alone and a run
that was stopped by a limit can never be mistaken for a run that failed by itself.

Errors::

    SandboxError
    ├── SandboxUnavailableError   no sandbox on this machine; its text says what to do
    └── SandboxFailedError        this one run could not be set up; nothing of the command has run
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; every default suits the test suite of an ordinary package.

    Attributes:
        wall_seconds: From the start to the forced end of everything inside.
        cpu_seconds: Processor time of each process.
        memory_bytes: Address space of each process; where control groups can be written, also the memory of
            all processes and temporary files together. In any case a temporary folder holds a quarter of it.
        file_size_bytes: Size of each file that is written.
        processes: Processes and threads at a time.
        output_bytes: What is kept of standard output, and as much again of standard error. What goes beyond
            is read and dropped; a flood of more than `FLOOD_FACTOR` times this ends the run.
    """

    wall_seconds: float = 120.0
    cpu_seconds: int = 120
    memory_bytes: int = 2048 * _MIB
    file_size_bytes: int = 256 * _MIB
    processes: int = 256
    output_bytes: int = 1 * _MIB

    def __post_init__(self) -> None:
        assert self.wall_seconds > 0
        assert self.cpu_seconds > 0
        assert self.memory_bytes > 0
        assert self.file_size_bytes > 0
        assert self.processes > 0
        assert self.output_bytes > 0


FLOOD_FACTOR = 64
"""How many times `Limits.output_bytes` may pass through each stream before the run is ended."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments, as it is to run inside.

    Attributes:
        argv: The program, by a path inside or a name on `PATH`, and its arguments; at least the program.
        environment: Variables beside, or instead of, the few that every run has (`HOME`, `LANG`, `LOGNAME`,
            `PATH`, `TMPDIR`, `USER`); nothing is inherited from this process.
        working_folder: An absolute path inside.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    working_folder: str = "/tmp"  # noqa: S108 - a path inside, where this folder belongs to the one run

    def __post_init__(self) -> None:
        assert self.argv


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of this machine that is seen inside.

    Attributes:
        source: Absolute, existing, and without symbolic links on the way: a folder that untrusted code has
            written to may hold a link to anywhere, and mounting it would follow the link.
        target: Absolute path inside, outside the places that every run has (`/usr`, `/etc`, `/proc`, …); it
            may lie in another mount only where that has a file or folder of this name. Below `/home/sandbox`,
            which is empty at the start of every run, it is in nobody's way.
        writable: Whether what is written inside stays in the source.
    """

    source: Path
    target: str
    writable: bool = False


class Ending(Enum):
    """Why a run ended."""

    EXITED = "exited"
    """By itself, with an exit code."""
    KILLED = "killed"
    """By a signal; the exit code is 128 plus its number, or none if even that was not to be learnt."""
    TIMED_OUT = "timed_out"
    """At the limit of wall-clock time."""
    CPU_LIMIT = "cpu_limit"
    """At the limit of processor time."""
    OUT_OF_MEMORY = "out_of_memory"
    """The kernel killed at least one process for want of memory, whatever the command made of that. Without
    control groups a process that wants too much is refused memory instead, and says so or not as it was
    written to."""
    OUTPUT_LIMIT = "output_limit"
    """By flooding its output."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Attributes:
        exit_code: 0 to 255, as a shell reports it (127: no such program); none where the sandbox ended the
            run.
        stdout: The first `Limits.output_bytes` of it.
        stderr: Likewise.
        ended: Why it ended.
        wall_seconds: How long it took, setting up included.
        truncated: Whether output was dropped.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    ended: Ending
    wall_seconds: float
    truncated: bool


class Sandbox(Protocol):
    """Runs one command a call; calls may overlap."""

    async def run(self, command: Command, mounts: Sequence[Mount], limits: Limits) -> Outcome:
        """Run a command to its end, or to the first limit it meets.

        When this returns or raises, cancelled or not, no process of the run is left.

        Args:
            command: What to run.
            mounts: What is seen inside beside the system's own read-only folders; outer ones come first.
            limits: What it may use.

        Raises:
            SandboxFailedError: The run could not be set up; nothing of the command has run.
            SandboxUnavailableError: The sandbox has gone since it was opened.
        """
        ...


class Obstacle(Enum):
    """Why this machine has no sandbox, with what to do about it."""

    NO_BUBBLEWRAP = "bubblewrap is not installed: run `make setup`, or install the package bubblewrap"
    OLD_BUBBLEWRAP = "bubblewrap is older than 0.8.0: install a newer package bubblewrap"
    NO_PRLIMIT = "prlimit is not installed below /usr: install the package util-linux"
    NO_NAMESPACES = (
        "bubblewrap may not make namespaces here: allow unprivileged user namespaces on this machine, "
        "or in its container's security profile"
    )


class SandboxError(Exception):
    """Anything that keeps a command from being run in isolation."""


class SandboxUnavailableError(SandboxError):
    """This machine has no sandbox; the text is one line that says what to do.

    Attributes:
        obstacle: What is in the way.
        detail: What the system said, possibly nothing.
    """

    def __init__(self, obstacle: Obstacle, detail: str = "") -> None:
        super().__init__(f"untrusted code cannot be isolated: {obstacle.value}")
        self.obstacle = obstacle
        self.detail = detail


class SandboxFailedError(SandboxError):
    """One run could not be set up; nothing of its command has run.

    Attributes:
        reason: What went wrong, in words that never vary.
        detail: The path or the system's message it is about, possibly nothing.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason
