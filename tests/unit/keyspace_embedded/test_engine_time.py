# SPDX-License-Identifier: Apache-2.0
"""What time does to transactions: five seconds of versions, no more, on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from enchanted.keyspace.embedded.engine import Engine
from enchanted.keyspace.embedded.errors import FDBError
from enchanted.keyspace.embedded.selectors import Selector
from enchanted.keyspace.embedded.store import UNLIMITED, MemoryStore, Quota
from enchanted.keyspace.embedded.transaction import TransactionState
from enchanted.keyspace.embedded.watches import WatchLimit

pytestmark = pytest.mark.feature("X-01")


class Time:
    def __init__(self) -> None:
        self.seconds = 50.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def engine(time: Time) -> Iterator[Engine]:
    opened = Engine("test", MemoryStore(), now_seconds=time)
    yield opened
    opened.close()


def transaction(engine: Engine) -> TransactionState:
    return TransactionState(engine, (), WatchLimit())


def put(engine: Engine, key: bytes, value: bytes) -> int:
    tr = transaction(engine)
    tr.set(key, value)
    tr.commit().outcome()
    return tr.get_committed_version()


def code_of(call: Callable[[], object]) -> int:
    with pytest.raises(FDBError) as caught:
        call()
    return caught.value.code


def test_a_transaction_older_than_five_seconds_neither_reads_nor_commits(engine: Engine, time: Time) -> None:
    put(engine, b"a", b"1")
    tr = transaction(engine)
    assert tr.get(b"a", snapshot=False) == b"1"
    tr.set(b"b", b"1")
    time.seconds += 4.9
    assert tr.get(b"a", snapshot=False) == b"1"
    time.seconds += 0.2
    assert code_of(lambda: tr.get(b"a", snapshot=False)) == 1007
    put(engine, b"other", b"moves the window")
    assert code_of(tr.commit().outcome) == 1007


def test_a_version_of_the_last_five_seconds_can_be_read_again(engine: Engine, time: Time) -> None:
    versions = []
    for number in range(10):
        versions.append(put(engine, b"a", b"%d" % number))
        time.seconds += 0.4
    for number, version in enumerate(versions):
        tr = transaction(engine)
        tr.set_read_version(version)
        assert tr.get(b"a", snapshot=True) == b"%d" % number
    time.seconds += 2
    old = transaction(engine)
    old.set_read_version(versions[0])
    assert code_of(lambda: old.get(b"a", snapshot=True)) == 1007


def test_states_older_than_the_window_are_released(engine: Engine, time: Time) -> None:
    for number in range(50):
        put(engine, b"a", b"%d" % number)
        time.seconds += 1
    assert len(engine._views) <= 8  # noqa: SLF001 - how much is kept is the point


def test_idle_versions_advance_and_are_reserved_ahead(engine: Engine, time: Time) -> None:
    first, _ = engine.read_point()
    for _ in range(20):
        time.seconds += 30
        put(engine, b"a", b"1")
    last, _ = engine.read_point()
    assert last - first >= 600_000_000
    assert engine.clock.reserved > last


def test_commits_go_on_after_a_pause_longer_than_what_was_reserved(engine: Engine, time: Time) -> None:
    before = put(engine, b"a", b"1")
    time.seconds += 100_000
    assert put(engine, b"a", b"2") - before >= 99_000 * 1_000_000


def test_a_blind_write_is_never_too_old(engine: Engine, time: Time) -> None:
    tr = transaction(engine)
    tr.set(b"a", b"1")
    time.seconds += 60
    tr.commit().outcome()
    assert tr.get_committed_version() > 0


def test_reads_after_the_end_say_that_the_database_is_closed(engine: Engine) -> None:
    tr = transaction(engine)
    tr.get(b"a", snapshot=False)
    tr.set(b"a", b"1")
    engine.close()
    assert code_of(lambda: tr.get(b"a", snapshot=False)) == 1043
    assert code_of(tr.commit().outcome) == 1043
    assert code_of(lambda: transaction(engine).get_read_version()) == 1043


def test_a_transaction_limits_what_it_waits_for(engine: Engine, time: Time) -> None:
    tr = transaction(engine)
    tr.set_option(500, (1000).to_bytes(8, "little"))
    tr.get(b"a", snapshot=False)
    time.seconds += 1.1
    assert code_of(lambda: tr.get(b"a", snapshot=False)) == 1031
    tr.reset()
    tr.get(b"a", snapshot=False)


def test_a_range_and_its_points_are_of_one_state(engine: Engine) -> None:
    put(engine, b"a", b"1")
    tr = transaction(engine)
    everything = Quota(UNLIMITED, UNLIMITED)
    begin = Selector.normal(b"", or_equal=False, offset=1)
    end = Selector.normal(b"\xff", or_equal=False, offset=1)
    before, _ = tr.get_range(begin, end, everything, reverse=False, snapshot=True)
    put(engine, b"b", b"2")
    put(engine, b"a", b"3")
    after, _ = tr.get_range(begin, end, everything, reverse=False, snapshot=True)
    assert before == after == [(b"a", b"1")]
    assert tr.get(b"b", snapshot=True) is None
