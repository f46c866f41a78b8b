# SPDX-License-Identifier: Apache-2.0
"""How a person may write a moment."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.history import Place
from enchanted.workspace.model import InvalidMomentError
from enchanted.workspace.moments import AtDigits, AtEvent, AtTime, parse_moment

FIRST = dt.datetime(1971, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
NOW_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z


@pytest.mark.feature("E-03")
class TestWritten:
    @pytest.mark.parametrize("text", ["", "now", " now "])
    def test_nothing_is_now(self, text: str) -> None:
        assert parse_moment(text, NOW_US) is None

    @pytest.mark.parametrize(
        "text",
        [
            "2025-12-31T23:00:00Z",
            "2025-12-31T23:00:00",
            "2025-12-31 23:00",
            "2026-01-01T00:00:00+01:00",
            "-1h",
            "-60m",
        ],
    )
    def test_a_time_is_a_time_in_utc_unless_it_says_otherwise(self, text: str) -> None:
        assert parse_moment(text, NOW_US) == AtTime(NOW_US - 3600 * 10**6)

    @given(st.datetimes(min_value=FIRST, timezones=st.just(dt.UTC)))
    def test_every_rfc_3339_time_is_understood_to_the_microsecond(self, time: dt.datetime) -> None:
        parsed = parse_moment(time.isoformat(), NOW_US)
        assert parsed == AtTime(
            (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        )

    @given(st.integers(1, 2**60), st.binary(min_size=12, max_size=12))
    def test_a_place_is_read_back(self, incarnation: int, stamp: bytes) -> None:
        place = Place(incarnation, stamp)
        if len(str(incarnation)) <= 18:
            assert parse_moment(str(place), NOW_US) == place

    def test_events_and_commits_are_named_by_their_ids(self) -> None:
        assert parse_moment("evt_01abc", NOW_US) == AtEvent("evt_01abc")
        assert parse_moment("0123ABC", NOW_US) == AtDigits("0123abc")
        assert parse_moment("0" * 24, NOW_US) == AtDigits("0" * 24)

    @pytest.mark.parametrize(
        "text",
        [
            "yesterday",
            "123456",
            "-5",
            "-5y",
            "5m",
            "evt_",
            "evt_/..",
            "2026-13-01",
            "0-" + "0" * 24,
            "@",
            "-1e9d",
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidMomentError):
            parse_moment(text, NOW_US)

    @given(st.text(max_size=40))
    def test_no_text_is_a_crash(self, text: str) -> None:
        with contextlib.suppress(InvalidMomentError):
            parse_moment(text, NOW_US)
