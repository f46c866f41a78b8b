# SPDX-License-Identifier: Apache-2.0
"""One open database: store, versions, published states, commits and watches put together.

A transaction needs its read version and the state of that version as one thing: taken one after the other, a
commit between them would let it read what its version must not see. The engine keeps the published states of
the last five seconds in order and answers with the state that belongs to a version.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic
from typing import Final, Protocol

from enchanted.keyspace.embedded import folder as folders
from enchanted.keyspace.embedded.committer import RESERVE_KEY, CommitRequest, Committer, Read
from enchanted.keyspace.embedded.errors import (
    FUTURE_VERSION,
    SHUTDOWN_IN_PROGRESS,
    TRANSACTION_CANCELLED,
    TRANSACTION_TOO_OLD,
    EngineError,
    FDBError,
    FolderDamagedError,
    FolderUnusableError,
)
from enchanted.keyspace.embedded.rocks import RocksStore
from enchanted.keyspace.embedded.store import MemoryStore, Pair, Store, View
from enchanted.keyspace.embedded.versions import VERSIONS_PER_SECOND, WINDOW_VERSIONS, VersionClock
from enchanted.keyspace.embedded.watches import WatchTable

# With the default of 5 ms a busy thread makes every commit wait that long for the interpreter after its sync.
SWITCH_INTERVAL_SECONDS: Final = 0.0005
# States are released a second after they are too old, so that a read that has just checked finds its state.
_GRACE_VERSIONS: Final = VERSIONS_PER_SECOND
# Above the window, so that no small number passes for a version of a database that was just made.
FIRST_VERSION: Final = 2 * WINDOW_VERSIONS
_SHARD_MAP_KEY: Final = b"\xff/keyServers/"


class Owner(Protocol):
    """What must be given back when an engine closes."""

    def release(self) -> None:
        """Give it back."""


class Engine:
    """An open database.

    Args:
        name: The URL's location, for messages.
        store: The data; the engine closes it.
        now_seconds: A clock in seconds that never goes back.
        on_closed: Called with True after a clean close, with False after one that could not write.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        *,
        now_seconds: Callable[[], float] = monotonic,
        on_closed: Callable[[bool], None] = lambda _clean: None,
    ) -> None:
        self.name = name
        self.now_seconds = now_seconds
        self.watches = WatchTable()
        self._store = store
        self._on_closed = on_closed
        self._closed = False
        self._close_lock = threading.Lock()
        stored = store.read_meta(RESERVE_KEY)
        floor = FIRST_VERSION if stored is None else int.from_bytes(stored, "big")
        self.clock = VersionClock(now_seconds, floor)
        self._versions: list[int] = []
        self._views: list[View] = []
        self._views_lock = threading.Lock()
        if stored is None:
            store.write((), [(_SHARD_MAP_KEY, b"")], ())
        self._append_view(floor + 1, store.view())
        self._committer = Committer(store, self.clock, self, oldest=floor, name=f"enchanted-commit {name}")

    @property
    def closed(self) -> bool:
        """True once :meth:`close` has begun."""
        return self._closed

    @property
    def failure(self) -> str | None:
        """Why no more commits are taken, None while they are."""
        return self._committer.failure

    def read_point(self) -> tuple[int, View]:
        """Return a new read version and its state.

        Raises:
            FDBError: 1043 when the database is closed.
        """
        version = self.clock.read_version()
        return version, self._view_of(version)

    def view_at(self, version: int) -> View:
        """Return the state of a version that was given before.

        Raises:
            FDBError: 1007 when it is too old, 1009 when it was never given, 1043 when the database is closed.
        """
        if version > self.clock.read_version():
            raise FDBError(FUTURE_VERSION)
        if version < self.clock.latest() - WINDOW_VERSIONS:
            raise FDBError(TRANSACTION_TOO_OLD)
        return self._view_of(version)

    def submit(self, request: CommitRequest) -> None:
        """Queue a commit."""
        self._committer.submit(request)

    def size_bytes(self) -> int:
        """Return about how much room the data takes."""
        return self._store.size_bytes()

    def newest(self) -> Read:
        """Return a reader of the newest published state."""
        with self._views_lock:
            if not self._views:
                raise FDBError(SHUTDOWN_IN_PROGRESS)
            return self._views[-1].get

    def publish(self, version: int) -> None:
        """Make the store's last write readable at ``version`` and above; called by the committer."""
        self._append_view(version, self._store.view())

    def notify(self, keys: Iterable[bytes], ranges: Iterable[Pair]) -> None:
        """Fire the watches that the newest state concerns; called by the committer."""
        self.watches.publish(keys, ranges, self.newest())

    def trim(self, oldest: int) -> None:
        """Release states that only versions below ``oldest`` read."""
        limit = oldest - _GRACE_VERSIONS
        with self._views_lock:
            count = max(0, bisect_right(self._versions, limit) - 1)
            released = self._views[:count]
            del self._views[:count], self._versions[:count]
        for view in released:
            view.release()

    def close(self) -> None:
        """Finish queued commits, write everything out and release the folder; later calls do nothing."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
            self._committer.stop()
            self.watches.close(lambda: FDBError(TRANSACTION_CANCELLED))
            with self._views_lock:
                released, self._views, self._versions = self._views, [], []
            for view in released:
                view.release()
            self._on_closed(self._close_store())

    def _close_store(self) -> bool:
        clean = self._committer.failure is None
        try:
            if clean:
                last = self.clock.latest().to_bytes(8, "big")
                self._store.write((), (), [(RESERVE_KEY, last)])
                self._store.sync()
            self._store.close()
        except OSError:
            # What is committed is in the log already; the next opening reads it from there.
            return False
        return clean

    def _append_view(self, version: int, view: View) -> None:
        with self._views_lock:
            self._views.append(view)
            self._versions.append(version)

    def _view_of(self, version: int) -> View:
        with self._views_lock:
            if self._closed or not self._views:
                raise FDBError(SHUTDOWN_IN_PROGRESS)
            if self._versions[-1] <= version:
                return self._views[-1]
            index = bisect_right(self._versions, version) - 1
            if index < 0:
                raise FDBError(TRANSACTION_TOO_OLD)
            return self._views[index]


def open_memory(name: str) -> Engine:
    """Open a new, empty database in this process's memory."""
    return Engine(name, MemoryStore())


