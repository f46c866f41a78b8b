# SPDX-License-Identifier: Apache-2.0
"""The base of a transaction: what it has, and whether it may still answer.

The order of checks here is the API's contract. Errors of writes are kept until the next read or the commit;
anything done during a commit fails and takes the commit along; a cancelled or timed out transaction answers
nothing but that until it is reset. A program that retries relies on each of these to run twice safely.

Source: the documentation of the C API and of its options, and ``fdbclient/ReadYourWrites`` of FoundationDB.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Final

from enchanted.keyspace.embedded import settings as option
from enchanted.keyspace.embedded.cells import Cell, fresh
from enchanted.keyspace.embedded.committer import Committed
from enchanted.keyspace.embedded.engine import Engine
from enchanted.keyspace.embedded.errors import (
    CLIENT_INVALID_OPERATION,
    NO_COMMIT_VERSION,
    TENANTS_DISABLED,
    TRANSACTION_INVALID_VERSION,
    TRANSACTION_TIMED_OUT,
    TRANSACTION_TOO_OLD,
    USED_DURING_COMMIT,
    FDBError,
)
from enchanted.keyspace.embedded.footprint import Footprint
from enchanted.keyspace.embedded.network import NETWORK, Timer
from enchanted.keyspace.embedded.overlay import Overlay
from enchanted.keyspace.embedded.ranges import SPECIAL_BEGIN, SYSTEM_BEGIN
from enchanted.keyspace.embedded.selectors import Reader
from enchanted.keyspace.embedded.settings import TransactionSettings
from enchanted.keyspace.embedded.store import View
from enchanted.keyspace.embedded.watches import Watch, WatchLimit

BACKOFF_SECONDS: Final = 0.01

Defaults = tuple[tuple[int, "bytes | None"], ...]


class Commitment:
    """One call of commit: what must be told when its outcome is known, even if the transaction moved on."""

    __slots__ = ("cell", "committed", "stamps", "watches")

    def __init__(self, stamps: list[Cell], watches: dict[bytes, list[Watch]]) -> None:
        self.cell = Cell()
        self.stamps = stamps
        self.watches = watches
        self.committed: Committed | None = None

    def fail(self, error: FDBError) -> None:
        """The commit did not happen, or nobody knows."""
        for stamp in self.stamps:
            stamp.fail(FDBError(TRANSACTION_INVALID_VERSION))
        for watches in self.watches.values():
            for watch in watches:
                watch.fail(error)
        self.cell.fail(error)

    def succeed(self, engine: Engine, committed: Committed | None) -> None:
        """The commit happened; ``committed`` is None when there was nothing to write."""
        self.committed = committed
        for stamp in self.stamps:
            if committed is None:
                stamp.fail(FDBError(NO_COMMIT_VERSION))
            else:
                stamp.set(committed.stamp)
        if self.watches:
            started = [watch for watches in self.watches.values() for watch in watches]
            try:
                engine.watches.register(started, engine.newest)
            except FDBError as error:
                for watch in started:
                    watch.fail(error)
        self.cell.set(None)


class TransactionBase:
    """What all of a transaction's operations share. Methods raise FDBError and may be called by any thread.

    Args:
        engine: Where it reads and commits.
        defaults: Options set on creation and on every reset, from the database.
        limit: Counts this handle's watches.
        tenant: True when it was made by a tenant, which this database does not have.
    """

    def __init__(
        self, engine: Engine, defaults: Defaults, limit: WatchLimit, *, tenant: bool = False
    ) -> None:
        self.engine = engine
        self._defaults = defaults
        self._limit = limit
        self._tenant = tenant
        self._lock = threading.RLock()
        self._kept: dict[int, bytes | None] = {}
        # Read without the lock by the binding's fast path: set only while nothing stands against answering a
        # plain read of a point from the stored state.
        self.fast: View | None = None
        self.deadline_seconds = 0.0
        self._start()

    def _start(self) -> None:
        self._created_seconds = self.engine.now_seconds()
        self._retries = 0
        self._backoff_seconds = BACKOFF_SECONDS
        self._timer: Timer | None = None
        self._kept.clear()
        self._renew()

    def _renew(self) -> None:
        """Forget everything but what lasts over retries."""
        self.fast = None
        self.view: View | None = None
        self.read_end = SYSTEM_BEGIN
        self.settings = TransactionSettings()
        self.footprint = Footprint()
        self._overlay = Overlay()
        self._read_version: int | None = None
        self._deferred: FDBError | None = None
        self._aborted: FDBError | None = None
        self._commitment: Commitment | None = None
        self._stamps: list[Cell] = []
        self._watches: dict[bytes, list[Watch]] = {}
        for code, parameter in (*self._defaults, *self._kept.items()):
            self._apply_option(code, parameter)

    @property
    def _write_end(self) -> bytes:
        return SPECIAL_BEGIN if self.settings.write_system_keys else SYSTEM_BEGIN

    def _require_idle(self) -> None:
        """Refuse to work while, or after, the transaction commits."""
        if self._commitment is None:
            return
        if self._aborted is None and self.settings.commit_protection:
            self._abort(FDBError(USED_DURING_COMMIT))
        raise FDBError(USED_DURING_COMMIT)

    def _require_usable(self) -> None:
        """Raise what a read or a commit has to answer instead of working."""
        if self._deferred is not None:
            raise fresh(self._deferred)
        self._require_idle()
        self._require_alive()

    def _require_alive(self) -> None:
        timeout_seconds = self.settings.timeout_seconds
        if timeout_seconds and self.engine.now_seconds() >= self._created_seconds + timeout_seconds:
            self._abort(FDBError(TRANSACTION_TIMED_OUT))
        if self._aborted is not None:
            raise fresh(self._aborted)
        if self._tenant:
            raise FDBError(TENANTS_DISABLED)

    def _abort(self, error: FDBError) -> None:
        """Answer only ``error`` until the next reset, to what is under way too."""
        if self._aborted is not None:
            return
        self._aborted = error
        self.fast = None
        commitment = self._commitment
        if commitment is not None:
            commitment.cell.fail(error)
        self._drop_waiting(error)

    def _drop_waiting(self, error: FDBError) -> None:
        """Fail what waits for a commit that will not come; what a commit has taken along is its own."""
        for stamp in self._stamps:
            stamp.fail(error)
        for watches in self._watches.values():
            for watch in watches:
                watch.fail(error)
        self._stamps, self._watches = [], {}

    def _acquire(self) -> View:
        """Return the state of the read version, taking one if there is none yet."""
        view = self.view
        if view is None:
            if self._read_version is None:
                self._read_version, view = self.engine.read_point()
            else:
                view = self.engine.view_at(self._read_version)
            self.view = view
            self.deadline_seconds = self.engine.clock.deadline_seconds(self._read_version)
            if self.settings.timeout_seconds:
                timed_out = self._created_seconds + self.settings.timeout_seconds
                self.deadline_seconds = min(self.deadline_seconds, timed_out)
            self._allow_fast_reads()
        if self.engine.now_seconds() > self.engine.clock.deadline_seconds(self._read_version or 0):
            raise FDBError(TRANSACTION_TOO_OLD)
        if self.engine.closed:
            self.engine.read_point()
        return view

    def _issue(self, action: Callable[[], None]) -> None:
        """Run an action whose errors come with the next read or the commit; after one, no more are run."""
        with self._lock:
            if self._deferred is not None:
                return
            try:
                action()
            except FDBError as error:
                self._deferred = FDBError(error.code)
                self.fast = None

    def _allow_fast_reads(self) -> None:
        usable = self.view is not None and self._deferred is None and not self._tenant
        plain = not self._overlay or not self.settings.read_your_writes
        self.fast = self.view if usable and plain else None

    def expire(self) -> None:
        """Answer 1031 to everything until the next reset."""
        with self._lock:
            self._abort(FDBError(TRANSACTION_TIMED_OUT))

    def _reader(self, *, snapshot: bool) -> Reader:
        own_writes = self.settings.read_your_writes and (not snapshot or self.settings.snapshot_ryw > 0)
        return Reader(
            self._acquire(),
            self._overlay if own_writes else None,
            self.read_end,
            self.settings.bypass_unreadable,
        )

    def set_option(self, code: int, parameter: bytes | None) -> None:
        """Set an option; errors come with the next read or the commit."""

        def apply() -> None:
            if code == option.READ_YOUR_WRITES_DISABLE and (self.view is not None or self._overlay):
                raise FDBError(CLIENT_INVALID_OPERATION)
            self._apply_option(code, parameter)
            if code in option.PERSISTENT:
                self._kept[code] = parameter

        self._issue(apply)

    def _apply_option(self, code: int, parameter: bytes | None) -> None:
        self.settings.set(code, parameter)
        self.read_end = SPECIAL_BEGIN if self.settings.read_system_keys else SYSTEM_BEGIN
        if code == option.TIMEOUT:
            self._arm_timer()
            if self.view is not None:
                # The next read takes the slow way once and sees the new deadline.
                self.fast = None

    def _arm_timer(self) -> None:
        """Fail what is under way when the time is over, even if nobody asks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        timeout_seconds = self.settings.timeout_seconds
        if timeout_seconds:
            left = self._created_seconds + timeout_seconds - self.engine.now_seconds()
            self._timer = NETWORK.after(max(0.0, left), _expiry(weakref.ref(self)))


def _expiry(reference: weakref.ref[TransactionBase]) -> Callable[[], None]:
    def expire() -> None:
        transaction = reference()
        if transaction is not None:
            transaction.expire()

    return expire
