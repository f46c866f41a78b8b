# SPDX-License-Identifier: Apache-2.0
"""Group commit: one thread takes what waits, decides it in order, writes it once, syncs once.

An fsync costs more than all the rest of a commit. Done by every committing thread it would be paid by each in
turn; done by one thread for all that wait, the cost is shared and the order of commits is plain. Nothing is
acknowledged, and nothing can be read, before it is durable.

What a failure means is kept apart. A batch that could not be written is not there: 1510. A batch whose sync
failed may be there: 1021. After either the engine takes no more commits, because after a failed sync the
kernel may drop pages that a later sync then calls durable; the last published state stays readable.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from enchanted.keyspace.embedded.conflicts import Reads, Resolver, Verdict, Writes
from enchanted.keyspace.embedded.errors import (
    COMMIT_UNKNOWN_RESULT,
    IO_ERROR,
    NOT_COMMITTED,
    SHUTDOWN_IN_PROGRESS,
    TRANSACTION_TOO_OLD,
    FDBError,
)
from enchanted.keyspace.embedded.mutations import MutationType, apply, place_stamp, stamp
from enchanted.keyspace.embedded.overlay import Batch, Entry, Pending
from enchanted.keyspace.embedded.ranges import RangeSet
from enchanted.keyspace.embedded.store import Change, Pair, Store
from enchanted.keyspace.embedded.versions import WINDOW_VERSIONS, VersionClock

GROUP_REQUESTS_MAX: Final = 1024
GROUP_BYTES_MAX: Final = 32 << 20
IDLE_SECONDS: Final = 1.0
RESERVE_KEY: Final = b"versions.reserved"

Read = Callable[[bytes], "bytes | None"]


@dataclass(frozen=True, slots=True)
class Committed:
    """Where a transaction stands in the order: the group's version and its place in the group."""

    version: int
    order: int

    @property
    def stamp(self) -> bytes:
        """The versionstamp."""
        return stamp(self.version, self.order)


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """A transaction that wants to commit.

    Attributes:
        read_version: The version it read at; not looked at when it read nothing.
        reads: What must not have been written since.
        writes: What it is to be seen as having written.
        batch: What to write.
        size_bytes: About how large that is.
        finish: Called once, on the committer's thread, with the outcome.
    """

    read_version: int
    reads: Reads
    writes: Writes
    batch: Batch
    size_bytes: int
    finish: Callable[[Committed | FDBError], None]


class Publisher(Protocol):
    """Who makes a durable group visible."""

    def newest(self) -> Read:
        """Return a reader of the newest published state."""

    def publish(self, version: int) -> None:
        """Make the state after the last write readable at ``version`` and above."""

    def notify(self, keys: Iterable[bytes], ranges: Iterable[Pair]) -> None:
        """Tell what may have changed, once read versions have reached the new state."""

    def trim(self, oldest: int) -> None:
        """Release states that only versions below ``oldest`` read."""


