# SPDX-License-Identifier: Apache-2.0
"""A database folder: who owns it, which format it has, whether its index files are whole.

Two processes writing one folder destroy it; a release that does not know a format may misread it; an index
file with a flipped length loses whole tables without a word, because RocksDB takes a record that runs past
the end of a file for a torn tail. So a folder is opened only under a lock, its format is read first, and a
cleanly closed folder carries a seal: the hashes of the small files that say which tables there are. The
seal is checked and removed at opening, so that it can never be older than the data.

Layout::

    engine.lock      locked with flock by the owner; holds its process number
    engine.format    JSON: the format's number
    engine.seal      JSON: file name to SHA-256, present only while closed cleanly
    engine.tables    JSON: table file to SHA-256, as of the last clean close
    rocksdb/         RocksDB's files
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enchanted.keyspace.embedded import tables
from enchanted.keyspace.embedded.errors import (
    FolderDamagedError,
    FolderInUseError,
    FolderTooNewError,
    FolderUnusableError,
)

FORMAT: Final = 1
LOCK_NAME: Final = "engine.lock"
FORMAT_NAME: Final = "engine.format"
SEAL_NAME: Final = "engine.seal"
DATA_NAME: Final = "rocksdb"
_SEALED_PREFIXES: Final = ("MANIFEST-", "CURRENT")
_LOG_SUFFIX: Final = ".log"


@dataclass(frozen=True, slots=True)
class OwnedFolder:
    """A folder that this process has locked.

    Attributes:
        path: The folder.
        fresh: True when there was no database in it.
        lock_descriptor: The open, locked file.
    """

    path: Path
    fresh: bool
    lock_descriptor: int

    @property
    def data(self) -> Path:
        """Where RocksDB keeps its files."""
        return self.path / DATA_NAME

    def release(self) -> None:
        """Let another process have the folder."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.lock_descriptor, 0)
        os.close(self.lock_descriptor)


def own(path: Path) -> OwnedFolder:
    """Lock ``path``, making it if needed, and check that this release can read it.

    Raises:
        FolderInUseError: Another process, or another opening in this one, owns it.
        FolderTooNewError: Its format is newer.
        FolderDamagedError: The format or the seal does not check.
        FolderUnusableError: It cannot be made, read or written.
    """
    try:
        _make(path)
        descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _lock(path, descriptor)
        fresh = _check_format(path)
        _break_seal(path)
    except OSError as error:
        os.close(descriptor)
        raise _unusable(path, error) from error
    except BaseException:
        os.close(descriptor)
        raise
    return OwnedFolder(path, fresh, descriptor)


def mark_format(path: Path) -> None:
    """Write the format's number, durably; a folder without it counts as empty."""
    _write_durably(path / FORMAT_NAME, json.dumps({"format": FORMAT}).encode())


def seal(path: Path) -> None:
    """Seal a folder whose database was closed cleanly, and record the fingerprints of its tables."""
    recorded = tables.fingerprints(path, path / DATA_NAME)
    _write_durably(path / tables.TABLES_NAME, json.dumps(recorded, indent=1, sort_keys=True).encode())
    hashes = {file.name: tables.sha256_of(file) for file in _sealed_files(path)}
    _write_durably(path / SEAL_NAME, json.dumps(hashes, indent=1, sort_keys=True).encode())


def verify_seal(path: Path) -> bool:
    """Check a sealed folder's index files; False when it carries no seal.

    Raises:
        FolderDamagedError: A file differs from its seal, or is missing.
    """
    try:
        text = (path / SEAL_NAME).read_bytes()
    except FileNotFoundError:
        return False
    try:
        hashes = json.loads(text)
        expected = {str(name): str(value) for name, value in hashes.items()}
    except (ValueError, AttributeError) as error:
        raise FolderDamagedError(path, f"{SEAL_NAME} cannot be read") from error
    actual = {file.name: tables.sha256_of(file) for file in _sealed_files(path)}
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            raise FolderDamagedError(
                path, f"{DATA_NAME}/{name} is not what it was when the database was closed"
            )
    return True


def owner_pid(path: Path) -> int | None:
    """Return the process number in the lock file, None when there is none."""
    try:
        return int((path / LOCK_NAME).read_text() or "x")
    except (OSError, ValueError):
        return None


def read_format(path: Path) -> int | None:
    """Return the folder's format, None when it holds no database.

    Raises:
        FolderDamagedError: The file is there and does not hold a format.
    """
    try:
        text = (path / FORMAT_NAME).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return int(json.loads(text)["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise FolderDamagedError(path, f"{FORMAT_NAME} cannot be read") from error


def require_known_format(path: Path) -> bool:
    """Check the format; True when the folder holds a database.

    Raises:
        FolderTooNewError: It was written by a newer release.
        FolderDamagedError: The format cannot be read.
    """
    number = read_format(path)
    if number is not None and number > FORMAT:
        raise FolderTooNewError(
            f"the database folder has format {number} and this release knows formats up to {FORMAT}:"
            " upgrade, or open it with the release that wrote it",
            path,
        )
    return number is not None


def _make(path: Path) -> None:
    """Make the folder and what leads to it, so that it is still there after a loss of power."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in new:
        _sync_folder(folder.parent)


def _lock(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FolderInUseError(path, owner_pid(path)) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _check_format(path: Path) -> bool:
    known = require_known_format(path)
    if not known and (path / DATA_NAME / "CURRENT").exists() and (path / SEAL_NAME).exists():
        raise FolderDamagedError(path, f"{FORMAT_NAME} is missing")
    return not known


def _break_seal(path: Path) -> None:
    if verify_seal(path):
        (path / SEAL_NAME).unlink()
        _sync_folder(path)


def _sealed_files(path: Path) -> list[Path]:
    return sorted(
        file
        for file in (path / DATA_NAME).iterdir()
        if file.name.startswith(_SEALED_PREFIXES) or file.name.endswith(_LOG_SUFFIX)
    )


def _write_durably(file: Path, content: bytes) -> None:
    temporary = file.with_name(file.name + ".new")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    _sync_folder(file.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(path: Path, error: OSError) -> FolderUnusableError:
    return FolderUnusableError(f"the database folder cannot be used: {error.strerror or error}", path)
