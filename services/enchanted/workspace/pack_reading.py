# SPDX-License-Identifier: Apache-2.0
"""Reads a pack from a stranger: measured first, then resolved.

A pack of a megabyte can unfold to terabytes, by deflate or by deltas that copy their base over and over. So
every entry is inflated once into nothing, with its declared sizes checked against the limits, before dulwich
resolves deltas and anything is held in memory. Every object gets its name from its own bytes; names that a
pack might claim are not looked at.

Format: https://git-scm.com/docs/gitformat-pack. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dulwich.errors import ApplyDeltaError
from dulwich.object_format import SHA1
from dulwich.pack import (
    OFS_DELTA,
    REF_DELTA,
    PackData,
    UnpackedObject,
    UnpackedObjectIterator,
    UnresolvedDeltas,
)

from enchanted.workspace.model import (
    INFLATED_BYTES_MAX,
    OBJECT_BYTES_MAX,
    OBJECTS_MAX,
    InvalidPackError,
    ObjectId,
    PackTooLargeError,
)
from enchanted.workspace.objects import SHA1_BYTES, ObjectKind, object_id

_HEADER_BYTES: Final = 12
_VERSIONS: Final = frozenset({2, 3})
_SLICE_BYTES: Final = 64 << 10
_INT_DIGITS_MAX: Final = 10
_DELTA_START_BYTES: Final = 2 * _INT_DIGITS_MAX
_DAMAGED: Final = "the pack is damaged; send it again"


@dataclass(frozen=True, slots=True)
class PackedObject:
    """An object of a pack, whole."""

    object_id: ObjectId
    kind: ObjectKind
    content: bytes


class PackReader:
    """The objects of one pack file. Close it after use.

    Raises:
        InvalidPackError: From any method, if the pack is damaged or needs objects that are not in it.
        PackTooLargeError: From the constructor, if it is past a limit.
    """

    def __init__(self, path: Path) -> None:
        with _damage_told():
            self._data = PackData(path, object_format=SHA1)
        try:
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
                self._entries = list(_measured(contents))
        except BaseException:
            self._data.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._data.close()

    def __len__(self) -> int:
        return len(self._entries)

    def objects(self) -> Iterator[PackedObject]:
        """All objects, each once, those made from others after them."""
        chains = UnpackedObjectIterator(None, SHA1.hash_func, object_format=SHA1)
        chains.set_pack_data(self._data)
        for entry in self._entries:
            chains.record(entry)
        with _damage_told():
            for unpacked in chains:
                assert unpacked.obj_chunks is not None, "dulwich resolves what it yields"
                kind, content = ObjectKind(unpacked.obj_type_num or 0), b"".join(unpacked.obj_chunks)
                yield PackedObject(object_id(kind, content), kind, content)


@contextlib.contextmanager
def _damage_told() -> Iterator[None]:
    """Turn what dulwich raises for damaged packs, assertions among it, into one error."""
    try:
        yield
    except UnresolvedDeltas as error:
        raise InvalidPackError("the pack needs objects that are not in it; send a complete one") from error
    except (ApplyDeltaError, AssertionError, LookupError, ValueError, zlib.error) as error:
        raise InvalidPackError(_DAMAGED) from error


def _measured(contents: mmap.mmap) -> Iterator[UnpackedObject]:
    """Where each entry begins and what it is made from, after everything was found to be within limits."""
    count = _entry_count(contents)
    end = len(contents) - SHA1_BYTES
    digest = hashlib.sha1(memoryview(contents)[:end], usedforsecurity=False).digest()
    if digest != contents[end:]:
        raise InvalidPackError(_DAMAGED)
    offset, total_bytes = _HEADER_BYTES, 0
    for _ in range(count):
        entry, offset, size_bytes = _measured_entry(contents, offset, end)
        total_bytes += size_bytes
        if total_bytes > INFLATED_BYTES_MAX:
            raise PackTooLargeError("the repository unfolds to more than 16 GiB", INFLATED_BYTES_MAX)
        yield entry
    if offset != end:
        raise InvalidPackError(_DAMAGED)


def _entry_count(contents: mmap.mmap) -> int:
    version, count = (int.from_bytes(contents[start : start + 4], "big") for start in (4, 8))
    if contents[:4] != b"PACK" or version not in _VERSIONS or len(contents) < _HEADER_BYTES + SHA1_BYTES:
        raise InvalidPackError("this is not a Git pack")
    if count > OBJECTS_MAX:
        raise PackTooLargeError("the repository has more than a million objects", OBJECTS_MAX)
    return count


def _measured_entry(contents: mmap.mmap, offset: int, end: int) -> tuple[UnpackedObject, int, int]:
    first = contents[offset]
    kind, size_bytes = first >> 4 & 7, first & 15
    position, more = offset + 1, first & 0x80
    for shift in range(4, 4 + 7 * _INT_DIGITS_MAX, 7):
        if not more:
            break
        size_bytes |= (contents[position] & 0x7F) << shift
        position, more = position + 1, contents[position] & 0x80
    _check_size(size_bytes)
    base: bytes | int | None = None
    if kind == OFS_DELTA:
        base, position = _base_distance(contents, position)
    elif kind == REF_DELTA:
        base, position = contents[position : position + SHA1_BYTES], position + SHA1_BYTES
    elif kind not in set(ObjectKind):
        raise InvalidPackError(_DAMAGED)
    start, position = _inflated(contents, position, end, size_bytes)
    entry = UnpackedObject(kind, delta_base=base, offset=offset)
    if base is None:
        return entry, position, size_bytes
    made_bytes = _delta_result_bytes(start)
    _check_size(made_bytes)
    return entry, position, made_bytes


def _check_size(size_bytes: int) -> None:
    if size_bytes > OBJECT_BYTES_MAX:
        raise PackTooLargeError("the repository has a file of more than 100 MiB", OBJECT_BYTES_MAX)


def _base_distance(contents: mmap.mmap, position: int) -> tuple[int, int]:
    distance = -1
    for _ in range(_INT_DIGITS_MAX):
        byte = contents[position]
        distance, position = (distance + 1) << 7 | byte & 0x7F, position + 1
        if not byte & 0x80:
            return distance, position
    raise InvalidPackError(_DAMAGED)


def _inflated(contents: mmap.mmap, position: int, end: int, size_bytes: int) -> tuple[bytes, int]:
    """The first bytes of a deflated stream, and where it ends; the rest is counted and thrown away."""
    inflater = zlib.decompressobj()
    start, count, tail = b"", 0, b""
    try:
        while True:
            taken = tail or contents[position : min(position + _SLICE_BYTES, end)]
            out = inflater.decompress(taken, _SLICE_BYTES)
            start, count = start or out[:_DELTA_START_BYTES], count + len(out)
            if count > size_bytes or not taken:
                raise InvalidPackError(_DAMAGED)
            if inflater.eof:
                position += len(taken) - len(inflater.unused_data)
                break
            tail = inflater.unconsumed_tail
            position += len(taken) - len(tail)
    except zlib.error as error:
        raise InvalidPackError(_DAMAGED) from error
    if count != size_bytes:
        raise InvalidPackError(_DAMAGED)
    return start, position


def _delta_result_bytes(start: bytes) -> int:
    """The size that a delta says it makes: the second of the two numbers at its beginning."""
    numbers: list[int] = []
    number = shift = 0
    for byte in start:
        number |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(number)
            number, shift = 0, 0
    if len(numbers) < 2:  # noqa: PLR2004 - the size of the base and the size of the result
        raise InvalidPackError(_DAMAGED)
    return numbers[1]