class _Group:
    """The net effect of the group's transactions so far, over the newest published state."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.clears = RangeSet()
        self.changes: dict[bytes, bytes | None] = {}

    def value(self, key: bytes) -> bytes | None:
        if key in self.changes:
            return self.changes[key]
        return None if key in self.clears else self._read(key)

    def apply(self, batch: Batch, stamp_bytes: bytes) -> list[bytes]:
        """Add a transaction; returns the keys that it wrote by versionstamp."""
        for begin, end in batch.clears:
            for key in [key for key in self.changes if begin <= key < end]:
                del self.changes[key]
            self.clears.add(begin, end)
        for key, entry in batch.entries:
            self.changes[key] = self._resolved(key, entry, stamp_bytes)
        stamped = []
        for parameter, value in batch.stamped:
            key = place_stamp(parameter, stamp_bytes)
            self.changes[key] = value
            stamped.append(key)
        return stamped

    def _resolved(self, key: bytes, entry: Entry, stamp_bytes: bytes) -> bytes | None:
        if not isinstance(entry, Pending):
            return entry
        independent = entry.operations[0][0] in (
            MutationType.SET_VALUE,
            MutationType.SET_VERSIONSTAMPED_VALUE,
        )
        value = None if independent else self.value(key)
        for operation, operand in entry.operations:
            if operation == MutationType.SET_VERSIONSTAMPED_VALUE:
                value = place_stamp(operand, stamp_bytes)
            else:
                value = apply(operation, value, operand)
        return value


class Committer:
    """The committing thread and its queue.

    Args:
        store: Where to write; only this thread writes once it has started.
        clock: Gives commit versions.
        publisher: Makes groups visible.
        oldest: Transactions that read before this version are too old.
        name: What to call the thread.
    """

    def __init__(
        self, store: Store, clock: VersionClock, publisher: Publisher, *, oldest: int, name: str
    ) -> None:
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._resolver = Resolver()
        self._resolver.forget(oldest)
        self._wake = threading.Condition()
        self._queue: deque[CommitRequest] = deque()
        self._stopping = False
        self._failure: str | None = None
        self._reserve()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str | None:
        """Why no more commits are taken, None while they are."""
        return self._failure

    def submit(self, request: CommitRequest) -> None:
        """Queue a commit; the outcome comes through ``request.finish``."""
        with self._wake:
            if not self._stopping:
                self._queue.append(request)
                self._wake.notify()
                return
        request.finish(FDBError(SHUTDOWN_IN_PROGRESS))

    def stop(self) -> None:
        """Commit what is queued and end the thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while (group := self._take()) is not None:
            try:
                self._commit(group)
                self._keep_up()
            except Exception as error:  # noqa: BLE001 - nobody may wait for ever on a thread that ended
                self._fail(error)
                for request in group:
                    request.finish(self._failed(COMMIT_UNKNOWN_RESULT))

    def _take(self) -> list[CommitRequest] | None:
        """Wait for requests; an empty list when it is time for upkeep, None when there is no more to come."""
        with self._wake:
            if not self._queue and not self._stopping:
                self._wake.wait(IDLE_SECONDS)
            if not self._queue:
                return None if self._stopping else []
            group: list[CommitRequest] = []
            size_bytes = 0
            while self._queue and len(group) < GROUP_REQUESTS_MAX and size_bytes < GROUP_BYTES_MAX:
                request = self._queue.popleft()
                size_bytes += request.size_bytes
                group.append(request)
            return group

    def _commit(self, requests: list[CommitRequest]) -> None:
        if self._failure is not None:
            for request in requests:
                request.finish(self._failed(IO_ERROR))
            return
        if not requests:
            return
        if self._clock.needs_reserve():
            # After a pause of the process the versions reserved before it may be used up.
            self._reserve()
        version = self._clock.begin_commit()
        group = _Group(self._publisher.newest())
        accepted = self._decide(requests, group, version)
        if not accepted:
            self._clock.end_commit(published=False)
            return
        code = self._persist(group)
        if code is not None:
            self._clock.end_commit(published=False)
            for request, _ in accepted:
                request.finish(self._failed(code))
            return
        self._publisher.publish(version)
        self._clock.end_commit(published=True)
        self._publisher.notify(group.changes, group.clears)
        for request, committed in accepted:
            request.finish(committed)

    def _decide(
        self, requests: list[CommitRequest], group: _Group, version: int
    ) -> list[tuple[CommitRequest, Committed]]:
        """Resolve in order; the refused are told at once, the accepted are applied to the group."""
        accepted: list[tuple[CommitRequest, Committed]] = []
        for request in requests:
            verdict = self._resolver.check(request.read_version, request.reads)
            if verdict is Verdict.COMMIT:
                committed = Committed(version, len(accepted))
                stamped = group.apply(request.batch, committed.stamp)
                self._resolver.record(
                    version, Writes([*request.writes.keys, *stamped], request.writes.ranges)
                )
                accepted.append((request, committed))
            else:
                too_old = verdict is Verdict.TOO_OLD
                request.finish(FDBError(TRANSACTION_TOO_OLD if too_old else NOT_COMMITTED))
        return accepted

    def _persist(self, group: _Group) -> int | None:
        """Write and sync; returns the code to answer when that failed."""
        changes: Iterable[Change] = group.changes.items()
        code = IO_ERROR
        try:
            self._store.write(group.clears, changes, ())
            code = COMMIT_UNKNOWN_RESULT
            self._store.sync()
        except OSError as error:
            self._fail(error)
            return code
        return None

    def _keep_up(self) -> None:
        oldest = self._clock.latest() - WINDOW_VERSIONS
        self._resolver.forget(oldest)
        self._publisher.trim(oldest)
        if self._failure is None and self._clock.needs_reserve():
            self._reserve()

    def _reserve(self) -> None:
        reserved = self._clock.next_reserve()
        self._store.write((), (), [(RESERVE_KEY, reserved.to_bytes(8, "big"))])
        self._store.sync()
        self._clock.extend(reserved)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or (
            f"the database takes no more commits, because writing failed: {error};"
            " what was committed can be read; free space or repair the disk, then open the database again"
        )

    def _failed(self, code: int) -> FDBError:
        error = FDBError(code)
        assert self._failure is not None
        error.add_note(self._failure)
        return error
