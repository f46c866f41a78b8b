# SPDX-License-Identifier: Apache-2.0
"""The sandbox made of Linux namespaces, and the search for what it takes on this machine.

A machine without bubblewrap, or with one that may not make namespaces, must be found out when the platform
starts and in words that help, not in the middle of a job: so opening a sandbox runs a trial in it.

What this sandbox does not keep out: the kernel is shared, so a flaw in it is a way out (on a cluster the
pod's runtime class is the stronger wall), and a socket in a mounted folder leads to whoever listens on it.
Where this process is root, processes are counted only by control groups: the kernel exempts root from the
limit of a user.
"""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from enchanted.sandbox.arguments import system_arguments
from enchanted.sandbox.bubblewrap_process import BubblewrapProcess
from enchanted.sandbox.control_groups import ControlGroups, find_control_groups
from enchanted.sandbox.model import (
    Command,
    Ending,
    Limits,
    Mount,
    Obstacle,
    Outcome,
    SandboxFailedError,
    SandboxUnavailableError,
)

_OLDEST_VERSION = (0, 8)


class BubblewrapSandbox:
    """A sandbox of namespaces; satisfies `Sandbox`. Made by `open_sandbox`, which finds what it needs."""

    def __init__(
        self,
        bubblewrap: Path,
        prlimit: Path,
        system: Sequence[str],
        control_groups: ControlGroups | None,
    ) -> None:
        """Take what was found.

        Args:
            bubblewrap: The program, 0.8.0 or newer.
            prlimit: The program, by a path below `/usr`.
            system: The options that show the system's folders, from `system_arguments`.
            control_groups: Where groups can be made; without, limits hold for each process only.
        """
        self._bubblewrap = bubblewrap
        self._prlimit = prlimit
        self._system = tuple(system)
        self._control_groups = control_groups

    @property
    def limits_groups(self) -> bool:
        """Whether memory is limited for a whole run together, and not for each process only."""
        return self._control_groups is not None

    async def run(self, command: Command, mounts: Sequence[Mount], limits: Limits) -> Outcome:
        """Run a command to its end, or to the first limit it meets; see `Sandbox.run`."""
        clock = asyncio.get_running_loop().time
        started = clock()
        process = BubblewrapProcess.start(
            self._bubblewrap, self._prlimit, self._system, command, mounts, limits
        )
        try:
            async with asyncio.timeout(limits.wall_seconds):
                await process.release(self._control_groups, limits)
                ending = await process.ended()
        except TimeoutError:
            ending = Ending.TIMED_OUT
        finally:
            process.kill()
            await asyncio.shield(process.gone())
        return process.outcome(ending, clock() - started)


async def open_sandbox(search_path: str | None = None) -> BubblewrapSandbox:
    """Find what a sandbox takes on this machine, and try it.

    Args:
        search_path: Folders to look for bubblewrap in, separated by colons; those of `PATH` unless given.

    Raises:
        SandboxUnavailableError: There is no sandbox here; the error says what to do.
    """
    bubblewrap = shutil.which("bwrap", path=search_path)
    if bubblewrap is None:
        raise SandboxUnavailableError(Obstacle.NO_BUBBLEWRAP)
    _refuse_old(bubblewrap)
    prlimit = shutil.which("prlimit", path="/usr/bin:/usr/local/bin")
    if prlimit is None:
        raise SandboxUnavailableError(Obstacle.NO_PRLIMIT)
    system = system_arguments()
    control_groups = find_control_groups()
    sandbox = BubblewrapSandbox(Path(bubblewrap), Path(prlimit), system, control_groups)
    failure = await _trial(sandbox)
    if failure is not None and control_groups is not None:
        sandbox = BubblewrapSandbox(Path(bubblewrap), Path(prlimit), system, None)
        failure = await _trial(sandbox)
    if failure is not None:
        raise SandboxUnavailableError(Obstacle.NO_NAMESPACES, failure)
    return sandbox


async def _trial(sandbox: BubblewrapSandbox) -> str | None:
    """What is wrong with a sandbox, or nothing."""
    try:
        outcome = await sandbox.run(Command(("true",)), (), Limits(wall_seconds=20))
    except SandboxFailedError as error:
        return str(error)
    return None if outcome.exit_code == 0 else f"a trial ended: {outcome.ended.value}"


def _refuse_old(bubblewrap: str) -> None:
    try:
        answer = subprocess.run(  # noqa: S603 - a program found by its name, with a fixed argument
            [bubblewrap, "--version"], capture_output=True, check=True, text=True, env={}, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxUnavailableError(Obstacle.NO_BUBBLEWRAP, str(error)) from error
    version = tuple(int(number) for number in re.findall(r"\d+", answer)[:2])
    if version < _OLDEST_VERSION:
        raise SandboxUnavailableError(Obstacle.OLD_BUBBLEWRAP, answer.strip())
