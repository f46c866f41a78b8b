# SPDX-License-Identifier: Apache-2.0
"""The port of what holds the data, and its adapter in memory.

Everything above this port (conflicts, overlay, versions, watches) is the same for a folder and for memory; a
rule that knew which one runs would be tested on one and wrong on the other. A store takes whole batches from
one writer and hands out views: states that later batches do not change.
"""

from __future__ import annotations

import sys
import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol

from sortedcontainers import SortedList

from enchanted.keyspace.embedded.errors import TRANSACTION_TOO_OLD, FDBError

Pair = tuple[bytes, bytes]
Change = tuple[bytes, bytes | None]

# What the client protocol counts for a pair besides its key and value.
PAIR_OVERHEAD_BYTES: Final = 8


class Quota(NamedTuple):
    """How much a scan may return: it stops at the pair that reaches either limit."""

    pairs: int
    size_bytes: int

    def left_after(self, pairs: list[Pair]) -> Quota:
        """Return what is left when ``pairs`` have been taken."""
        taken = sum(len(key) + len(value) + PAIR_OVERHEAD_BYTES for key, value in pairs)
        return Quota(self.pairs - len(pairs), self.size_bytes - taken)

    @property
    def used(self) -> bool:
        """True when nothing is left."""
        return self.pairs <= 0 or self.size_bytes <= 0


UNLIMITED: Final = sys.maxsize


class Scan(NamedTuple):
    """What a scan found, and whether it came to the end of its range."""

    pairs: list[Pair]
    whole: bool


class View(Protocol):
    """One state of the data; usable from any thread until it is released."""

    @property
    def points(self) -> Any:
        """An object whose ``[key]`` is the value; :meth:`require_missing` judges what that raises."""

    def require_missing(self, error: Exception) -> None:
        """Accept what ``points[key]`` raised when it says that the key is absent.

        Raises:
            FDBError: 1510, when it says anything else.
        """

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, None when it is absent."""

    def scan(self, begin: bytes, end: bytes, *, reverse: bool, quota: Quota) -> Scan:
        """Return pairs of ``[begin, end)`` from the low, with ``reverse`` the high end, up to ``quota``."""

    def release(self) -> None:
        """Let go of what the view holds; it must not be used afterwards."""


class Store(Protocol):
    """What holds the data. One thread writes; any thread may read views."""

    def read_meta(self, name: bytes) -> bytes | None:
        """Return a value of the engine's own, which no key of the application can reach."""

    def write(self, clears: Iterable[Pair], changes: Iterable[Change], meta: Iterable[Pair]) -> None:
        """Apply a batch, not yet durable: clear ranges, then set or remove keys, and set meta values.

        Raises:
            OSError: The batch was not applied.
        """

    def sync(self) -> None:
        """Make everything written durable.

        Raises:
            OSError: It may or may not be durable.
        """

    def view(self) -> View:
        """Return the state as of the last write; called by the writing thread."""

    def size_bytes(self) -> int:
        """Return about how much room the data takes."""

    def close(self) -> None:
        """Release everything; views are gone."""


class _Absent:
    """Marks a removed key in a chain of values."""


_ABSENT: Final = _Absent()
_Link = tuple[int, "bytes | _Absent"]


class MemoryView:
    """A state of a :class:`MemoryStore`: its number selects the values that were current then."""

    __slots__ = ("_number", "_store")

    def __init__(self, store: MemoryStore, number: int) -> None:
        self._store: MemoryStore | None = store
        self._number = number

    @property
    def points(self) -> MemoryView:
        """This view: ``[key]`` raises KeyError for an absent key."""
        return self

    def __getitem__(self, key: bytes) -> bytes:
        value = self._live().value_at(key, self._number)
        if value is None:
            raise KeyError(key)
        return value

    def require_missing(self, error: Exception) -> None:
        """Accept ``error``: the only one there is says that the key is absent."""
        if not isinstance(error, KeyError):
            raise error

    def get(self, key: bytes) -> bytes | None:
        """Return the value of ``key``, None when it is absent."""
        return self._live().value_at(key, self._number)

    def scan(self, begin: bytes, end: bytes, *, reverse: bool, quota: Quota) -> Scan:
        """Return pairs of ``[begin, end)`` until ``quota`` is used."""
        return self._live().scan_at(self._number, begin, end, reverse=reverse, quota=quota)

    def release(self) -> None:
        """Let the store forget values that only this view still sees."""
        store, self._store = self._store, None
        if store is not None:
            store.release(self._number)

    def _live(self) -> MemoryStore:
        if self._store is None:
            raise FDBError(TRANSACTION_TOO_OLD)
        return self._store


