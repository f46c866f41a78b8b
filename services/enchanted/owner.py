# SPDX-License-Identifier: Apache-2.0
"""Who owns a data folder: a lock that settles it, and a note by which commands reach the owner.

Two processes writing one folder would destroy it, and a note alone cannot prevent that: it survives the
process that wrote it. So ownership is a lock of the operating system (``lock``, released when the holder dies
in whatever way), and ``hub.json`` is only the owner's address, believed while its process answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

NOTE: Final = "hub.json"
LOCK: Final = "lock"
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class PlatformError(Exception):
    """The platform cannot start or be reached.

    Attributes:
        hint: What to do about it, one line.
    """

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.hint = hint


class FolderUnusableError(PlatformError):
    """The data folder cannot be made or written."""


class FolderInUseError(PlatformError):
    """Another process owns the data folder.

    Attributes:
        pid: That process; 0 if it has not said yet.
    """

    def __init__(self, text: str, hint: str, pid: int) -> None:
        super().__init__(text, hint)
        self.pid = pid


@dataclass(frozen=True, slots=True)
class Owner:
    """How to reach the process that owns a folder.

    Attributes:
        pid: The process.
        grpc_address: ``unix:/path`` or ``127.0.0.1:port``.
        http_url: The web pages, without a slash at the end.
        token: Must come with every call.
    """

    pid: int
    grpc_address: str
    http_url: str
    token: str


def open_folder(folder: Path) -> None:
    """Make the data folder, readable by its owner alone, if it is not there.

    Raises:
        FolderUnusableError: If it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)
    except OSError as error:
        raise _unusable(folder, error) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise _unusable(folder, PermissionError(13, "Permission denied"))


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Own the folder for as long as the block runs.

    Raises:
        FolderInUseError: If another process owns it.
        FolderUnusableError: If the lock cannot be made.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = _number(os.read(descriptor, 32))
        os.close(descriptor)
        raise FolderInUseError(
            f"the folder {folder} is in use by process {pid or 'unknown'}",
            "stop that process, or set ENCHANTED_DATA to another folder; while a hub serves the folder, "
            "every command reaches it by itself",
            pid,
        ) from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # The file stays: removing it would let two processes lock two files of the same name.
        os.ftruncate(descriptor, 0)
        os.close(descriptor)


def write_note(folder: Path, owner: Owner) -> None:
    """Say how to reach this process, in a file that only its owner can read; replaces an older note."""
    temporary = folder / f".{NOTE}.{owner.pid}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(owner), file)
    temporary.replace(folder / NOTE)


def read_note(folder: Path) -> Owner | None:
    """The owner that left a note and whose process is alive; ``None`` if there is none."""
    try:
        noted = json.loads((folder / NOTE).read_text("utf-8"))
        owner = Owner(**{field.name: noted[field.name] for field in fields(Owner)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return owner if _alive(owner.pid) else None


def remove_note(folder: Path) -> None:
    """Take the note back."""
    (folder / NOTE).unlink(missing_ok=True)


def _alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _number(digits: bytes) -> int:
    text = digits.strip()
    return int(text) if text.isdigit() else 0


def _unusable(folder: Path, error: OSError) -> FolderUnusableError:
    return FolderUnusableError(
        f"the folder {folder} cannot be used: {error.strerror}",
        "set ENCHANTED_DATA to a folder that you can write",
    )
