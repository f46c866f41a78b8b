# SPDX-License-Identifier: Apache-2.0
"""Watches: futures that become ready when a key's value changes.

A watch that misses a change leaves its waiter asleep for ever; the gap to close is between the moment at
which a transaction saw a value and the moment at which its watch is registered. Registration therefore
compares with the newest published state under the same lock that publishing takes to fire watches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from enchanted.keyspace.embedded.cells import Cell
from enchanted.keyspace.embedded.errors import TOO_MANY_WATCHES, FDBError

WATCHES_MAX: Final = 10_000

Read = Callable[[bytes], "bytes | None"]


class WatchLimit:
    """Counts the watches of one database handle.

    Args:
        maximum: How many may be outstanding.
    """

    def __init__(self, maximum: int = WATCHES_MAX) -> None:
        self.maximum = maximum
        self._outstanding = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count one more.

        Raises:
            FDBError: 1032, when ``maximum`` are outstanding.
        """
        with self._lock:
            if self._outstanding >= self.maximum:
                raise FDBError(TOO_MANY_WATCHES)
            self._outstanding += 1

    def give_back(self) -> None:
        """Count one less."""
        with self._lock:
            self._outstanding -= 1


class Watch:
    """One watch: the key, the value it is compared with, and the future's cell.

    Args:
        key: What is watched.
        seen: The value that the transaction saw or wrote last.
        limit: Where the watch is counted until it is over.

    Raises:
        FDBError: 1032, when too many are outstanding.
    """

    __slots__ = ("_limit", "_over", "cell", "key", "seen")

    def __init__(self, key: bytes, seen: bytes | None, limit: WatchLimit) -> None:
        limit.take()
        self.key = key
        self.seen = seen
        self.cell = Cell()
        self._limit: WatchLimit | None = limit
        self._over = threading.Lock()

        self.cell.on_cancel(self.end)

    def fire(self) -> None:
        """The value changed."""
        self.end()
        self.cell.set(None)

    def fail(self, error: BaseException) -> None:
        """The watch ends without a change."""
        self.end()
        self.cell.fail(error)

    def end(self) -> None:
        """Count the watch no longer."""
        with self._over:
            limit, self._limit = self._limit, None
        if limit is not None:
            limit.give_back()


class WatchTable:
    """The watches of committed transactions, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key: dict[bytes, list[Watch]] = {}

    def __len__(self) -> int:
        return sum(len(watches) for watches in self._by_key.values())

    def register(self, watches: Iterable[Watch], read_newest: Callable[[], Read]) -> None:
        """Start watches; those whose value is different already fire at once.

        Args:
            watches: What to start.
            read_newest: Returns a reader of the newest published state; called under the table's lock.
        """
        changed: list[Watch] = []
        with self._lock:
            read = read_newest()
            for watch in watches:
                if read(watch.key) != watch.seen:
                    changed.append(watch)
                    continue
                self._by_key.setdefault(watch.key, []).append(watch)
                watch.cell.on_cancel(partial(self._remove, watch))
        for watch in changed:
            watch.fire()

    def publish(self, keys: Iterable[bytes], ranges: Iterable[tuple[bytes, bytes]], read: Read) -> None:
        """Fire the watches whose value differs from the new state.

        Args:
            keys: Keys that may have changed.
            ranges: Ranges in which keys may have been cleared.
            read: A reader of the new state, which is published already.
        """
        if not self._by_key:
            return
        fired: list[Watch] = []
        with self._lock:
            touched = {key for key in keys if key in self._by_key}
            spans = list(ranges)
            if spans:
                touched.update(key for key in self._by_key if any(begin <= key < end for begin, end in spans))
            for key in touched:
                value = read(key)
                kept = [watch for watch in self._by_key[key] if watch.seen == value]
                fired.extend(watch for watch in self._by_key[key] if watch.seen != value)
                if kept:
                    self._by_key[key] = kept
                else:
                    del self._by_key[key]
        for watch in fired:
            watch.fire()

    def close(self, error: Callable[[], BaseException]) -> None:
        """End all watches with an error."""
        with self._lock:
            ended = [watch for watches in self._by_key.values() for watch in watches]
            self._by_key.clear()
        for watch in ended:
            watch.fail(error())

    def _remove(self, watch: Watch) -> None:
        with self._lock:
            kept = [other for other in self._by_key.get(watch.key, []) if other is not watch]
            if kept:
                self._by_key[watch.key] = kept
            else:
                self._by_key.pop(watch.key, None)
        watch.end()
