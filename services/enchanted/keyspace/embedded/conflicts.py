# SPDX-License-Identifier: Apache-2.0
"""Optimistic concurrency control: who may commit, pure.

A transaction that read at version R may commit only if nobody wrote what it read after R. Missing one such
write gives write skew, lost updates, doubled money; seeing one that is not there only costs a retry. The
resolver keeps the last version at which every recently written key was written, answers, and forgets what is
older than the window, so that its memory is bounded by five seconds of writes.

Point writes live in a dictionary, which makes the usual check (point reads) one look-up a key; their keys are
sorted only when a range read has to be checked. Range writes live in a map of steps: boundary to the version
at which everything up to the next boundary was last written.

Source: the conflict rules of FoundationDB's resolver (``fdbserver/ConflictSet``): reads are checked in commit
order, transactions of one batch included; a transaction without reads never conflicts and is never too old.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sortedcontainers import SortedList

Range = tuple[bytes, bytes]

# Below this many steps the map is left alone; above it, it is rebuilt whenever it has doubled.
_STEPS_MIN: Final = 1024
_KEYS_MIN: Final = 1024


class Verdict(Enum):
    """The resolver's answer."""

    COMMIT = "commit"
    CONFLICT = "conflict"
    TOO_OLD = "too old"


@dataclass(frozen=True, slots=True)
class Reads:
    """What a transaction read and must find unwritten: keys and half-open ranges."""

    keys: Iterable[bytes]
    ranges: Iterable[Range]


@dataclass(frozen=True, slots=True)
class Writes:
    """What a transaction writes: keys and half-open ranges."""

    keys: Iterable[bytes]
    ranges: Iterable[Range]


class _StepMap:
    """Half-open ranges and the version at which each was last written."""

    __slots__ = ("_bounds", "_rebuild_at", "_versions")

    def __init__(self) -> None:
        self._bounds: list[bytes] = [b""]
        self._versions: list[int] = [0]
        self._rebuild_at = _STEPS_MIN

    def __len__(self) -> int:
        return len(self._bounds)

    def write(self, begin: bytes, end: bytes, version: int) -> None:
        first = bisect_left(self._bounds, begin)
        last = bisect_left(self._bounds, end)
        after = self._versions[last - 1] if last else 0
        new_bounds, new_versions = [begin], [version]
        if last == len(self._bounds) or self._bounds[last] != end:
            new_bounds.append(end)
            new_versions.append(after)
        self._bounds[first:last] = new_bounds
        self._versions[first:last] = new_versions

    def at(self, key: bytes) -> int:
        return self._versions[bisect_right(self._bounds, key) - 1]

    def newest(self, begin: bytes, end: bytes) -> int:
        first = bisect_right(self._bounds, begin) - 1
        last = bisect_left(self._bounds, end)
        return max(self._versions[first:last])

    def forget(self, oldest: int) -> None:
        """Merge the steps not newer than ``oldest``; done when the map has doubled, so it is paid rarely."""
        if len(self._bounds) < self._rebuild_at:
            return
        bounds: list[bytes] = []
        versions: list[int] = []
        for bound, version in zip(self._bounds, self._versions, strict=True):
            kept = version if version > oldest else 0
            if not versions or versions[-1] != kept:
                bounds.append(bound)
                versions.append(kept)
        self._bounds, self._versions = bounds, versions
        self._rebuild_at = max(_STEPS_MIN, 2 * len(bounds))


class Resolver:
    """Decides commits in order and remembers their writes.

    Not for concurrent use: the committer alone calls it.
    """

    def __init__(self) -> None:
        self._oldest = 0
        self._newest = 0
        self._point_versions: dict[bytes, int] = {}
        self._sorted_keys: Any = SortedList()
        self._unsorted_keys: list[bytes] = []
        self._history: deque[tuple[int, list[bytes]]] = deque()
        self._steps = _StepMap()
        self._range_newest = 0

    @property
    def remembered(self) -> int:
        """How many keys and steps are held; bounded by the writes of the window."""
        return len(self._point_versions) + len(self._steps) - 1

    def check(self, read_version: int, reads: Reads) -> Verdict:
        """Say whether a transaction that read ``reads`` at ``read_version`` may commit now."""
        keys, ranges = list(reads.keys), list(reads.ranges)
        if not keys and not ranges:
            return Verdict.COMMIT
        if read_version < self._oldest:
            return Verdict.TOO_OLD
        if read_version >= self._newest:
            return Verdict.COMMIT
        if self._keys_conflict(read_version, keys) or self._ranges_conflict(read_version, ranges):
            return Verdict.CONFLICT
        return Verdict.COMMIT

    def record(self, version: int, writes: Writes) -> None:
        """Remember that ``writes`` were committed at ``version``; versions never go back."""
        assert version >= self._newest
        self._newest = version
        keys = list(writes.keys)
        points = self._point_versions
        for key in keys:
            if key not in points:
                self._unsorted_keys.append(key)
            points[key] = version
        if keys:
            self._history.append((version, keys))
        for begin, end in writes.ranges:
            if begin < end:
                self._steps.write(begin, end, version)
                self._range_newest = version

    def forget(self, oldest: int) -> None:
        """Forget writes at or below ``oldest``: transactions that read before it are answered too old."""
        self._oldest = max(self._oldest, oldest)
        points = self._point_versions
        while self._history and self._history[0][0] <= oldest:
            version, keys = self._history.popleft()
            for key in keys:
                if points.get(key) == version:
                    del points[key]
        stale = len(self._sorted_keys) + len(self._unsorted_keys) - len(points)
        if stale > _KEYS_MIN and stale > len(points):
            self._sorted_keys = SortedList()
            self._unsorted_keys = list(points)
        self._steps.forget(oldest)

    def _keys_conflict(self, read_version: int, keys: list[bytes]) -> bool:
        written = self._point_versions.get
        if any(written(key, 0) > read_version for key in keys):
            return True
        if self._range_newest <= read_version:
            return False
        return any(self._steps.at(key) > read_version for key in keys)

    def _ranges_conflict(self, read_version: int, ranges: list[Range]) -> bool:
        if not ranges:
            return False
        if self._range_newest > read_version and any(
            self._steps.newest(begin, end) > read_version for begin, end in ranges if begin < end
        ):
            return True
        written = self._point_versions
        recent = self._keys_after(read_version, limit=16 * len(ranges))
        if recent is not None:
            return any(begin <= key < end for key in recent for begin, end in ranges)
        self._sort()
        return any(
            written.get(key, 0) > read_version
            for begin, end in ranges
            for key in self._sorted_keys.irange(begin, end, inclusive=(True, False))
        )

    def _keys_after(self, read_version: int, limit: int) -> list[bytes] | None:
        """Keys written after ``read_version``, or None when there are more than ``limit``."""
        found: list[bytes] = []
        for version, keys in reversed(self._history):
            if version <= read_version:
                break
            found.extend(keys)
            if len(found) > limit:
                return None
        return found

    def _sort(self) -> None:
        if self._unsorted_keys:
            known = self._sorted_keys
            known.update(key for key in self._unsorted_keys if key not in known)
            self._unsorted_keys = []
