# SPDX-License-Identifier: Apache-2.0
"""Reading a state through an overlay: merged ranges and key selectors, pure but for the view it reads.

A range read of a transaction is the stored range with the transaction's own writes laid over it, and a key
selector counts keys in that merged order. Getting the merge wrong at one end (a cleared run at the limit, a
pending key past the last stored one, a selector that walks off either end) shows only in rare interleavings,
so there is one merge, used by everything, and it is compared with a sorted dictionary by property tests.
"""

from __future__ import annotations

from dataclasses import dataclass

from enchanted.keyspace.embedded.errors import ACCESSED_UNREADABLE, FDBError
from enchanted.keyspace.embedded.overlay import Overlay, Pending
from enchanted.keyspace.embedded.ranges import key_after
from enchanted.keyspace.embedded.store import UNLIMITED, Pair, Quota, Scan, View

# A selector that walks far does it in steps of this many keys.
WALK_PAIRS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Selector:
    """The ``offset``-th key at or after ``key``; offsets below one count backwards from before ``key``.

    ``offset`` 1 is the first key at or after ``key``, 0 the last one before it. The API's ``or_equal`` is
    folded into the key by :meth:`normal`; ``base`` is the key as it was given, for the check of legality.
    """

    base: bytes
    key: bytes
    offset: int

    @classmethod
    def normal(cls, key: bytes, *, or_equal: bool, offset: int) -> Selector:
        """Return the selector of the API's three fields."""
        return cls(key, key_after(key) if or_equal else key, offset)

    @property
    def is_key(self) -> bool:
        """True when the selector stands for its key as a bound of a range, so that nothing must be read."""
        return self.offset == 1


