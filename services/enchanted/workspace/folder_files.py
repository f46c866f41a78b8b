# SPDX-License-Identifier: Apache-2.0
"""The files of a plain folder that are worth importing: not what tools made, not what `.gitignore` names.

Links are taken as links and never followed: a link that leads out of the folder would otherwise bring in
files that the person did not name. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enchanted.workspace.model import OBJECT_BYTES_MAX, component_fault, shown
from enchanted.workspace.objects import FileMode, GitObject, ObjectKind

MADE_BY_TOOLS: Final = frozenset({"__pycache__", "node_modules", ".tox", ".nox"})
VIRTUAL_ENVIRONMENT_MARK: Final = "pyvenv.cfg"
_GIT_FOLDER: Final = ".git"


class FolderUnreadableError(Exception):
    """A folder cannot be imported; the text says which file and why."""


@dataclass(frozen=True, slots=True)
class FolderFile:
    """A file or link, by its path below the folder."""

    path: bytes
    mode: FileMode
    modified_time_seconds: int


def list_folder(folder: Path) -> list[FolderFile]:
    """Files and links below a folder, in the order of their paths.

    Raises:
        FolderUnreadableError: If a folder cannot be listed, or a name cannot be imported.
    """
    files = [file for whole in _walk(folder) if (file := _file(whole, folder)) is not None]
    return sorted(files, key=lambda file: file.path)


def read_file(folder: Path, file: FolderFile) -> GitObject:
    """The content of a file, or the target of a link, as a blob.

    Raises:
        FolderUnreadableError: If it cannot be read, or is too large.
    """
    whole = folder / os.fsdecode(file.path)
    try:
        if file.mode is FileMode.LINK:
            target = os.readlink(whole)  # noqa: PTH115 - a Path would drop the slash at its end
            return GitObject(ObjectKind.BLOB, os.fsencode(target))
        descriptor = os.open(whole, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            content = opened.read(OBJECT_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(file.path, error) from error
    if len(content) > OBJECT_BYTES_MAX:
        raise FolderUnreadableError(f"'{shown(file.path)}' is larger than 100 MiB")
    return GitObject(ObjectKind.BLOB, content)


def _walk(top: Path) -> Iterator[Path]:
    """Everything below a folder that is not a folder itself; links to folders among it."""

    def fail(error: OSError) -> None:
        raise _unreadable(os.fsencode(os.path.relpath(error.filename, top)), error) from error

    for parent_text, folders, names in os.walk(top, onerror=fail):
        parent = Path(parent_text)
        if VIRTUAL_ENVIRONMENT_MARK in names and parent != top:
            folders.clear()
            continue
        links = [name for name in folders if (parent / name).is_symlink()]
        folders[:] = [name for name in folders if name not in links and not _left_out(name)]
        yield from (parent / name for name in (*names, *links))


def _left_out(name: str) -> bool:
    return name in MADE_BY_TOOLS or name.lower() == _GIT_FOLDER


def _file(whole: Path, top: Path) -> FolderFile | None:
    """What a name stands for; ``None`` for sockets, devices and Git's own files."""
    path = os.fsencode(whole.relative_to(top))
    if whole.name.lower() == _GIT_FOLDER:
        return None
    fault = next(filter(None, map(component_fault, path.split(b"/"))), "")
    if fault:
        raise FolderUnreadableError(f"'{shown(path)}' cannot be imported: {fault}")
    try:
        found = whole.lstat()
    except OSError as error:
        raise _unreadable(path, error) from error
    seconds = int(found.st_mtime)
    if stat.S_ISLNK(found.st_mode):
        return FolderFile(path, FileMode.LINK, seconds)
    if not stat.S_ISREG(found.st_mode):
        return None
    executable = found.st_mode & stat.S_IXUSR
    return FolderFile(path, FileMode.EXECUTABLE if executable else FileMode.FILE, seconds)


def _unreadable(path: bytes, error: OSError) -> FolderUnreadableError:
    return FolderUnreadableError(f"'{shown(path)}' cannot be read: {error.strerror or 'unknown error'}")
