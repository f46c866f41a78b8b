# SPDX-License-Identifier: Apache-2.0
"""Fingerprints of table files, so that a flipped byte is found also where RocksDB's checksums do not reach.

RocksDB checks the blocks that it reads; a table has other parts, such as padding and filters that a scan does
not ask. A table never changes once it is written and its name is never used again, so each is hashed once, at
the first clean close after it was written, and the hash holds for as long as the table is there.

File ``engine.tables``: JSON, file name to SHA-256 in hexadecimal.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

TABLES_NAME: Final = "engine.tables"
_TABLE_SUFFIX: Final = ".sst"


def fingerprints(folder: Path, data: Path) -> dict[str, str]:
    """The hashes of all tables, of known ones as recorded.

    Args:
        folder: The database folder.
        data: Where RocksDB keeps its files.

    Raises:
        OSError: A table cannot be read.
    """
    known = read_fingerprints(folder)
    return {table.name: known.get(table.name) or sha256_of(table) for table in _tables(data)}


def read_fingerprints(folder: Path) -> dict[str, str]:
    """The recorded hashes; none when there is no record or it cannot be read."""
    try:
        recorded = json.loads((folder / TABLES_NAME).read_bytes())
        return {str(name): str(value) for name, value in recorded.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def changed_tables(folder: Path, data: Path) -> list[str]:
    """Names of tables that are not what was recorded, and of the record itself; beside a live owner too.

    Raises:
        OSError: A table cannot be read.
    """
    recorded = read_fingerprints(folder)
    changed = [TABLES_NAME] if not recorded and (folder / TABLES_NAME).exists() and _tables(data) else []
    for table in _tables(data):
        try:
            if table.name in recorded and sha256_of(table) != recorded[table.name]:
                changed.append(table.name)
        except FileNotFoundError:
            # A live owner may remove a table that it has merged into another.
            continue
    return changed


def sha256_of(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tables(data: Path) -> list[Path]:
    return sorted(file for file in data.iterdir() if file.name.endswith(_TABLE_SUFFIX))
