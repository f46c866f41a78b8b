# SPDX-License-Identifier: Apache-2.0
"""Holds all processes of one run below a common limit, where this machine lets us.

Limits of single processes add up: a hundred processes may each take what one may take, and where this
process is root the kernel does not count processes against a user at all. A control group bounds the memory
(temporary files included) and the number of processes of the whole run, and tells afterwards whether the
kernel had to kill.

Groups can be written by root on most machines, and by an ordinary user in a session that systemd delegates;
in most containers they cannot. Both versions of the interface are known: cgroups(7), and in the kernel's
documentation admin-guide/cgroup-v1/memory.rst and admin-guide/cgroup-v2.rst. Nothing of the machine's own
set-up is changed: a place is used only if the controllers are already on in it.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from enchanted.sandbox.model import Limits

_PREFIX = "enchanted-sandbox-"
_CONTROLLERS = frozenset({"memory", "pids"})
_FIRST, _SECOND = 1, 2


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A folder of the control group file system in which groups may be made.

    Attributes:
        folder: Where groups are made.
        controllers: What they limit there: `memory`, `pids`.
        version: 1 or 2, of the interface.
    """

    folder: Path
    controllers: frozenset[str]
    version: int

    def settings(self, limits: Limits) -> Iterator[tuple[str, str]]:
        """The files of a group, in the order in which they must be written."""
        if "memory" in self.controllers:
            yield self.memory_file, str(limits.memory_bytes)
            if self.version == _FIRST:
                yield "memory.memsw.limit_in_bytes", str(limits.memory_bytes)
            else:
                yield "memory.swap.max", "0"
                yield "memory.oom.group", "1"
        if "pids" in self.controllers:
            # One more than the command may have: bubblewrap's own first process.
            yield "pids.max", str(limits.processes + 1)

    @property
    def memory_file(self) -> str:
        """The file with the limit of memory."""
        return "memory.limit_in_bytes" if self.version == _FIRST else "memory.max"

    @property
    def kills_file(self) -> str:
        """The file that counts the kernel's kills, in a line `oom_kill N`."""
        return "memory.oom_control" if self.version == _FIRST else "memory.events"


@dataclass(frozen=True, slots=True)
class Group:
    """The control group of one run: a folder in each hierarchy."""

    folders: tuple[tuple[Hierarchy, Path], ...]

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process of the group for want of memory."""
        for hierarchy, folder in self.folders:
            if "memory" in hierarchy.controllers:
                counts = (folder / hierarchy.kills_file).read_text()
                kills = re.search(r"^oom_kill (\d+)$", counts, re.MULTILINE)
                return kills is not None and int(kills[1]) > 0
        return False

    def remove(self) -> None:
        """Remove the group once its processes have ended; what the kernel still holds is swept up later."""
        for _, folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


@dataclass(frozen=True, slots=True)
class ControlGroups:
    """The hierarchies in which this process may make groups: at least one limits memory."""

    hierarchies: tuple[Hierarchy, ...]

    def hold(self, process_id: int, limits: Limits) -> Group:
        """Make a group and put one process into it; what that process starts is in it, too.

        Raises:
            OSError: The group cannot be made, or the process not be moved.
        """
        group = Group(tuple((each, each.folder / f"{_PREFIX}{process_id}") for each in self.hierarchies))
        try:
            for hierarchy, folder in group.folders:
                _make_empty(folder)
                for name, value in hierarchy.settings(limits):
                    _write_if_there(folder / name, value)
                (folder / "cgroup.procs").write_text(str(process_id))
        except OSError:
            group.remove()
            raise
        return group


def find_control_groups(proc: Path = Path("/proc")) -> ControlGroups | None:
    """The hierarchies this process may use, or nothing if none limits memory.

    Also removes groups that were left behind by a process that was killed.

    Args:
        proc: Where the kernel tells about processes; `/proc` but in tests.
    """
    found: dict[str, Hierarchy] = {}
    for hierarchy in candidates(proc):
        wanted = hierarchy.controllers.difference(found)
        if wanted and _usable(hierarchy):
            _sweep(hierarchy.folder, proc)
            usable = Hierarchy(hierarchy.folder, wanted, hierarchy.version)
            found.update(dict.fromkeys(wanted, usable))
    return ControlGroups(tuple(dict.fromkeys(found.values()))) if "memory" in found else None


def candidates(proc: Path) -> Iterator[Hierarchy]:
    """Where groups might be made, below our own group and beside it.

    Beside it, because a group of version 2 that holds processes cannot have limited groups below.
    """
    try:
        memberships = (proc / "self/cgroup").read_text().splitlines()
        mounts = [line.split() for line in (proc / "self/mountinfo").read_text().splitlines()]
    except OSError:
        return
    for membership in memberships:
        _, names, own = membership.split(":", 2)
        version = _FIRST if names else _SECOND
        controllers = _CONTROLLERS & set(names.split(",")) if names else _CONTROLLERS
        for mount in mounts if controllers else ():
            if _shows(mount, version, controllers):
                here = _below_mount(Path(mount[4]), mount[3], own)
                yield Hierarchy(here, controllers, version)
                if here != Path(mount[4]):
                    yield Hierarchy(here.parent, controllers, version)


def _shows(mount: list[str], version: int, controllers: frozenset[str]) -> bool:
    """Whether a line of `mountinfo` (proc(5)) is about a hierarchy with these controllers."""
    kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
    if version == _SECOND:
        return kind == "cgroup2"
    return kind == "cgroup" and controllers <= set(options)


def _below_mount(mount_point: Path, root: str, own: str) -> Path:
    """Where our own group is seen: a mount may show the hierarchy from another group down."""
    below = os.path.relpath(own, root)
    folder = mount_point if below.startswith("..") else mount_point / below
    return folder if folder.is_dir() else mount_point


def _usable(hierarchy: Hierarchy) -> bool:
    """Whether a group can be made here, and has the files that limit it."""
    trial = hierarchy.folder / f"{_PREFIX}{os.getpid()}"
    limits = Limits()
    needed = {hierarchy.memory_file, "pids.max"} & {name for name, _ in hierarchy.settings(limits)}
    try:
        _make_empty(trial)
        try:
            return all(os.access(trial / name, os.W_OK) for name in {*needed, "cgroup.procs"})
        finally:
            trial.rmdir()
    except OSError:
        return False


def _make_empty(folder: Path) -> None:
    """Make a group anew: one of this name can only be left from a process that is gone, with its counters."""
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
    folder.mkdir()


def _write_if_there(path: Path, value: str) -> None:
    """Write a setting; kernels without accounting of swap lack its file."""
    if path.exists():
        path.write_text(value)


def _sweep(folder: Path, proc: Path) -> None:
    for left in folder.glob(f"{_PREFIX}*"):
        if not (proc / left.name.removeprefix(_PREFIX)).exists():
            with contextlib.suppress(OSError):
                left.rmdir()
