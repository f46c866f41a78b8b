# SPDX-License-Identifier: Apache-2.0
"""How large a range is and where to split it.

Programs use these to plan their own batches over a large range. A cluster answers from samples; here the
pairs are counted, in steps, up to a bound for the estimate, so that asking about everything cannot stall.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from enchanted.keyspace.embedded.ranges import key_after
from enchanted.keyspace.embedded.store import UNLIMITED, Pair, Quota, View

STEP_PAIRS: Final = 1024
COUNTED_PAIRS_MAX: Final = 100_000


def _pairs(view: View, begin: bytes, end: bytes) -> Iterator[Pair]:
    whole = False
    while not whole:
        pairs, whole = view.scan(begin, end, reverse=False, quota=Quota(STEP_PAIRS, UNLIMITED))
        yield from pairs
        if pairs:
            begin = key_after(pairs[-1][0])


def range_size_bytes(view: View, begin: bytes, end: bytes, store_bytes: int) -> int:
    """Return about how many bytes the keys and values of ``[begin, end)`` take.

    Exact up to a hundred thousand pairs; above, the larger of what was counted and the store's size.
    """
    size_bytes = 0
    for count, (key, value) in enumerate(_pairs(view, begin, end)):
        if count == COUNTED_PAIRS_MAX:
            return max(size_bytes, store_bytes)
        size_bytes += len(key) + len(value)
    return size_bytes


def split_points(view: View, begin: bytes, end: bytes, chunk_bytes: int) -> list[bytes]:
    """Return keys that cut ``[begin, end)`` into chunks of about ``chunk_bytes``, both ends included."""
    points = [begin]
    size_bytes = 0
    for key, value in _pairs(view, begin, end):
        if size_bytes >= chunk_bytes and key > points[-1]:
            points.append(key)
            size_bytes = 0
        size_bytes += len(key) + len(value)
    if end > points[-1]:
        points.append(end)
    return points
