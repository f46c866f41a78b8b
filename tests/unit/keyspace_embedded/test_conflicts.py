# SPDX-License-Identifier: Apache-2.0
"""The resolver against one that remembers everything and searches it from end to end."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.keyspace.embedded.conflicts import Range, Reads, Resolver, Verdict, Writes

pytestmark = pytest.mark.feature("X-01")

keys = st.binary(max_size=2).map(lambda key: bytes(byte % 4 for byte in key))
ranges = st.tuples(keys, keys).map(lambda pair: (min(pair), max(pair)))
key_lists = st.lists(keys, max_size=3)
range_lists = st.lists(ranges, max_size=2)


@dataclass
class Naive:
    written: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    oldest: int = 0

    def check(self, read_version: int, read: list[Range]) -> Verdict:
        if not read:
            return Verdict.COMMIT
        if read_version < self.oldest:
            return Verdict.TOO_OLD
        for version, low, high in self.written:
            if version > read_version and any(max(low, begin) < min(high, end) for begin, end in read):
                return Verdict.CONFLICT
        return Verdict.COMMIT


def points(listed: list[bytes]) -> list[Range]:
    return [(key, key + b"\0") for key in listed]


steps = st.lists(
    st.tuples(st.integers(0, 12), key_lists, range_lists, key_lists, range_lists, st.booleans()), max_size=30
)


@given(steps)
def test_it_decides_as_if_it_searched_every_write(
    taken: list[tuple[int, list[bytes], list[Range], list[bytes], list[Range], bool]],
) -> None:
    resolver, naive = Resolver(), Naive()
    for number, (back, read_keys, read_ranges, write_keys, write_ranges, forget) in enumerate(taken):
        version = 10 * (number + 1)
        read_version = max(0, version - 10 * back - 5)
        expected = naive.check(read_version, points(read_keys) + [r for r in read_ranges if r[0] < r[1]])
        asked = Reads(read_keys, [pair for pair in read_ranges if pair[0] < pair[1]])
        assert resolver.check(read_version, asked) is expected
        if expected is Verdict.COMMIT:
            resolver.record(version, Writes(write_keys, write_ranges))
            naive.written += [(version, low, high) for low, high in points(write_keys) + write_ranges]
        if forget:
            oldest = max(0, version - 60)
            resolver.forget(oldest)
            naive.oldest = max(naive.oldest, oldest)


def test_many_recent_writes_are_searched_by_key_order() -> None:
    resolver = Resolver()
    for number in range(500):
        resolver.record(number + 1, Writes([b"%04d" % number], []))
    assert resolver.check(10, Reads([], [(b"0490", b"0495")])) is Verdict.CONFLICT
    assert resolver.check(10, Reads([], [(b"0490x", b"0491")])) is Verdict.COMMIT


def test_a_transaction_without_reads_is_never_refused() -> None:
    resolver = Resolver()
    resolver.record(7, Writes([b"a"], []))
    resolver.forget(100)
    assert resolver.check(0, Reads([], [])) is Verdict.COMMIT


def test_what_is_older_than_the_window_is_forgotten() -> None:
    resolver = Resolver()
    for version in range(1, 20_001):
        key = version.to_bytes(4, "big")
        resolver.record(version, Writes([key], [(key, key + b"\x01")]))
        resolver.forget(version - 100)
    assert resolver.remembered < 5_000
