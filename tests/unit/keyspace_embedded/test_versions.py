# SPDX-License-Identifier: Apache-2.0
"""Versions go on with time, stay in order, and never pass what is reserved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.keyspace.embedded.versions import VERSIONS_PER_SECOND, VersionClock

pytestmark = pytest.mark.feature("X-01")


class Time:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def clock_at(time: Time, floor: int = 0) -> VersionClock:
    clock = VersionClock(time, floor)
    clock.extend(clock.next_reserve())
    return clock


def test_versions_advance_a_million_a_second_even_when_nothing_happens() -> None:
    time = Time()
    clock = clock_at(time)
    first = clock.read_version()
    time.seconds += 3
    assert clock.read_version() - first == 3 * VERSIONS_PER_SECOND


@given(st.lists(st.tuples(st.sampled_from(["read", "commit", "refused"]), st.floats(0, 0.001)), max_size=40))
def test_a_commit_is_above_all_reads_before_it_and_not_above_those_after(
    steps: list[tuple[str, float]],
) -> None:
    time = Time()
    clock = clock_at(time)
    seen = 0
    for kind, pause in steps:
        time.seconds += pause
        if kind == "read":
            version = clock.read_version()
            assert version >= seen
        else:
            version = clock.begin_commit()
            assert version > seen
            assert clock.read_version() < version
            clock.end_commit(published=kind == "commit")
            assert kind == "refused" or clock.read_version() >= version
        seen = max(seen, clock.read_version())


def test_a_clock_started_on_a_stored_bound_is_above_everything_given_before() -> None:
    time = Time()
    before = clock_at(time)
    time.seconds += 1000
    given_before = before.read_version()
    after = clock_at(Time(), before.reserved)
    assert after.read_version() > before.reserved >= given_before
    assert after.begin_commit() > before.reserved


def test_nothing_is_given_beyond_the_reserve() -> None:
    time = Time()
    clock = clock_at(time)
    time.seconds += 1_000_000
    assert clock.needs_reserve()
    assert clock.read_version() == clock.reserved
    with pytest.raises(OverflowError):
        clock.begin_commit()
    clock.extend(clock.next_reserve())
    assert clock.begin_commit() > clock.read_version()


def test_a_version_is_too_old_five_seconds_after_it_was_given() -> None:
    time = Time()
    clock = clock_at(time)
    version = clock.read_version()
    assert clock.deadline_seconds(version) == pytest.approx(time.seconds + 5)