class MemoryStore:
    """Data in this process, gone with it. Every key has a chain of values by the number of their batch."""

    def __init__(self) -> None:
        self._chains: dict[bytes, list[_Link]] = {}
        self._keys: Any = SortedList()
        self._meta: dict[bytes, bytes] = {}
        self._number = 0
        self._size_bytes = 0
        self._lock = threading.Lock()
        self._live: list[int] = []
        self._superseded: deque[tuple[int, bytes]] = deque()

    def read_meta(self, name: bytes) -> bytes | None:
        """Return a value of the engine's own."""
        return self._meta.get(name)

    def write(self, clears: Iterable[Pair], changes: Iterable[Change], meta: Iterable[Pair]) -> None:
        """Apply a batch."""
        with self._lock:
            self._number += 1
            for begin, end in clears:
                for key in list(self._keys.irange(begin, end, inclusive=(True, False))):
                    self._put(key, _ABSENT)
            for key, value in changes:
                self._put(key, _ABSENT if value is None else value)
            self._meta.update(meta)
            self._trim()

    def sync(self) -> None:
        """Do nothing: memory lasts as long as the process."""

    def view(self) -> MemoryView:
        """Return the state as of the last write."""
        with self._lock:
            self._live.append(self._number)
            return MemoryView(self, self._number)

    def size_bytes(self) -> int:
        """Return the bytes of all keys and values."""
        return self._size_bytes

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._chains, self._keys = {}, SortedList()
            self._live.clear()

    def value_at(self, key: bytes, number: int) -> bytes | None:
        """Return the value of ``key`` after batch ``number``."""
        chain = self._chains.get(key)
        if chain is None:
            return None
        for written, value in reversed(chain):
            if written <= number:
                return None if isinstance(value, _Absent) else value
        return None

    def scan_at(self, number: int, begin: bytes, end: bytes, *, reverse: bool, quota: Quota) -> Scan:
        """Return pairs of ``[begin, end)`` as of batch ``number`` until ``quota`` is used."""
        found: list[Pair] = []
        if begin >= end:
            return Scan(found, whole=True)
        size_bytes = 0
        with self._lock:
            for key in self._keys.irange(begin, end, inclusive=(True, False), reverse=reverse):
                value = self.value_at(key, number)
                if value is None:
                    continue
                found.append((key, value))
                size_bytes += len(key) + len(value) + PAIR_OVERHEAD_BYTES
                if len(found) >= quota.pairs or size_bytes >= quota.size_bytes:
                    return Scan(found, whole=False)
        return Scan(found, whole=True)

    def release(self, number: int) -> None:
        """Forget that a view of batch ``number`` is live."""
        with self._lock:
            index = bisect_left(self._live, number)
            if index < len(self._live) and self._live[index] == number:
                del self._live[index]

    def _put(self, key: bytes, value: bytes | _Absent) -> None:
        chain = self._chains.get(key)
        link = (self._number, value)
        if chain is None:
            if isinstance(value, _Absent):
                return
            self._chains[key] = [link]
            self._keys.add(key)
            self._size_bytes += len(key) + len(value)
            return
        old = chain[-1][1]
        self._size_bytes -= 0 if isinstance(old, _Absent) else len(key) + len(old)
        self._size_bytes += 0 if isinstance(value, _Absent) else len(key) + len(value)
        # A new list, never a changed one: readers walk the old one without a lock.
        self._chains[key] = [*(chain[:-1] if chain[-1][0] == self._number else chain), link]
        self._superseded.append((self._number, key))

    def _trim(self) -> None:
        oldest = self._live[0] if self._live else self._number
        while self._superseded and self._superseded[0][0] <= oldest:
            _, key = self._superseded.popleft()
            chain = self._chains.get(key)
            if chain is None:
                continue
            keep = max((index for index, link in enumerate(chain) if link[0] <= oldest), default=0)
            kept = chain[keep:]
            if len(kept) == 1 and isinstance(kept[0][1], _Absent):
                del self._chains[key]
                self._keys.remove(key)
            elif keep:
                self._chains[key] = kept
