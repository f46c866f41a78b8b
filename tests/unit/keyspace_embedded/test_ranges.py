# SPDX-License-Identifier: Apache-2.0
"""Sets of key ranges behave like sets of keys."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.keyspace.embedded.ranges import RangeSet, key_after, strinc

pytestmark = pytest.mark.feature("X-01")

KEYS = [bytes(key) for size in range(3) for key in itertools.product(b"abc", repeat=size)]
ranges = st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS))
steps = st.lists(st.tuples(st.sampled_from(["add", "remove"]), ranges), max_size=12)


def covered(begin: bytes, end: bytes) -> set[bytes]:
    return {key for key in KEYS if begin <= key < end}


@given(steps, ranges)
def test_it_holds_the_keys_that_a_plain_set_would(
    taken: list[tuple[str, tuple[bytes, bytes]]], question: tuple[bytes, bytes]
) -> None:
    tested, model = RangeSet(), set[bytes]()
    for action, (begin, end) in taken:
        if action == "add":
            tested.add(begin, end)
            model |= covered(begin, end)
        else:
            tested.remove(begin, end)
            model -= covered(begin, end)
    assert {key for key in KEYS if key in tested} == model
    begin, end = question
    inside = [key for low, high in tested.overlaps(begin, end) for key in sorted(covered(low, high))]
    outside = [key for low, high in tested.gaps(begin, end) for key in sorted(covered(low, high))]
    assert inside == sorted(covered(begin, end) & model)
    assert outside == sorted(covered(begin, end) - model)


@given(steps)
def test_its_ranges_are_sorted_and_apart(taken: list[tuple[str, tuple[bytes, bytes]]]) -> None:
    tested = RangeSet()
    for action, (begin, end) in taken:
        (tested.add if action == "add" else tested.remove)(begin, end)
    bounds = [bound for pair in tested for bound in pair]
    assert bounds == sorted(set(bounds))


@given(steps, ranges)
def test_overlaps_at_either_end_are_found(
    taken: list[tuple[str, tuple[bytes, bytes]]], question: tuple[bytes, bytes]
) -> None:
    tested = RangeSet()
    for action, (begin, end) in taken:
        (tested.add if action == "add" else tested.remove)(begin, end)
    begin, end = question
    meeting = [(low, high) for low, high in tested if begin < end and low < end and high > begin]
    if begin < end:
        assert tested.first_overlap(begin, end) == (meeting[0] if meeting else None)
        assert tested.last_overlap(begin, end) == (meeting[-1] if meeting else None)
    assert tested.intersects(begin, end) == bool(meeting)


def test_the_key_after_another_is_the_next_in_order() -> None:
    assert b"a" < key_after(b"a") < b"a\x00\x00"


def test_strinc_skips_everything_with_the_prefix() -> None:
    assert strinc(b"a\xff\xff") == b"b"
    with pytest.raises(ValueError, match="0xFF"):
        strinc(b"\xff")
