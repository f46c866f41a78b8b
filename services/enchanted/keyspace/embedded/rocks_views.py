# SPDX-License-Identifier: Apache-2.0
"""States of a RocksDB store.

In rocksdict 0.3.29 a snapshot pins point reads only: iterating it shows later writes, so a range read through
it would not be of one state. An iterator is pinned at its creation. A view therefore reads points through a
snapshot and ranges through an *anchor*, an iterator made when a view was published. Anchors hold some
kilobytes and their table files, so they are made every few milliseconds only; a view published between two
of them reads through the older one, and looks up in its snapshot the keys that changed since.

An iterator that meets damage simply ends; only its ``status()`` tells.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final

import rocksdict

from enchanted.keyspace.embedded.errors import IO_ERROR, TRANSACTION_TOO_OLD, FDBError
from enchanted.keyspace.embedded.ranges import RangeSet, key_after
from enchanted.keyspace.embedded.store import PAIR_OVERHEAD_BYTES, Pair, Quota, Scan

_NOT_FOUND: Final = "key not found"


class Anchor:
    """An iterator and its lock: the state at its creation, for one reader at a time."""

    __slots__ = ("changes", "clears", "iterator", "lock", "made_seconds")

    def __init__(self, iterator: rocksdict.RdictIter, made_seconds: float) -> None:
        self.iterator: rocksdict.RdictIter | None = iterator
        self.lock = threading.Lock()
        self.made_seconds = made_seconds
        # What was written after the anchor, by everyone: views cut off their part by count.
        self.changes: list[bytes] = []
        self.clears: list[Pair] = []

    def scan(self, begin: bytes, end: bytes, quota: Quota) -> Scan:
        """Return pairs of ``[begin, end)`` from the low end until ``quota`` is used."""
        found: list[Pair] = []
        pairs_max, size_bytes = quota
        with self.lock:
            iterator = self._live()
            iterator.seek(begin)
            key, value, step = iterator.key, iterator.value, iterator.next
            while (at := key()) is not None:
                if at >= end:
                    return Scan(found, whole=True)
                content = value()
                found.append((at, content))
                size_bytes -= len(at) + len(content) + PAIR_OVERHEAD_BYTES
                if size_bytes <= 0 or len(found) == pairs_max:
                    return Scan(found, whole=False)
                step()
            self._check(iterator)
        return Scan(found, whole=True)

    def scan_back(self, begin: bytes, end: bytes, quota: Quota) -> Scan:
        """Return pairs of ``[begin, end)`` from the high end until ``quota`` is used."""
        found: list[Pair] = []
        pairs_max, size_bytes = quota
        with self.lock:
            iterator = self._live()
            iterator.seek_for_prev(end)
            key, value, step = iterator.key, iterator.value, iterator.prev
            if key() == end:
                step()
            while (at := key()) is not None:
                if at < begin:
                    return Scan(found, whole=True)
                content = value()
                found.append((at, content))
                size_bytes -= len(at) + len(content) + PAIR_OVERHEAD_BYTES
                if size_bytes <= 0 or len(found) == pairs_max:
                    return Scan(found, whole=False)
                step()
            self._check(iterator)
        return Scan(found, whole=True)

    def _live(self) -> rocksdict.RdictIter:
        if self.iterator is None:
            raise FDBError(TRANSACTION_TOO_OLD)
        return self.iterator

    @staticmethod
    def _check(iterator: rocksdict.RdictIter) -> None:
        try:
            iterator.status()
        except Exception as error:
            raise _io_error(error) from error


def _io_error(error: Exception) -> FDBError:
    failure = FDBError(IO_ERROR)
    failure.add_note(f"the storage engine reported: {error}")
    return failure


class _Delta:
    """What was written between an anchor and a view.

    A key written after the clear that covers it is among the changed keys, which are looked up one by one.
    """

    __slots__ = ("_changed", "cleared")

    def __init__(self, changed: list[bytes], clears: list[Pair]) -> None:
        self._changed = changed
        self.cleared = RangeSet()
        for begin, end in clears:
            self.cleared.add(begin, end)

    def within(self, begin: bytes, end: bytes) -> set[bytes]:
        """Return the changed keys of ``[begin, end)``."""
        changed = self._changed
        return set(changed[bisect_left(changed, begin) : bisect_left(changed, end)])


class RocksView:
    """A published state: points through a snapshot, ranges through an anchor and what changed since it."""

    __slots__ = ("_anchor", "_change_count", "_clear_count", "_delta", "points")

    def __init__(self, snapshot: rocksdict.Snapshot, anchor: Anchor) -> None:
        self.points: Any = snapshot
        self._anchor: Anchor | None = anchor
        self._change_count = len(anchor.changes)
        self._clear_count = len(anchor.clears)
        self._delta: _Delta | None = None

    def require_missing(self, error: Exception) -> None:
        """Accept ``error`` when it says that the key is absent.

        Raises:
            FDBError: 1510, when it says anything else.
        """
        if self.points is None:
            raise FDBError(TRANSACTION_TOO_OLD)
        if str(error) != _NOT_FOUND:
            raise _io_error(error) from error

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, None when it is absent."""
        try:
            value: bytes = self.points[key]
        except Exception as error:  # noqa: BLE001 - rocksdict raises bare exceptions, told apart by text
            self.require_missing(error)
            return None
        return value

    def scan(self, begin: bytes, end: bytes, *, reverse: bool, quota: Quota) -> Scan:
        """Return pairs of ``[begin, end)`` until ``quota`` is used."""
        if begin >= end:
            return Scan([], whole=True)
        anchor = self._anchor
        if anchor is None:
            raise FDBError(TRANSACTION_TOO_OLD)
        read = anchor.scan_back if reverse else anchor.scan
        if not self._change_count and not self._clear_count:
            return read(begin, end, quota)
        delta = self._delta
        if delta is None:
            changed = sorted(set(anchor.changes[: self._change_count]))
            delta = self._delta = _Delta(changed, anchor.clears[: self._clear_count])
        return self._patched(read, delta, begin, end, reverse=reverse, quota=quota)

    def release(self) -> None:
        """Let go of the snapshot and of the anchor, which lives while other views use it."""
        self.points = None
        self._anchor = None

    def _patched(
        self,
        read: Callable[[bytes, bytes, Quota], Scan],
        delta: _Delta,
        begin: bytes,
        end: bytes,
        *,
        reverse: bool,
        quota: Quota,
    ) -> Scan:
        found: list[Pair] = []
        while begin < end:
            pairs, whole = read(begin, end, quota)
            low, high = begin, end
            if not whole:
                low, high = (pairs[-1][0], end) if reverse else (begin, key_after(pairs[-1][0]))
            for pair in self._patch(pairs, delta, low, high, reverse=reverse):
                found.append(pair)
                quota = quota.left_after([pair])
                if quota.used:
                    return Scan(found, whole=False)
            if whole:
                break
            begin, end = (begin, low) if reverse else (high, end)
        return Scan(found, whole=True)

    def _patch(
        self, pairs: list[Pair], delta: _Delta, begin: bytes, end: bytes, *, reverse: bool
    ) -> list[Pair]:
        """Bring what the anchor has of ``[begin, end)`` up to this view."""
        touched = delta.within(begin, end)
        current = {key: value for key, value in pairs if key not in touched and key not in delta.cleared}
        if len(current) == len(pairs) and not touched:
            return pairs
        for key in touched:
            value = self.get(key)
            if value is not None:
                current[key] = value
        return sorted(current.items(), reverse=reverse)