@dataclass(frozen=True, slots=True)
class Reader:
    """A state as one transaction sees it.

    Attributes:
        view: What is stored.
        overlay: What the transaction wrote, None when it is not to see that.
        end: The end of the keys that may be read.
        bypass_unreadable: True to read versionstamped writes as they were written.
    """

    view: View
    overlay: Overlay | None
    end: bytes
    bypass_unreadable: bool = False

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``.

        Raises:
            FDBError: 1036 when it depends on the commit version.
        """
        overlay = self.overlay
        if not overlay:
            return self.view.get(key)
        if not self.bypass_unreadable and overlay.is_unreadable(key):
            raise FDBError(ACCESSED_UNREADABLE)
        entry = overlay.lookup(key)
        if entry is None or isinstance(entry, bytes):
            return entry
        stored = self.view.get(key)
        return entry.over(stored) if isinstance(entry, Pending) else stored

    def scan(self, begin: bytes, end: bytes, *, reverse: bool, quota: Quota) -> Scan:
        """Return pairs of ``[begin, end)`` until ``quota`` is used.

        Raises:
            FDBError: 1036 when a key that depends on the commit version is reached first.
        """
        overlay = self.overlay
        if not overlay or begin >= end:
            return self.view.scan(begin, end, reverse=reverse, quota=quota)
        barrier = None if self.bypass_unreadable else self._barrier(overlay, begin, end, reverse=reverse)
        if barrier is None:
            return self._merged(overlay, begin, end, reverse=reverse, quota=quota)
        low, high = (barrier, end) if reverse else (begin, barrier)
        scan = self._merged(overlay, low, high, reverse=reverse, quota=quota)
        if scan.whole:
            raise FDBError(ACCESSED_UNREADABLE)
        return scan

    def resolve(self, selector: Selector) -> bytes:
        """Return the key that ``selector`` names: ``b""`` before the first, ``end`` past the last.

        Raises:
            FDBError: 1036 when the way there leads over a key that depends on the commit version.
        """
        forward = selector.offset >= 1
        steps = selector.offset if forward else 1 - selector.offset
        begin, end = (selector.key, self.end) if forward else (b"", min(selector.key, self.end))
        while True:
            quota = Quota(min(steps, WALK_PAIRS_MAX), UNLIMITED)
            pairs, whole = self.scan(begin, end, reverse=not forward, quota=quota)
            steps -= len(pairs)
            if steps == 0:
                return pairs[-1][0]
            if whole:
                return self.end if forward else b""
            if forward:
                begin = key_after(pairs[-1][0])
            else:
                end = pairs[-1][0]

    @staticmethod
    def _barrier(overlay: Overlay, begin: bytes, end: bytes, *, reverse: bool) -> bytes | None:
        """Where the scan must stop: the low (reverse: high) end of the first unreadable part it meets."""
        bounds: list[bytes] = []
        span = (overlay.unreadable.last_overlap if reverse else overlay.unreadable.first_overlap)(begin, end)
        if span is not None:
            bounds.append(min(span[1], end) if reverse else max(span[0], begin))
        for key, entry in overlay.within(begin, end, reverse=reverse):
            if isinstance(entry, Pending) and entry.unreadable:
                bounds.append(key_after(key) if reverse else key)
                break
        if not bounds:
            return None
        return max(bounds) if reverse else min(bounds)

    def _merged(self, overlay: Overlay, begin: bytes, end: bytes, *, reverse: bool, quota: Quota) -> Scan:
        gaps = overlay.cleared.gaps(begin, end)
        if len(gaps) == 1 and gaps[0] == (begin, end) and not _has_any(overlay, begin, end):
            return self.view.scan(begin, end, reverse=reverse, quota=quota)
        found: list[Pair] = []
        for low, high, stored in _segments(gaps, begin, end, reverse=reverse):
            left = self._segment(overlay, low, high, stored=stored, reverse=reverse, quota=quota, found=found)
            if left.used:
                return Scan(found, whole=False)
            quota = left
        return Scan(found, whole=True)

    def _segment(
        self,
        overlay: Overlay,
        begin: bytes,
        end: bytes,
        *,
        stored: bool,
        reverse: bool,
        quota: Quota,
        found: list[Pair],
    ) -> Quota:
        """Append the merged pairs of one segment to ``found``; returns what is left of the quota."""
        while begin < end:
            pairs, whole = (
                self.view.scan(begin, end, reverse=reverse, quota=quota) if stored else Scan([], whole=True)
            )
            low, high = begin, end
            if not whole:
                low, high = (pairs[-1][0], end) if reverse else (begin, key_after(pairs[-1][0]))
            for pair in _laid_over(pairs, overlay, low, high, reverse=reverse):
                found.append(pair)
                quota = quota.left_after([pair])
                if quota.used:
                    return quota
            if whole:
                break
            begin, end = (begin, low) if reverse else (high, end)
        return quota


def _has_any(overlay: Overlay, begin: bytes, end: bytes) -> bool:
    return next(overlay.within(begin, end, reverse=False), None) is not None


def _segments(
    gaps: list[tuple[bytes, bytes]], begin: bytes, end: bytes, *, reverse: bool
) -> list[tuple[bytes, bytes, bool]]:
    """Cut ``[begin, end)`` into parts where stored keys show (the gaps) and where all were cleared."""
    segments: list[tuple[bytes, bytes, bool]] = []
    position = begin
    for low, high in gaps:
        if position < low:
            segments.append((position, low, False))
        segments.append((low, high, True))
        position = high
    if position < end:
        segments.append((position, end, False))
    return segments[::-1] if reverse else segments


def _laid_over(pairs: list[Pair], overlay: Overlay, begin: bytes, end: bytes, *, reverse: bool) -> list[Pair]:
    entries = list(overlay.within(begin, end, reverse=False))
    if not entries:
        return pairs
    merged: dict[bytes, bytes | None] = dict(pairs)
    for key, entry in entries:
        merged[key] = entry.over(merged.get(key)) if isinstance(entry, Pending) else entry
    return [(key, value) for key, value in sorted(merged.items(), reverse=reverse) if value is not None]
