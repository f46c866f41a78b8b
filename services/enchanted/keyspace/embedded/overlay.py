# SPDX-License-Identifier: Apache-2.0
"""What a transaction has written and not committed: the read-your-writes overlay, pure.

A transaction must read its own sets, clears and atomic operations as if they were stored, while another must
not. A mistake here is silent: a counter read back without its pending addition, a cleared range that still
lists. The overlay keeps one entry a written key and one set of cleared ranges, and answers three questions:
what does this key hold, given what is stored; which written keys lie in this range; what must be committed.

An entry is ``bytes`` (the value is known), ``None`` (the key is known absent) or :class:`Pending` (it depends
on what is stored, or on the commit version and is then unreadable).

Source of the semantics: FoundationDB's ``fdbclient/WriteMap`` and the documentation of the options
``read_your_writes_disable``, ``snapshot_ryw_disable``, ``bypass_unreadable``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from enchanted.keyspace.embedded.errors import ACCESSED_UNREADABLE, FDBError
from enchanted.keyspace.embedded.mutations import (
    OFFSET_BYTES,
    STAMP_BYTES,
    MutationType,
    apply,
    fold,
    stamp,
    stamp_offset,
)
from enchanted.keyspace.embedded.ranges import RangeSet, key_after


@dataclass(slots=True)
class Pending:
    """Operations on a key whose outcome is not known before the commit.

    Attributes:
        operations: Mutation codes and operands in the order of issue.
        unreadable: True once a versionstamped value is among them.
    """

    operations: list[tuple[int, bytes]]
    unreadable: bool = False

    def push(self, operation: int, operand: bytes) -> None:
        """Add an operation, folded into the last one where that changes nothing."""
        if operation in {MutationType.SET_VALUE, MutationType.SET_VERSIONSTAMPED_VALUE}:
            self.operations = [(operation, operand)]
            return
        last, previous = self.operations[-1]
        folded = fold(operation, previous, operand) if last == operation else None
        if folded is None:
            self.operations.append((operation, operand))
        else:
            self.operations[-1] = (operation, folded)

    def over(self, stored: bytes | None) -> bytes | None:
        """Return the value these operations make of ``stored``; a stamp not yet known stays as written."""
        for operation, operand in self.operations:
            if operation == MutationType.SET_VERSIONSTAMPED_VALUE:
                stored = operand[:-OFFSET_BYTES]
            else:
                stored = apply(operation, stored, operand)
        return stored


Entry = bytes | Pending | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a commit writes, in the order in which it must be applied: clears, keys, stamped keys.

    Attributes:
        clears: Half-open ranges to clear first.
        entries: Keys with their entry.
        stamped: Versionstamped keys with their position suffix, and their values, in order of issue.
    """

    clears: list[tuple[bytes, bytes]]
    entries: list[tuple[bytes, Entry]]
    stamped: list[tuple[bytes, bytes]]


class _Missing:
    """Tells "no entry" from the entry ``None``."""


MISSING: Final = _Missing()


