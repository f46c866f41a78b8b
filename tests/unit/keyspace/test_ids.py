# SPDX-License-Identifier: Apache-2.0
"""Ids sort by the time they were made, and derived ones follow from their parents."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.keyspace import derived_id, new_id

MICROSECONDS = st.integers(0, (1 << 48) * 1000 - 1)


@pytest.mark.feature("K-01")
@given(MICROSECONDS, MICROSECONDS)
def test_ids_of_different_milliseconds_sort_by_time(first_us: int, second_us: int) -> None:
    if first_us // 1000 < second_us // 1000:
        assert new_id("job", first_us, os.urandom) < new_id("job", second_us, os.urandom)


@pytest.mark.feature("K-01")
def test_ids_of_one_moment_differ() -> None:
    assert len({new_id("evt", 1_000_000, os.urandom) for _ in range(1000)}) == 1000


@pytest.mark.feature("K-01")
@given(st.integers(0, 1 << 60))
def test_an_id_is_its_prefix_and_26_characters(now_us: int) -> None:
    prefix, _, digits = new_id("prj", now_us, bytes).partition("_")
    assert (prefix, len(digits)) == ("prj", 26)
    assert set(digits) <= set("0123456789abcdefghjkmnpqrstvwxyz")


@pytest.mark.feature("K-01")
def test_a_derived_id_is_the_same_each_time_and_another_for_other_parents() -> None:
    assert derived_id("evt", "tkt_1", "accept") == derived_id("evt", "tkt_1", "accept")
    assert derived_id("evt", "tkt_1", "accept") != derived_id("evt", "tkt_1a", "ccept")
