# SPDX-License-Identifier: Apache-2.0
"""What a program meets through the ``fdb`` package: reads, writes, conflicts, errors, options."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

import pytest

pytestmark = pytest.mark.feature("X-01")

F = TypeVar("F", bound=Callable[..., Any])


def transactional(function: F) -> F:
    """As ``fdb.transactional``, which has no types."""
    import fdb  # noqa: PLC0415 - after the engine is in place

    return cast("F", fdb.transactional(function))


def code_of(fdb: Any, call: Callable[[], Any]) -> int:
    with pytest.raises(fdb.FDBError) as caught:
        call()
    code: int = caught.value.code
    return code


def fill(database: Any, keys: str = "abcdef") -> None:
    for key in keys:
        database[key.encode()] = b"value of " + key.encode()


def keys_of(pairs: Any) -> bytes:
    return b"".join(pair.key for pair in pairs)


def test_what_is_set_is_read_and_what_is_cleared_is_absent(database: Any) -> None:
    database[b"a"] = b"1"
    assert database[b"a"] == b"1"
    assert database.get(b"b") is None
    del database[b"a"]
    assert database[b"a"] is None


def test_a_value_future_is_used_like_its_bytes(database: Any) -> None:
    database[b"a"] = b"hello"
    tr = database.create_transaction()
    value, absent = tr[b"a"], tr[b"b"]
    assert issubclass(value.__class__, bytes)
    assert all(isinstance(future, bytes) for future in (value, absent))
    assert value.present()
    assert not absent.present()
    assert absent == None  # noqa: E711 - an absent value compares equal to None without being it
    assert value.wait() is value
    assert (value + b"!", b">" + value, value[1:3], len(value), value.upper()) == (
        b"hello!",
        b">hello",
        b"el",
        5,
        b"HELLO",
    )
    assert hash(value) == hash(b"hello")
    assert bytes(value) == b"hello"
    assert sorted([b"z", value, b"a"]) == [b"a", b"hello", b"z"]
    tr[b"copy"] = value
    assert tr[b"copy"] == b"hello"
    assert str(value) == "b'hello'"


def test_a_transaction_reads_its_own_writes_and_others_do_not(database: Any) -> None:
    fill(database)
    tr = database.create_transaction()
    tr[b"b2"] = b"new"
    tr.clear_range(b"c", b"e")
    tr.add(b"n", struct.pack("<q", 5))
    tr.add(b"n", struct.pack("<q", 6))
    assert keys_of(tr[b"":b"\xff"]) == b"abb2efn"
    assert tr[b"n"] == struct.pack("<q", 11)
    assert tr.get_key(_selector(database, b"b", 2)) == b"e"
    assert keys_of(database[b"":b"\xff"]) == b"abcdef"
    tr.commit().wait()
    assert keys_of(database[b"":b"\xff"]) == b"abb2efn"


def _selector(database: Any, key: bytes, offset: int) -> Any:
    import fdb  # noqa: PLC0415 - after the engine is in place

    assert database is not None
    return fdb.KeySelector.first_greater_than(key) + (offset - 1)


@pytest.mark.parametrize("mode", ["want_all", "iterator", "small", "medium", "large", "serial"])
def test_every_streaming_mode_gives_the_whole_range(fdb: Any, database: Any, mode: str) -> None:
    @transactional
    def write(tr: Any) -> None:
        for number in range(300):
            tr[b"k%03d" % number] = b"v" * 50

    write(database)
    tr = database.create_transaction()
    tr[b"k0005"] = b"own"
    tr.clear_range(b"k100", b"k200")
    streaming = getattr(fdb.StreamingMode, mode)
    expected = sorted([b"k%03d" % number for number in range(300) if not 100 <= number < 200] + [b"k0005"])
    assert [pair.key for pair in tr.get_range(b"k", b"l", streaming_mode=streaming)] == expected
    backwards = tr.get_range(b"k", b"l", reverse=True, streaming_mode=streaming)
    assert [pair.key for pair in backwards] == expected[::-1]
    assert [pair.key for pair in tr.get_range(b"k", b"l", 7, streaming_mode=streaming)] == expected[:7]
    listed = tr.get_range(b"k", b"l", 150, reverse=True, streaming_mode=streaming).to_list()
    assert [pair.key for pair in listed] == expected[::-1][:150]


def test_exact_mode_needs_a_limit(fdb: Any, database: Any) -> None:
    fill(database)
    tr = database.create_transaction()
    exact = fdb.StreamingMode.exact
    assert keys_of(tr.get_range(b"a", b"z", 2, streaming_mode=exact)) == b"ab"
    assert code_of(fdb, lambda: list(tr.get_range(b"a", b"z", streaming_mode=exact))) == 2210
    assert code_of(fdb, lambda: list(tr.get_range(b"a", b"z", -2))) == 2012


def test_a_write_skew_is_refused(fdb: Any, database: Any) -> None:
    database[b"a"] = b"1"
    database[b"b"] = b"1"
    first, second = database.create_transaction(), database.create_transaction()
    for tr, clears in ((first, b"a"), (second, b"b")):
        assert len(list(tr[b"a":b"c"])) == 2
        del tr[clears]
    first.commit().wait()
    assert code_of(fdb, second.commit().wait) == 1020
    assert database[b"b"] == b"1"


@pytest.mark.parametrize(
    ("read", "written", "conflict"),
    [
        ("point", b"c", True),
        ("point", b"c\x00", False),
        ("limited", b"b", True),
        ("limited", b"c", False),
        ("reverse limited", b"e", True),
        ("reverse limited", b"d", False),
        ("selector", b"bb", True),
        ("selector", b"cc", False),
        ("backward selector", b"bb", True),
        ("backward selector", b"aa", False),
        ("missing range", b"x1", True),
        ("snapshot", b"c", False),
        ("own write", b"c", False),
        ("own clear", b"c", False),
        ("own addition", b"c", True),
        ("explicit key", b"c", True),
        ("explicit range", b"cc", True),
        ("none", b"c", False),
    ],
)
def test_a_commit_conflicts_with_writes_to_what_was_really_read(
    fdb: Any,
    database: Any,
    read: str,
    written: bytes,
    conflict: bool,  # noqa: FBT001 - a column of the table
) -> None:
    fill(database)
    tr = database.create_transaction()
    tr.get_read_version().wait()
    reads: dict[str, Callable[[], Any]] = {
        "point": lambda: tr.get(b"c").wait(),
        "limited": lambda: list(tr.get_range(b"a", b"f", limit=2)),
        "reverse limited": lambda: list(tr.get_range(b"a", b"f", limit=1, reverse=True)),
        "selector": lambda: tr.get_key(fdb.KeySelector.first_greater_than(b"b")).wait(),
        "backward selector": lambda: tr.get_key(fdb.KeySelector.last_less_than(b"c")).wait(),
        "missing range": lambda: list(tr[b"x":b"y"]),
        "snapshot": lambda: (tr.snapshot[b"c"].wait(), list(tr.snapshot[b"a":b"f"])),
        "own write": lambda: (tr.set(b"c", b"own"), tr[b"c"].wait(), list(tr[b"c":b"c\x00"])),
        "own clear": lambda: (tr.clear_range(b"b", b"d"), list(tr[b"b":b"d"])),
        "own addition": lambda: (tr.add(b"c", b"\x01"), tr[b"c"].wait()),
        "explicit key": partial(tr.add_read_conflict_key, b"c"),
        "explicit range": partial(tr.add_read_conflict_range, b"c", b"d"),
        "none": lambda: None,
    }
    reads[read]()
    tr[b"other"] = b"1"
    database[written] = b"changed"
    if conflict:
        assert code_of(fdb, tr.commit().wait) == 1020
    else:
        tr.commit().wait()


def test_blind_writes_never_conflict_and_may_opt_out_of_making_conflicts(fdb: Any, database: Any) -> None:
    reader = database.create_transaction()
    reader[b"a"].wait()
    reader[b"x"] = b"1"
    writer = database.create_transaction()
    writer.options.set_next_write_no_write_conflict_range()
    writer[b"a"] = b"2"
    writer.commit().wait()
    reader.commit().wait()
    again = database.create_transaction()
    again[b"a"].wait()
    again.add_write_conflict_key(b"y")
    database.create_transaction().add_write_conflict_key(b"a")
    marker = database.create_transaction()
    marker.add_write_conflict_key(b"a")
    marker.commit().wait()
    assert marker.get_committed_version() > 0
    assert code_of(fdb, again.commit().wait) == 1020


def test_versions_order_commits_and_reads(fdb: Any, database: Any) -> None:
    database[b"a"] = b"1"
    old = database.create_transaction()
    version = old.get_read_version().wait()
    assert old.get_committed_version() == -1
    writer = database.create_transaction()
    writer[b"a"] = b"2"
    stamp = writer.get_versionstamp()
    writer.commit().wait()
    committed = writer.get_committed_version()
    assert committed > version
    assert stamp.value == struct.pack(">QH", committed, 0)
    assert old[b"a"] == b"1"
    later = database.create_transaction()
    later.set_read_version(version)
    assert (later[b"a"].value, later[b"":b"\xff"].to_list()[0].value) == (b"1", b"1")
    assert database.create_transaction().get_read_version().wait() >= committed
    future = database.create_transaction()
    future.set_read_version(committed + 10**9)
    assert code_of(fdb, future[b"a"].wait) == 1009
    ancient = database.create_transaction()
    ancient.set_read_version(1)
    assert code_of(fdb, ancient[b"a"].wait) == 1007


def test_a_read_version_is_set_once(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    tr.get_read_version().wait()
    tr.set_read_version(5)
    assert code_of(fdb, tr[b"a"].wait) == 2010
    tr.reset()
    tr.set_read_version(0)
    assert code_of(fdb, tr.get_read_version().wait) == 2011


def test_versionstamped_keys_sort_in_commit_order(fdb: Any, database: Any) -> None:
    stamps = []
    for number in range(5):
        tr = database.create_transaction()
        key = fdb.tuple.pack_with_versionstamp(("log", fdb.tuple.Versionstamp(user_version=number)))
        tr.set_versionstamped_key(key, b"%d" % number)
        tr.set_versionstamped_value(b"tip", b"\xff" * 10 + struct.pack("<I", 0))
        stamp = tr.get_versionstamp()
        assert code_of(fdb, tr[b"tip"].wait) == 1036
        tr.commit().wait()
        stamps.append(stamp.value)
        assert database[b"tip"] == stamp.value
    listed = database.get_range_startswith(fdb.tuple.pack(("log",)))
    assert [pair.value for pair in listed] == [b"0", b"1", b"2", b"3", b"4"]
    read_back = [fdb.tuple.unpack(pair.key)[1] for pair in listed]
    assert [place.tr_version for place in read_back] == stamps == sorted(stamps)


def test_an_unreadable_key_can_be_read_as_written_on_request(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    tr.options.set_bypass_unreadable()
    tr.set_versionstamped_value(b"k", b"head" + b"\0" * 10 + struct.pack("<I", 4))
    assert tr[b"k"] == b"head" + b"\0" * 10
    assert fdb.predicates is not None


def test_a_read_only_transaction_has_no_version_and_no_stamp(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    tr[b"a"].wait()
    stamp = tr.get_versionstamp()
    tr.commit().wait()
    assert tr.get_committed_version() == -1
    assert code_of(fdb, stamp.wait) == 2021


WRONG_WRITES: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "system key": (2004, lambda tr: tr.set(b"\xff", b"")),
    "special key": (2114, lambda tr: tr.set(b"\xff\xff/x", b"")),
    "long key": (2102, lambda tr: tr.set(b"a" * 10_001, b"")),
    "long value": (2103, lambda tr: tr.set(b"a", b"v" * 100_001)),
    "inverted clear": (2005, lambda tr: tr.clear_range(b"b", b"a")),
    "system clear": (2004, lambda tr: tr.clear_range(b"a", b"\xff\x01")),
    "unknown mutation": (2018, lambda tr: tr._atomic_operation(99, b"a", b"")),  # noqa: SLF001 - the binding's only way to a code without a name
    "bad stamp offset": (2000, lambda tr: tr.set_versionstamped_key(b"abc" + struct.pack("<I", 0), b"")),
    "metadata version": (2000, lambda tr: tr.set(b"\xff/metadataVersion", b"x")),
    "bad timeout": (2006, lambda tr: tr.options.set_timeout(-1)),
    "bad size limit": (2006, lambda tr: tr.options.set_size_limit(31)),
    "long tag": (2110, lambda tr: tr.options.set_tag("t" * 17)),
    "late ryw disable": (2000, lambda tr: (tr.set(b"a", b""), tr.options.set_read_your_writes_disable())),
    "system conflict range": (2004, lambda tr: tr.add_write_conflict_range(b"a", b"\xff\x01")),
}


@pytest.mark.parametrize("case", WRONG_WRITES)
def test_a_wrong_write_is_told_by_the_next_read_and_by_the_commit(fdb: Any, database: Any, case: str) -> None:
    expected, write = WRONG_WRITES[case]
    tr = database.create_transaction()
    write(tr)
    assert code_of(fdb, tr[b"a"].wait) == expected
    assert code_of(fdb, tr.commit().wait) == expected
    assert code_of(fdb, tr.on_error(expected).wait) == expected
    tr[b"a"] = b"usable again"
    tr.commit().wait()


def test_wrong_reads_fail_in_their_future(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    assert code_of(fdb, tr[b"\xff"].wait) == 2004
    assert code_of(fdb, lambda: list(tr[b"a":b"\xff\x01"])) == 2004
    assert code_of(fdb, tr.get_key(fdb.KeySelector.first_greater_than(b"\xff\x01")).wait) == 2004
    assert code_of(fdb, lambda: tr.add_read_conflict_range(b"b", b"a")) == 2005
    assert code_of(fdb, lambda: list(tr[b"\xff\xff/nothing":b"\xff\xff/nothinh"])) == 2113
    assert list(tr[b"b":b"a"]) == []
    assert tr[b"a" * 20_000].value is None
    with pytest.raises(TypeError, match="Key must be of type bytes"):
        tr["text"]
    with pytest.raises(TypeError, match="Value must be of type bytes"):
        tr[b"a"] = 1


def test_selectors_stop_at_the_ends_of_the_readable_keys(fdb: Any, database: Any) -> None:
    fill(database, "bc")
    tr = database.create_transaction()
    assert tr.get_key(fdb.KeySelector.last_less_than(b"b")) == b""
    assert tr.get_key(fdb.KeySelector.first_greater_than(b"c")) == b"\xff"
    assert tr.get_key(fdb.KeySelector.first_greater_or_equal(b"a") + 9) == b"\xff"
    assert (
        keys_of(tr[fdb.KeySelector.last_less_than(b"a") : fdb.KeySelector.first_greater_than(b"z")]) == b"bc"
    )
    tr.options.set_read_system_keys()
    assert tr.get_key(fdb.KeySelector.first_greater_than(b"c")) == b"\xff/keyServers/"


def test_a_transaction_beyond_its_size_limit_does_not_commit(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    for number in range(101):
        tr[b"%d" % number] = b"v" * 100_000
    assert tr.get_approximate_size().wait() > 10_000_000
    assert code_of(fdb, tr.commit().wait) == 2101
    small = database.create_transaction()
    small.options.set_size_limit(200)
    small[b"a"] = b"v" * 300
    assert code_of(fdb, small.commit().wait) == 2101


def test_using_a_transaction_during_its_commit_fails_both(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    tr[b"a"] = b"1"
    tr.commit().wait()
    assert code_of(fdb, tr[b"a"].wait) == 2017
    assert code_of(fdb, tr.commit().wait) == 2017
    tr.reset()
    assert tr[b"a"] == b"1"


def test_a_cancelled_transaction_answers_nothing_until_it_is_reset(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    tr[b"a"].wait()
    watch, stamp = tr.watch(b"a"), tr.get_versionstamp()
    tr.cancel()
    for future in (watch, stamp, tr[b"a"], tr.commit(), tr.get_read_version(), tr.on_error(1020)):
        assert code_of(fdb, future.wait) == 1025
    tr.reset()
    assert tr[b"a"].value is None


def test_a_timed_out_transaction_answers_1031_even_to_who_waits(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    watch = tr.watch(b"a")
    tr.options.set_timeout(30)
    assert code_of(fdb, watch.wait) == 1031
    assert code_of(fdb, tr[b"a"].wait) == 1031
    assert code_of(fdb, tr.on_error(1020).wait) == 1031


def test_on_error_lets_a_retry_start_clean_and_keeps_the_limit(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    tr.options.set_retry_limit(2)
    tr.options.set_max_retry_delay(1)
    tr.options.set_access_system_keys()
    for _ in range(2):
        tr[b"a"] = b"1"
        tr.on_error(1020).wait()
        assert tr[b"a"].value is None
    assert code_of(fdb, tr[b"\xff/x"].wait) == 2004
    assert code_of(fdb, tr.on_error(1020).wait) == 1020
    assert code_of(fdb, tr.on_error(fdb.FDBError(2000)).wait) == 2000
    with pytest.raises(KeyError):
        tr.on_error(KeyError("not the database's"))


@pytest.mark.parametrize("code", [1007, 1009, 1020, 1021, 1037, 1038, 1042, 1051, 1078, 1213])
def test_what_the_predicates_call_retryable_is_retried(fdb: Any, database: Any, code: int) -> None:
    tr = database.create_transaction()
    tr.options.set_max_retry_delay(1)
    tr.on_error(code).wait()
    error = fdb.FDBError(code)
    assert fdb.predicates.is_retryable(error)
    assert fdb.predicates.is_maybe_committed(error) == (code == 1021)
    assert fdb.predicates.is_retryable_not_committed(error) == (code != 1021)


def test_a_transactional_function_is_run_again_after_a_conflict(database: Any) -> None:
    runs = []

    @transactional
    def increment(tr: Any) -> int:
        count = int(tr[b"n"].value or b"0")
        runs.append(count)
        if len(runs) == 1:
            database[b"n"] = b"41"
        tr[b"n"] = b"%d" % (count + 1)
        return count + 1

    assert increment(database) == 42
    assert runs == [0, 41]
    tr = database.create_transaction()
    assert increment(tr) == 43
    assert database[b"n"] == b"42"


def test_generators_cannot_be_transactional(database: Any) -> None:
    @transactional
    def generate(tr: Any) -> Any:
        yield tr

    with pytest.raises(ValueError, match="Generators can not be wrapped"):
        generate(database)


def test_snapshot_reads_see_own_writes_unless_told_otherwise(database: Any) -> None:
    database[b"a"] = b"stored"
    tr = database.create_transaction()
    tr[b"a"] = b"own"
    assert tr.snapshot[b"a"] == b"own"
    tr.options.set_snapshot_ryw_disable()
    assert tr.snapshot[b"a"] == b"stored"
    assert tr[b"a"] == b"own"
    blind = database.create_transaction()
    blind.options.set_read_your_writes_disable()
    blind[b"a"] = b"own"
    assert blind[b"a"] == b"stored"
    assert blind.snapshot[b"a":b"b"].to_list()[0].value == b"stored"
    blind.commit().wait()
    assert database[b"a"] == b"own"


def test_options_of_the_database_are_those_of_its_transactions(fdb: Any, database: Any) -> None:
    database.options.set_transaction_retry_limit(0)
    database.options.set_transaction_size_limit(100)
    tr = database.create_transaction()
    tr[b"a"] = b"v" * 200
    assert code_of(fdb, tr.commit().wait) == 2101
    assert code_of(fdb, tr.on_error(1020).wait) == 1020
    database.options.set_max_watches(1)
    database.create_transaction()
    watching = database.create_transaction()
    watching.watch(b"a")
    assert code_of(fdb, watching.watch(b"b").wait) == 1032


def test_errors_print_as_the_official_binding_prints_them(fdb: Any) -> None:
    error = fdb.FDBError(1020)
    assert str(error) == "b'Transaction not committed due to conflict with another transaction' (1020)"
    assert repr(error) == "FDBError(1020)"
    assert fdb.FDBError(1025).description == b"Operation aborted because the transaction was cancelled"
    assert repr(fdb.KeyValue(b"a", b"b")) == "b'a': b'b'"
    assert repr(fdb.KeySelector.last_less_than(b"a")) == "KeySelector(b'a', False, 0)"


def test_the_metadata_version_changes_by_versionstamp_alone(database: Any) -> None:
    tr = database.create_transaction()
    assert tr[b"\xff/metadataVersion"].value is None
    tr.set_versionstamped_value(b"\xff/metadataVersion", b"\0" * 14)
    stamp = tr.get_versionstamp()
    tr.commit().wait()
    assert database[b"\xff/metadataVersion"] == stamp.value


def test_sizes_and_split_points_follow_the_data(database: Any) -> None:
    for number in range(20):
        database[b"k%02d" % number] = b"v" * 97
    tr = database.create_transaction()
    assert tr.get_estimated_range_size_bytes(b"k", b"l").wait() == 2000
    points = tr.get_range_split_points(b"k", b"l", 500).wait()
    assert points == [b"k", b"k05", b"k10", b"k15", b"l"]


def test_the_status_document_says_that_the_database_is_there(database: Any) -> None:
    import json  # noqa: PLC0415 - this test alone reads JSON

    status = json.loads(database[b"\xff\xff/status/json"])
    assert status["client"]["database_status"] == {"available": True, "healthy": True}
    assert database.get_client_status().wait().startswith(b"{")


def test_a_transaction_that_outlives_its_database_reads_nothing(fdb: Any, database: Any) -> None:
    database[b"a"] = b"1"
    tr = database.create_transaction()
    assert tr[b"a"] == b"1"
    database.close()
    assert code_of(fdb, tr[b"a"].wait) == 1007
    tr.on_error(1007).wait()
    assert code_of(fdb, tr[b"a"].wait) == 1043
