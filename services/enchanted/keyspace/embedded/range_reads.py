# SPDX-License-Identifier: Apache-2.0
"""Range reads as programs iterate them: in batches whose size follows the streaming mode.

Source of the sizes: the modes of ``fdb_transaction_get_range`` in FoundationDB's C client.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import starmap
from typing import Final, Protocol

from enchanted.keyspace.embedded.cells import Cell
from enchanted.keyspace.embedded.errors import (
    CLIENT_INVALID_OPERATION,
    EXACT_MODE_WITHOUT_LIMITS,
    RANGE_LIMITS_INVALID,
    FDBError,
)
from enchanted.keyspace.embedded.futures import Future
from enchanted.keyspace.embedded.names import KeySelector, KeyValue
from enchanted.keyspace.embedded.options import StreamingMode
from enchanted.keyspace.embedded.store import UNLIMITED, Pair, Quota

# Bytes of one batch by streaming mode, and of the first, second, ... batch of the mode `iterator`.
_MODE_BYTES: Final = {-2: 80_000, 0: UNLIMITED, 1: 256, 2: 1_000, 3: 4_096, 4: 80_000}
_ITERATOR_BYTES: Final = (4_096, 6_144, 9_216, 13_824, 20_736, 31_104, 46_656, 69_984, 80_000, 120_000)
_ITERATOR_MODE: Final = -1
_EXACT_MODE: Final = 0


class _RangeReader(Protocol):
    def _get_range(
        self,
        begin: KeySelector,
        end: KeySelector,
        limit: int,
        streaming_mode: int,
        iteration: int,
        reverse: bool,  # noqa: FBT001 - the binding's form
    ) -> FutureKeyValueArray: ...


class FutureKeyValueArray(Future):
    """The future of one batch of a range."""

    def __init__(self, pairs: list[Pair], *, more: bool, cell: Cell | None = None) -> None:
        self._pairs = pairs
        self._more = more
        self._cell = cell

    def wait(self) -> tuple[list[KeyValue], int, bool]:
        """Return the pairs, their number, and whether the batch was cut off by a limit."""
        if self._cell is not None:
            self._cell.outcome()
        return list(starmap(KeyValue, self._pairs)), len(self._pairs), self._more


def quota_of(limit: int, mode: int, iteration: int) -> Quota:
    """Return what one batch may hold.

    Raises:
        FDBError: 2000 for an unknown mode or iteration, 2012 for a bad limit, 2210 for exact mode with none.
    """
    if mode == _ITERATOR_MODE:
        if iteration <= 0:
            raise FDBError(CLIENT_INVALID_OPERATION)
        size_bytes = _ITERATOR_BYTES[min(iteration, len(_ITERATOR_BYTES)) - 1]
    elif mode in _MODE_BYTES:
        if mode == _EXACT_MODE and limit == 0:
            raise FDBError(EXACT_MODE_WITHOUT_LIMITS)
        size_bytes = _MODE_BYTES[mode]
    else:
        raise FDBError(CLIENT_INVALID_OPERATION)
    if limit < -1:
        raise FDBError(RANGE_LIMITS_INVALID)
    return Quota(limit if limit > 0 else UNLIMITED, size_bytes)


class FDBRange:
    """A range of pairs, read in batches as it is iterated; the first batch is read when it is made."""

    def __init__(
        self,
        tr: _RangeReader,
        begin: KeySelector,
        end: KeySelector,
        limit: int,
        reverse: bool,  # noqa: FBT001 - the binding's form
        streaming_mode: int,
    ) -> None:
        self._tr = tr
        self._bsel = begin
        self._esel = end
        self._limit = limit
        self._reverse = reverse
        self._mode = streaming_mode
        self._future = tr._get_range(begin, end, limit, streaming_mode, 1, reverse)  # noqa: SLF001 - one unit

    def to_list(self) -> list[KeyValue]:
        """Read the whole range."""
        found: list[KeyValue] = []
        for pairs in self._batches(self._whole_mode()):
            found.extend(pairs)
        return found

    def __iter__(self, mode: int | None = None) -> Generator[KeyValue, None, None]:
        """Iterate over the pairs; the next batch is asked for just before the last pair of one is given."""
        last: KeyValue | None = None
        for pairs in self._batches(self._mode if mode is None else mode):
            if last is not None:
                yield last
            yield from pairs[:-1]
            last = pairs[-1]
        if last is not None:
            yield last

    def _whole_mode(self) -> int:
        if self._mode != StreamingMode.iterator:
            return self._mode
        whole: int = StreamingMode.exact if self._limit > 0 else StreamingMode.want_all
        return whole

    def _batches(self, mode: int) -> Iterator[list[KeyValue]]:
        begin, end, limit = self._bsel, self._esel, self._limit
        future, iteration = self._future, 1
        while True:
            pairs, count, more = future.wait()
            if count:
                yield pairs
            if not count or not more or limit == count:
                return
            limit = limit - count if limit > 0 else limit
            if self._reverse:
                end = KeySelector.first_greater_or_equal(pairs[-1].key)
            else:
                begin = KeySelector.first_greater_than(pairs[-1].key)
            iteration += 1
            future = self._tr._get_range(begin, end, limit, mode, iteration, self._reverse)  # noqa: SLF001 - one unit