@dataclass(slots=True)
class Overlay:
    """The writes of one transaction."""

    entries: dict[bytes, Entry] = field(default_factory=dict)
    cleared: RangeSet = field(default_factory=RangeSet)
    unreadable: RangeSet = field(default_factory=RangeSet)
    stamped: list[tuple[bytes, bytes]] = field(default_factory=list)
    _sorted: list[bytes] | None = None

    def __bool__(self) -> bool:
        return bool(self.entries or self.cleared or self.stamped)

    def set(self, key: bytes, value: bytes) -> None:
        """Write a value."""
        entry = self.entries.get(key, MISSING)
        if isinstance(entry, Pending) and entry.unreadable:
            entry.push(MutationType.SET_VALUE, value)
            return
        if entry is MISSING:
            self._sorted = None
        self.entries[key] = value

    def clear(self, key: bytes) -> None:
        """Remove one key."""
        if key not in self.entries:
            self._sorted = None
        self.entries[key] = None
        self._drop_stamped(key, key_after(key))

    def clear_range(self, begin: bytes, end: bytes) -> None:
        """Remove every key of ``[begin, end)``."""
        keys = self.keys()
        covered = keys[bisect_left(keys, begin) : bisect_left(keys, end)]
        for key in covered:
            del self.entries[key]
        if covered:
            self._sorted = None
        self.cleared.add(begin, end)
        self._drop_stamped(begin, end)

    def operate(self, operation: int, key: bytes, operand: bytes) -> None:
        """Apply a read-modify-write operation, at once where the value below is known."""
        entry = self.entries.get(key, MISSING)
        if isinstance(entry, Pending):
            entry.push(operation, operand)
        elif not isinstance(entry, _Missing):
            self.entries[key] = apply(operation, entry, operand)
        else:
            self._sorted = None
            known_absent = key in self.cleared
            self.entries[key] = (
                apply(operation, None, operand) if known_absent else Pending([(operation, operand)])
            )

    def set_stamped_value(self, key: bytes, parameter: bytes) -> None:
        """Write a value that the commit completes; the key is unreadable from now on."""
        stamp_offset(parameter)
        if key not in self.entries:
            self._sorted = None
        self.entries[key] = Pending([(MutationType.SET_VERSIONSTAMPED_VALUE, parameter)], unreadable=True)

    def set_stamped_key(self, parameter: bytes, value: bytes, read_version: int, end: bytes) -> None:
        """Write at a key that the commit completes; every key it may become is unreadable from now on.

        Args:
            parameter: The key with its position suffix.
            value: The value.
            read_version: The transaction's read version, 0 when it has none: the stamp will be higher.
            end: The end of the keys that the transaction may read.
        """
        offset = stamp_offset(parameter)
        head, tail = parameter[:offset], parameter[offset + STAMP_BYTES : -OFFSET_BYTES]
        lowest = head + stamp(read_version, 0) + tail
        highest = head + b"\xff" * STAMP_BYTES + tail
        self.unreadable.add(lowest, min(key_after(highest), end))
        self.unreadable.add(parameter, key_after(parameter))
        self.stamped.append((parameter, value))

    def keys(self) -> list[bytes]:
        """Return the written keys in order."""
        if self._sorted is None:
            self._sorted = sorted(self.entries)
        return self._sorted

    def within(self, begin: bytes, end: bytes, *, reverse: bool) -> Iterator[tuple[bytes, Entry]]:
        """Iterate over the written keys of ``[begin, end)`` and their entries."""
        keys = self.keys()
        span = keys[bisect_left(keys, begin) : bisect_left(keys, end)]
        for key in reversed(span) if reverse else span:
            yield key, self.entries[key]

    def lookup(self, key: bytes) -> Entry | _Missing:
        """Return the entry of ``key``, None where a range clear covers it, ``MISSING`` where nothing is."""
        entry = self.entries.get(key, MISSING)
        if entry is MISSING and key in self.cleared:
            return None
        return entry

    def is_unreadable(self, key: bytes) -> bool:
        """Tell whether the key's value depends on the commit version."""
        entry = self.entries.get(key)
        return (isinstance(entry, Pending) and entry.unreadable) or key in self.unreadable

    def require_readable(self, begin: bytes, end: bytes) -> None:
        """Refuse a range that a versionstamped key may fall into.

        Raises:
            FDBError: 1036.
        """
        if self.unreadable.intersects(begin, end):
            raise FDBError(ACCESSED_UNREADABLE)

    def is_independent(self, key: bytes) -> bool:
        """Tell whether reading ``key`` needs nothing that is stored, so that it makes no conflict."""
        return not isinstance(self.lookup(key), (Pending, _Missing))

    def dependent_parts(self, begin: bytes, end: bytes) -> list[tuple[bytes, bytes]]:
        """Return the parts of ``[begin, end)`` whose reading needs what is stored, in order."""
        parts = self.cleared.gaps(begin, end)
        known = [
            key for key, entry in self.within(begin, end, reverse=False) if not isinstance(entry, Pending)
        ]
        pending = [key for key, entry in self.within(begin, end, reverse=False) if isinstance(entry, Pending)]
        if not known and not pending:
            return parts
        dependent = RangeSet()
        for low, high in parts:
            dependent.add(low, high)
        for key in known:
            dependent.remove(key, key_after(key))
        for key in pending:
            dependent.add(key, key_after(key))
        return list(dependent)

    def batch(self) -> Batch:
        """Return what the commit must write."""
        return Batch(list(self.cleared), list(self.entries.items()), list(self.stamped))

    def _drop_stamped(self, begin: bytes, end: bytes) -> None:
        if self.stamped:
            self.stamped = [(key, value) for key, value in self.stamped if not begin <= key < end]
        if self.unreadable:
            self.unreadable.remove(begin, end)
