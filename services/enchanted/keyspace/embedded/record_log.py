# SPDX-License-Identifier: Apache-2.0
"""Finds damage in RocksDB's log files that RocksDB itself takes for something else.

RocksDB stops quietly at a record that runs past the end of a log: that is what a crash in the middle of a
write leaves. But one flipped bit in the length of an earlier record of the last block looks the same, and
then every acknowledged commit after it is gone without a word; in a MANIFEST the same bit makes the pinned
version loop for ever. A torn record and a damaged length can be told apart: the checksum of a torn record
matches no shorter piece of it, while under a damaged length it matches the piece of the true length.

Source of the format: ``db/log_format.h`` of RocksDB: blocks of 32 KiB; a record is a masked CRC-32C over type
and payload, a length of two bytes, a type of one, and for recycled logs a log number of four.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BLOCK_BYTES: Final = 32 << 10
HEADER_BYTES: Final = 7
RECYCLED_HEADER_BYTES: Final = 11
_TYPE_AT: Final = 6
_RECYCLED_TYPES: Final = frozenset({5, 6, 7, 8, 11, 131})
_MASK_DELTA: Final = 0xA282EAD8
_POLYNOMIAL: Final = 0x82F63B78


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        entries.append(value)
    return tuple(entries)


_TABLE: Final = _table()


def _unmasked(stored: int) -> int:
    rotated = (stored - _MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Damage:
    """A record that does not check.

    Attributes:
        file: Where it is.
        offset: Where the record begins.
        what: What is wrong with it.
    """

    file: Path
    offset: int
    what: str

    def __str__(self) -> str:
        return f"{self.file.name} is damaged at byte {self.offset}: {self.what}"


def find_damage(folder: Path) -> Damage | None:
    """Return the first damage found in the MANIFEST files and in the last block of every log of ``folder``.

    Only the last block of a log can lose records quietly; RocksDB reports what is wrong in the others.

    Raises:
        OSError: A file cannot be read.
    """
    for file in sorted(folder.glob("MANIFEST-*")):
        damage = _scan(file, 0)
        if damage is not None:
            return damage
    for file in sorted(folder.glob("*.log")):
        damage = _scan(file, max(0, (file.stat().st_size - 1) // BLOCK_BYTES * BLOCK_BYTES))
        if damage is not None:
            return damage
    return None


def _scan(file: Path, start: int) -> Damage | None:
    with file.open("rb") as stream:
        stream.seek(start)
        offset = start
        while block := stream.read(BLOCK_BYTES):
            for at, what in _findings(block):
                return Damage(file, offset + at, what)
            offset += len(block)
    return None


def _findings(block: bytes) -> Iterator[tuple[int, str]]:
    """Give the place and kind of the first record of a block that is damaged, if there is one."""
    at = 0
    while at + HEADER_BYTES <= len(block):
        stored = int.from_bytes(block[at : at + 4], "little")
        length = int.from_bytes(block[at + 4 : at + _TYPE_AT], "little")
        kind = block[at + _TYPE_AT]
        if kind == 0 and length == 0:
            return
        body = at + _TYPE_AT + 1
        end = at + (RECYCLED_HEADER_BYTES if kind in _RECYCLED_TYPES else HEADER_BYTES) + length
        true_length = _length_under(block[at + _TYPE_AT : body], block[body:end], stored)
        if end > len(block):
            if true_length is not None:
                yield at, "the length of a record was changed"
            elif len(block) == BLOCK_BYTES:
                yield at, "a record runs past its block"
            return
        if true_length != end - body:
            yield at, "the checksum of a record does not match"
            return
        at = end


def _length_under(kind: bytes, payload: bytes, stored: int) -> int | None:
    """Return how many bytes of ``payload`` the stored checksum covers; the longest where several do."""
    wanted = _unmasked(stored) ^ 0xFFFFFFFF
    table = _TABLE
    crc = 0xFFFFFFFF
    crc = table[(crc ^ kind[0]) & 0xFF] ^ (crc >> 8)
    found = 0 if crc == wanted else None
    for length, byte in enumerate(payload, start=1):
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
        if crc == wanted:
            found = length
    return found