def open_folder(path: Path) -> Engine:
    """Open the database in a folder, making it if there is none.

    Sets the interpreter's switch interval to half a millisecond, so that a busy thread does not make every
    commit wait for five.

    Raises:
        FolderError: The folder is in use, damaged, too new or unusable.
    """
    owned = folders.own(path)
    try:
        store = RocksStore(owned.data, create=owned.fresh, monotonic=monotonic)
    except Exception as error:
        owned.release()
        raise opening_error(path, error) from error
    try:
        if owned.fresh:
            folders.mark_format(path)

        def on_closed(clean: bool) -> None:  # noqa: FBT001 - one fact, told once
            if clean:
                with contextlib.suppress(OSError):
                    folders.seal(path)
            owned.release()

        engine = Engine(str(path), store, on_closed=on_closed)
    except (OSError, EngineError) as error:
        with contextlib.suppress(OSError):
            store.close()
        owned.release()
        raise opening_error(path, error) from error
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL_SECONDS))
    return engine


def opening_error(path: Path, error: Exception) -> EngineError:
    """Return what to tell a person about a storage engine that does not open."""
    if isinstance(error, EngineError):
        return error
    text = str(error)
    if any(sign in text for sign in ("No space left", "Permission denied", "Read-only file system")):
        return FolderUnusableError(f"the database folder cannot be used: {text}", path)
    return FolderDamagedError(path, text)
