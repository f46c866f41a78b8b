# SPDX-License-Identifier: Apache-2.0
"""Versions: a clock that advances about a million a second and never goes back, restarts included.

Versionstamps order history for ever, so a version that is given twice, or goes back after a crash, puts new
events before old ones. The clock therefore runs on a monotonic source, never hands out a version beyond a
bound that is already on disk, and after a restart begins above that bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

VERSIONS_PER_SECOND: Final = 1_000_000
WINDOW_VERSIONS: Final = 5 * VERSIONS_PER_SECOND
RESERVE_VERSIONS: Final = 120 * VERSIONS_PER_SECOND
RESERVE_LOW_VERSIONS: Final = 60 * VERSIONS_PER_SECOND


class VersionClock:
    """Hands out read versions and commit versions in one order.

    A read version names the newest state that is complete: while a commit group is under way at version C,
    read versions stay below C; once it is published they are at or above it.

    Args:
        monotonic: A clock in seconds that never goes back.
        floor: The bound that the folder's last owner had reserved; all versions given are above it.
    """

    def __init__(self, monotonic: Callable[[], float], floor: int) -> None:
        self._monotonic = monotonic
        self._origin = floor + 1 - int(monotonic() * VERSIONS_PER_SECOND)
        self._lock = threading.Lock()
        self._last = floor + 1
        self._pending: int | None = None
        self._reserved = floor + 1

    @property
    def reserved(self) -> int:
        """The bound that no version passes until :meth:`extend` raises it."""
        return self._reserved

    def needs_reserve(self) -> bool:
        """Tell whether the bound comes near, so that a higher one should be stored."""
        return self._reserved - self._now() < RESERVE_LOW_VERSIONS

    def next_reserve(self) -> int:
        """Return the bound to store next."""
        return max(self._now(), self._last) + RESERVE_VERSIONS

    def extend(self, reserved: int) -> None:
        """Raise the bound, after ``reserved`` is durable."""
        with self._lock:
            self._reserved = max(self._reserved, reserved)

    def read_version(self) -> int:
        """Return a version at which everything acknowledged so far can be read."""
        with self._lock:
            if self._pending is None:
                self._last = max(self._last, min(self._now(), self._reserved))
            return self._last

    def begin_commit(self) -> int:
        """Return the version of a new commit group: above every version given before.

        Raises:
            OverflowError: The bound is reached; store a higher one first.
        """
        with self._lock:
            assert self._pending is None
            version = max(self._now(), self._last + 1)
            if version > self._reserved:
                raise OverflowError("the reserved versions are used up")
            self._pending = version
            return version

    def end_commit(self, *, published: bool) -> None:
        """Let read versions go on, at or above the group's version if it was ``published``."""
        with self._lock:
            assert self._pending is not None
            if published:
                self._last = max(self._last, self._pending)
            self._pending = None

    def latest(self) -> int:
        """Return how far time has come, for deciding what is too old; at or above all versions given."""
        return max(self._last, min(self._now(), self._reserved))

    def deadline_seconds(self, version: int) -> float:
        """Return the reading of the monotonic clock at which ``version`` is too old to be used."""
        return (version + WINDOW_VERSIONS - self._origin) / VERSIONS_PER_SECOND

    def _now(self) -> int:
        return self._origin + int(self._monotonic() * VERSIONS_PER_SECOND)
