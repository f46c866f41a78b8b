# SPDX-License-Identifier: Apache-2.0
"""Key arithmetic and sets of key ranges, pure.

Conflict ranges, cleared ranges and unreadable ranges are all sets of half-open ranges that are asked "is this
key inside". Kept as a plain list they would grow with every operation of a long transaction and be searched
from end to end; kept merged and sorted they stay as small as what they cover, and a question is a bisection.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

SYSTEM_BEGIN: Final = b"\xff"
SPECIAL_BEGIN: Final = b"\xff\xff"


def key_after(key: bytes) -> bytes:
    """Return the first key that sorts after ``key``."""
    return key + b"\x00"


def strinc(key: bytes) -> bytes:
    """Return the first key that does not start with ``key``.

    Raises:
        ValueError: The key is empty or made of 0xFF only, so that there is none.
    """
    trimmed = key.rstrip(b"\xff")
    if not trimmed:
        raise ValueError("Key must contain at least one byte not equal to 0xFF.")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,))


class RangeSet:
    """A set of keys made of half-open ranges, kept merged: no two of them overlap or touch."""

    __slots__ = ("_begins", "_ends")

    def __init__(self) -> None:
        self._begins: list[bytes] = []
        self._ends: list[bytes] = []

    def __bool__(self) -> bool:
        return bool(self._begins)

    def __len__(self) -> int:
        return len(self._begins)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(list(zip(self._begins, self._ends, strict=True)))

    def __contains__(self, key: bytes) -> bool:
        index = bisect_right(self._begins, key) - 1
        return index >= 0 and key < self._ends[index]

    def add(self, begin: bytes, end: bytes) -> None:
        """Put every key of ``[begin, end)`` into the set; an empty or inverted range adds nothing."""
        if begin >= end:
            return
        first = bisect_left(self._ends, begin)
        last = bisect_right(self._begins, end)
        if first < last:
            begin = min(begin, self._begins[first])
            end = max(end, self._ends[last - 1])
        self._begins[first:last] = [begin]
        self._ends[first:last] = [end]

    def remove(self, begin: bytes, end: bytes) -> None:
        """Take every key of ``[begin, end)`` out of the set."""
        if begin >= end:
            return
        first = bisect_right(self._ends, begin)
        last = bisect_left(self._begins, end)
        if first >= last:
            return
        kept = [(self._begins[first], begin), (end, self._ends[last - 1])]
        kept = [(low, high) for low, high in kept if low < high]
        self._begins[first:last] = [low for low, _ in kept]
        self._ends[first:last] = [high for _, high in kept]

    def intersects(self, begin: bytes, end: bytes) -> bool:
        """Tell whether any key of ``[begin, end)`` is in the set."""
        return begin < end and self.first_overlap(begin, end) is not None

    def first_overlap(self, begin: bytes, end: bytes) -> tuple[bytes, bytes] | None:
        """Return the lowest stored range that shares a key with ``[begin, end)``, None without one."""
        index = bisect_right(self._ends, begin)
        if index < len(self._begins) and self._begins[index] < end:
            return self._begins[index], self._ends[index]
        return None

    def last_overlap(self, begin: bytes, end: bytes) -> tuple[bytes, bytes] | None:
        """Return the highest stored range that shares a key with ``[begin, end)``, None without one."""
        index = bisect_left(self._begins, end) - 1
        if index >= 0 and self._ends[index] > begin:
            return self._begins[index], self._ends[index]
        return None

    def overlaps(self, begin: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        """Return the parts of ``[begin, end)`` that are in the set, in order."""
        first = bisect_right(self._ends, begin)
        last = bisect_left(self._begins, end)
        return [
            (max(begin, self._begins[index]), min(end, self._ends[index])) for index in range(first, last)
        ]

    def gaps(self, begin: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        """Return the parts of ``[begin, end)`` that are not in the set, in order."""
        found: list[tuple[bytes, bytes]] = []
        position = begin
        for low, high in self.overlaps(begin, end):
            if position < low:
                found.append((position, low))
            position = high
        if position < end:
            found.append((position, end))
        return found
