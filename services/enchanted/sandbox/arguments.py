# SPDX-License-Identifier: Apache-2.0
"""Says in bubblewrap's options what the inside of a sandbox looks like.

Everything that isolation rests on is in one list, so that it can be read in one go and tested without running
anything. Three places are easily forgotten, and each is an open door:

- `/proc/sys`: where this process is root, so is the sandboxed one in the eyes of the kernel's settings,
  whatever its user number inside; a program named in `kernel/core_pattern` would run outside. `/proc` is
  therefore read-only.
- `/`, `/dev` and `/dev/shm` are file systems in memory, writable without limit unless one says otherwise.
- The environment that bubblewrap itself is started with can be read inside, from `/proc/1/environ`,
  although the command's own is cleared. It is started with none, and its options are not on its command
  line.

Options are described in bubblewrap's manual page, bwrap(1); limits in prlimit(1) and setrlimit(2).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from enchanted.sandbox.model import Command, Limits, Mount, SandboxFailedError

HOME = "/home/sandbox"
USER_ID = 65534

ETC_FILES = {
    "passwd": f"sandbox:x:{USER_ID}:{USER_ID}::{HOME}:/bin/sh\n",
    "group": f"sandbox:x:{USER_ID}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
}
"""Small files that many programs read; the machine's own would name its people and its neighbours."""

_ENVIRONMENT = {
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "LOGNAME": "sandbox",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "TMPDIR": "/tmp",  # noqa: S108 - a path inside, where this folder belongs to the one run
    "USER": "sandbox",
}

_ISOLATION = (
    "--unshare-user",
    "--unshare-all",
    "--disable-userns",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    *("--uid", str(USER_ID), "--gid", str(USER_ID)),
    *("--cap-drop", "ALL"),
    *("--hostname", "sandbox"),
)

_RESERVED_TARGETS = ("bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "sys", "usr")
_OPTIONAL_SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache")
_BESIDE_USR = ("bin", "lib", "lib32", "lib64", "libx32", "sbin")


def system_arguments(root: Path = Path("/")) -> list[str]:
    """Show the machine's programs and libraries read-only, in the folders this machine has them in.

    Args:
        root: Where to look; the root folder but in tests.
    """
    arguments = ["--ro-bind", str(root / "usr"), "/usr"]
    for name in _BESIDE_USR:
        folder = root / name
        if folder.is_symlink():
            arguments += ["--symlink", str(folder.readlink()), f"/{name}"]
        elif folder.is_dir():
            arguments += ["--ro-bind", str(folder), f"/{name}"]
    for name in _OPTIONAL_SYSTEM_FILES:
        arguments += ["--ro-bind-try", name, name]
    return arguments


def sandbox_arguments(
    command: Command,
    mounts: Sequence[Mount],
    limits: Limits,
    system: Sequence[str],
    etc_descriptors: Iterable[tuple[str, int]],
) -> list[str]:
    """All options of bubblewrap for one run; what to run is not among them.

    Args:
        command: Its environment and working folder are used.
        mounts: As the caller gave them, in any order.
        limits: Its memory limit bounds temporary folders.
        system: What `system_arguments` said.
        etc_descriptors: Names below `/etc`, with an open descriptor to read each one's content from.

    Raises:
        SandboxFailedError: A mount or a variable cannot be used.
    """
    temporary_bytes = str(max(1, limits.memory_bytes // 4))
    arguments = [*_ISOLATION, *system]
    for name, descriptor in etc_descriptors:
        arguments += ["--file", str(descriptor), f"/etc/{name}"]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/dev/shm", "/tmp", HOME):  # noqa: S108 - paths inside, made empty for this run
        arguments += ["--size", temporary_bytes, "--tmpfs", folder]
    for mount in _outermost_first(mounts):
        arguments += _mount_arguments(mount)
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/"]
    for name, value in {**_ENVIRONMENT, **command.environment}.items():
        arguments += ["--setenv", name, value]
    arguments += ["--chdir", command.working_folder]
    _refuse_nul(arguments)
    _refuse_nul(command.argv)
    return arguments


def limited(argv: Sequence[str], limits: Limits, prlimit: Path) -> list[str]:
    """The command line inside: sets limits on itself, then becomes the command.

    The soft limit of processor time is a second below the hard one, so that the kernel says by SIGXCPU
    which limit it was before it insists.
    """
    return [
        str(prlimit),
        f"--as={limits.memory_bytes}",
        f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + 1}",
        f"--fsize={limits.file_size_bytes}",
        f"--nproc={limits.processes}",
        "--core=0",
        "--",
        *argv,
    ]


def _outermost_first(mounts: Sequence[Mount]) -> list[Mount]:
    """Order mounts so that none hides another; refuse one that would make a folder in another's source."""
    ordered = sorted(mounts, key=lambda mount: len(PurePosixPath(mount.target).parts))
    for place, inner in enumerate(ordered):
        for outer in ordered[:place]:
            target = PurePosixPath(inner.target)
            if not target.is_relative_to(outer.target):
                continue
            below = target.relative_to(outer.target)
            if not below.parts or not (outer.source / below).exists():
                raise SandboxFailedError("a mount's target lies in another mount", inner.target)
    return ordered


def _mount_arguments(mount: Mount) -> list[str]:
    target = PurePosixPath(mount.target)
    parts = target.parts
    if parts[:1] != ("/",) or len(parts) == 1 or ".." in parts or str(target) != mount.target:
        raise SandboxFailedError("a mount's target is not a plain absolute path", mount.target)
    if parts[1] in _RESERVED_TARGETS:
        raise SandboxFailedError("a mount's target lies in a folder that every run has", mount.target)
    try:
        source = mount.source.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SandboxFailedError("a mount's source is not there", str(mount.source)) from error
    if source != mount.source:
        raise SandboxFailedError("a mount's source is not absolute or leads over a link", str(mount.source))
    return ["--bind" if mount.writable else "--ro-bind", str(source), mount.target]


def _refuse_nul(texts: Iterable[str]) -> None:
    """Options are handed over separated by NUL: a text with one in it could bring options of its own."""
    if any("\0" in text for text in texts):
        raise SandboxFailedError("an argument, a variable or a path holds a NUL character")
