# SPDX-License-Identifier: Apache-2.0
"""A physical check of a folder: every byte that holds data is read again from the disk and verified.

A disk that flips a bit does so in a file nobody has read for months, and the owner's cache hides it from
everyone. So the check opens the files anew, read-only and without a cache, reads every pair of every column
family under checksums, and looks every key up once more, because look-ups take a way through filters that
scans do not. It may run beside a live owner.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import rocksdict

from enchanted.keyspace.embedded import folder as folders
from enchanted.keyspace.embedded import tables
from enchanted.keyspace.embedded.errors import EngineError, FolderDamagedError
from enchanted.keyspace.embedded.rocks import DEFAULT_FAMILY, META_FAMILY, open_raw

# A live owner may remove a file between our reading its name and opening it.
_ATTEMPTS: Final = 5
_VANISHED: Final = "No such file or directory"


@dataclass(frozen=True, slots=True)
class FamilyReport:
    """What was read of one column family."""

    name: str
    keys: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The outcome of a check.

    Attributes:
        folder: What was checked.
        sealed: True when the folder was closed cleanly and its seal checked, too.
        families: What was read, as far as the check came.
        problems: What is wrong, for a person; empty when all is well.
    """

    folder: Path
    sealed: bool
    families: tuple[FamilyReport, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.problems


def check(folder: Path) -> CheckReport:
    """Read everything in ``folder`` and report what does not check; nothing is changed.

    Args:
        folder: A database folder, closed or in use.
    """
    sealed = False
    try:
        if not folders.require_known_format(folder):
            return CheckReport(folder, sealed, (), (f"there is no database in {folder}",))
        sealed = folders.verify_seal(folder)
    except (EngineError, OSError) as error:
        # An owner that opens the folder now breaks the seal before it changes a file.
        if (folder / folders.SEAL_NAME).exists() or not (folder / folders.FORMAT_NAME).exists():
            return CheckReport(folder, sealed, (), (str(error),))
    for attempt in range(_ATTEMPTS):
        try:
            families = _read_everything(folder / folders.DATA_NAME)
            changed = tables.changed_tables(folder, folder / folders.DATA_NAME)
            problems = tuple(f"the table file {name} is not what was written" for name in changed)
            return CheckReport(folder, sealed, families, problems)
        except Exception as error:  # noqa: BLE001 - rocksdict raises bare exceptions; each is a finding
            if _VANISHED not in str(error) or attempt == _ATTEMPTS - 1:
                return CheckReport(folder, sealed, (), (str(FolderDamagedError(folder, str(error))),))
    raise AssertionError("the last attempt returns")


def _read_everything(data: Path) -> tuple[FamilyReport, ...]:
    """Read and look up every pair.

    Raises:
        Exception: Whatever does not check, as text.
    """
    with tempfile.TemporaryDirectory(prefix="enchanted-check-") as log_folder:
        access = rocksdict.AccessType.read_only(False)  # noqa: FBT003 - a log to replay is no error
        database = open_raw(data, access, create=False, cache=None, log_folder=Path(log_folder))
        try:
            families = {DEFAULT_FAMILY: database, META_FAMILY: database.get_column_family(META_FAMILY)}
            return tuple(_read_family(name, family) for name, family in families.items())
        finally:
            database.close()


def _read_family(name: str, family: rocksdict.Rdict) -> FamilyReport:
    keys = size_bytes = 0
    iterator = family.iter()
    iterator.seek_to_first()
    while iterator.valid():
        key: bytes = iterator.key()
        value: bytes = iterator.value()
        if family.get(key) != value:
            raise ValueError(f"the key {key!r} is listed with a value that looking it up does not give")
        keys += 1
        size_bytes += len(key) + len(value)
        iterator.next()
    iterator.status()
    return FamilyReport(name, keys, size_bytes)
