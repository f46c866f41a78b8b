# SPDX-License-Identifier: Apache-2.0
"""A transaction: watches, versionstamps, commit, retry and end, on top of its reads and writes.

A retry is a new transaction under the old handle: what must survive it (retry count, back-off, the options
that last) and what must not (everything else) decides whether a retry loop ends.
"""

from __future__ import annotations

import itertools
import random
from functools import partial
from typing import Final

from enchanted.keyspace.embedded.cells import Cell, fresh
from enchanted.keyspace.embedded.committer import CommitRequest, Committed
from enchanted.keyspace.embedded.errors import (
    COMMIT_UNKNOWN_RESULT,
    FUTURE_VERSION,
    KEY_OUTSIDE_LEGAL_RANGE,
    KEY_TOO_LARGE,
    PREDICATE_RETRYABLE_NOT_COMMITTED,
    TRANSACTION_CANCELLED,
    TRANSACTION_TOO_LARGE,
    TRANSACTION_TOO_OLD,
    WATCHES_DISABLED,
    FDBError,
    error_predicate,
)
from enchanted.keyspace.embedded.network import NETWORK
from enchanted.keyspace.embedded.reading import METADATA_VERSION_KEY, key_limit
from enchanted.keyspace.embedded.state import Commitment
from enchanted.keyspace.embedded.watches import Watch
from enchanted.keyspace.embedded.writing import WritingTransaction

NO_VERSION: Final = -1
BACKOFF_GROWTH: Final = 2.0
OLD_VERSION_DELAY_SECONDS: Final = 0.01


class TransactionState(WritingTransaction):
    """One transaction on an engine."""

    def watch(self, key: bytes) -> Cell:
        """Return a cell that is set when the key's value changes after the commit."""
        with self._lock:
            self._require_usable()
            if not self.settings.read_your_writes:
                raise FDBError(WATCHES_DISABLED)
            if key >= self.read_end and key != METADATA_VERSION_KEY:
                raise FDBError(KEY_OUTSIDE_LEGAL_RANGE)
            if len(key) > key_limit(key):
                raise FDBError(KEY_TOO_LARGE)
            watch = Watch(key, self.get(key, snapshot=False), self._limit)
            self._watches.setdefault(key, []).append(watch)
            return watch.cell

    def get_versionstamp(self) -> Cell:
        """Return a cell that is set to the commit's versionstamp."""
        with self._lock:
            self._require_usable()
            cell = Cell()
            self._stamps.append(cell)
            return cell

    def get_committed_version(self) -> int:
        """Return the version of a finished commit, -1 without one or when nothing was written."""
        commitment = self._commitment
        if commitment is None or commitment.committed is None:
            return NO_VERSION
        return commitment.committed.version

    def get_approximate_size(self) -> int:
        """Return about how many bytes a commit would send."""
        with self._lock:
            self._require_usable()
            return self.footprint.approximate_bytes()

    def commit(self) -> Cell:
        """Start the commit and return the cell of its outcome."""
        with self._lock:
            self._require_usable()
            self.fast = None
            commitment = Commitment(self._stamps, self._watches)
            self._commitment = commitment
            self._stamps, self._watches = [], {}
            if not self._overlay and not self.footprint.has_write_conflicts:
                commitment.succeed(self.engine, None)
                return commitment.cell
            try:
                request = self._request(commitment)
            except FDBError as error:
                commitment.fail(error)
                return commitment.cell
        self.engine.submit(request)
        return commitment.cell

    def _request(self, commitment: Commitment) -> CommitRequest:
        size_bytes = self.footprint.commit_bytes(self._overlay)
        if size_bytes > self.settings.size_limit_bytes:
            raise FDBError(TRANSACTION_TOO_LARGE)
        if self.footprint.has_reads and self._read_version is None:
            self._acquire()
        if self._read_version is not None and self._read_version > self.engine.clock.read_version():
            raise FDBError(FUTURE_VERSION)
        engine = self.engine

        def finish(outcome: Committed | FDBError) -> None:
            if isinstance(outcome, FDBError):
                commitment.fail(outcome)
            else:
                commitment.succeed(engine, outcome)

        return CommitRequest(
            self._read_version or 0,
            self.footprint.reads(),
            self.footprint.writes(),
            self._overlay.batch(),
            size_bytes,
            finish,
        )

    def on_error(self, failure: FDBError) -> Cell:
        """Prepare a retry after an error; the cell is set after the back-off.

        The cell fails with that error when it cannot be retried or the retry limit is reached.
        """
        with self._lock:
            try:
                self._require_alive()
            except FDBError as error:
                return Cell.failed(error)
            limit = self.settings.retry_limit
            exhausted = limit != -1 and self._retries >= limit
            self._retries += 1
            delay_seconds = None if exhausted else self._delay_seconds(failure.code)
            self._drop_waiting(FDBError(TRANSACTION_CANCELLED))
            self._renew()
            if delay_seconds is None:
                return Cell.failed(fresh(failure))
            cell = Cell()
        NETWORK.after(delay_seconds, lambda: self._end_delay(cell))
        return cell

    def _delay_seconds(self, code: int) -> float | None:
        """Return how long to wait before the retry, None when the error cannot be retried."""
        longest = self.settings.max_retry_delay_seconds
        if code in (TRANSACTION_TOO_OLD, FUTURE_VERSION):
            return min(OLD_VERSION_DELAY_SECONDS, longest)
        if code != COMMIT_UNKNOWN_RESULT and not error_predicate(PREDICATE_RETRYABLE_NOT_COMMITTED, code):
            return None
        delay_seconds = min(self._backoff_seconds, longest) * random.random()  # noqa: S311 - spreads retries
        self._backoff_seconds = min(self._backoff_seconds * BACKOFF_GROWTH, longest)
        return delay_seconds

    def _end_delay(self, cell: Cell) -> None:
        with self._lock:
            aborted = self._aborted
        if aborted is None:
            cell.set(None)
        else:
            cell.fail(aborted)

    def reset(self) -> None:
        """Forget everything, options included, as if just made."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            error = FDBError(TRANSACTION_CANCELLED)
            if self._commitment is not None:
                self._commitment.cell.fail(error)
            self._drop_waiting(error)
            self._start()

    def cancel(self) -> None:
        """Answer 1025 to everything until the next reset; a commit under way may still happen."""
        with self._lock:
            self._abort(FDBError(TRANSACTION_CANCELLED))

    def __del__(self) -> None:
        # Not here: the collector may run this inside any lock, also one that is needed for it.
        if getattr(self, "_watches", None) or getattr(self, "_stamps", None):
            NETWORK.submit(partial(_abandon, self._stamps, self._watches))


def _abandon(stamps: list[Cell], watches: dict[bytes, list[Watch]]) -> None:
    """Fail what waited for the commit of a transaction that is gone."""
    for stamp in stamps:
        stamp.fail(FDBError(TRANSACTION_CANCELLED))
    for watch in itertools.chain.from_iterable(watches.values()):
        watch.fail(FDBError(TRANSACTION_CANCELLED))
