# SPDX-License-Identifier: Apache-2.0
"""Watches fire when a value changes; futures may be awaited and called back from many threads."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytestmark = pytest.mark.feature("X-01")


def committed_watch(database: Any, key: bytes) -> Any:
    tr = database.create_transaction()
    watch = tr.watch(key)
    tr.commit().wait()
    return watch


def test_a_watch_fires_when_the_value_changes(database: Any) -> None:
    database[b"a"] = b"1"
    watch = committed_watch(database, b"a")
    database[b"a"] = b"1"
    database[b"b"] = b"2"
    assert not watch.is_ready()
    database[b"a"] = b"2"
    watch.wait()


@pytest.mark.parametrize("change", ["set", "clear", "clear_range", "atomic", "versionstamp"])
def test_every_kind_of_write_fires_a_watch(database: Any, change: str) -> None:
    database[b"k"] = b"\x01"
    watch = committed_watch(database, b"k")
    changes = {
        "set": lambda: database.set(b"k", b"x"),
        "clear": lambda: database.clear(b"k"),
        "clear_range": lambda: database.clear_range(b"a", b"z"),
        "atomic": lambda: database.add(b"k", b"\x01"),
        "versionstamp": lambda: database.set_versionstamped_value(b"k", b"\0" * 14),
    }
    changes[change]()
    watch.wait()


def test_a_change_between_reading_and_committing_fires_the_watch(database: Any) -> None:
    database[b"a"] = b"1"
    tr = database.create_transaction()
    watch = tr.watch(b"a")
    database[b"a"] = b"2"
    tr.commit().wait()
    watch.wait()


def test_a_watch_compares_with_what_its_own_transaction_wrote(database: Any) -> None:
    watch = database.set_and_watch(b"a", b"1")
    assert not watch.is_ready()
    value, again = database.get_and_watch(b"a")
    assert value == b"1"
    gone = database.clear_and_watch(b"a")
    watch.wait()
    again.wait()
    assert not gone.is_ready()
    database[b"a"] = b"2"
    gone.wait()


def test_a_later_write_of_the_same_transaction_fires_at_once(database: Any) -> None:
    tr = database.create_transaction()
    watch = tr.watch(b"a")
    tr[b"a"] = b"1"
    assert watch.is_ready()


def test_a_watch_ends_with_a_transaction_that_does_not_commit(fdb: Any, database: Any) -> None:
    for end in ("cancel", "reset", "drop", "conflict"):
        tr = database.create_transaction()
        watch = tr.watch(b"a")
        if end == "conflict":
            database[b"a"] = b"changed"
            tr[b"b"] = b"1"
            with pytest.raises(fdb.FDBError):
                tr.commit().wait()
        elif end == "drop":
            del tr
        else:
            getattr(tr, end)()
        with pytest.raises(fdb.FDBError) as caught:
            watch.wait()
        assert caught.value.code == (1020 if end == "conflict" else 1025)


def test_a_cancelled_watch_is_counted_no_more(fdb: Any, database: Any) -> None:
    database.options.set_max_watches(2)
    for _ in range(5):
        watch = committed_watch(database, b"a")
        watch.cancel()
        assert watch.cancelled()
    held = [committed_watch(database, b"a") for _ in range(2)]
    with pytest.raises(fdb.FDBError) as caught:
        committed_watch(database, b"a").wait()
    assert caught.value.code == 1032
    assert not any(watch.is_ready() for watch in held)


def test_watches_need_read_your_writes(fdb: Any, database: Any) -> None:
    tr = database.create_transaction()
    tr.options.set_read_your_writes_disable()
    with pytest.raises(fdb.FDBError) as caught:
        tr.watch(b"a").wait()
    assert caught.value.code == 1034


def test_callbacks_come_for_ready_and_for_later_futures(database: Any) -> None:
    called: list[str] = []
    later = threading.Event()
    tr = database.create_transaction()
    tr[b"a"].on_ready(lambda future: called.append(f"value {future.value}"))
    watch = committed_watch(database, b"a")

    def note(_future: Any) -> None:
        called.append("watch")
        later.set()

    watch.on_ready(note)
    assert called == ["value None"]
    database[b"a"] = b"1"
    assert later.wait(30)
    assert called == ["value None", "watch"]


def test_a_callback_that_fails_harms_nobody(database: Any, capfd: pytest.CaptureFixture[str]) -> None:
    def fail(_future: Any) -> None:
        raise ValueError("the callback's own fault")

    done = threading.Event()
    tr = database.create_transaction()
    tr[b"a"].on_ready(fail)
    watch = committed_watch(database, b"a")
    watch.on_ready(fail)
    watch.on_ready(lambda _future: done.set())
    database[b"a"] = b"1"
    assert done.wait(30)
    assert "the callback's own fault" in capfd.readouterr().err


def test_waiting_for_any_gives_the_position_of_a_ready_one(fdb: Any, database: Any) -> None:
    first, second = committed_watch(database, b"a"), committed_watch(database, b"b")
    waiting: list[int] = []
    thread = threading.Thread(target=lambda: waiting.append(fdb.Future.wait_for_any(first, second)))
    thread.start()
    database[b"b"] = b"1"
    thread.join()
    assert waiting == [1]
    assert fdb.Future.wait_for_any(second, first) == 0


def test_many_threads_may_wait_for_one_future(database: Any) -> None:
    watch = committed_watch(database, b"a")
    woken: list[int] = []

    def wait(number: int) -> None:
        watch.wait()
        woken.append(number)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    database[b"a"] = b"1"
    for thread in threads:
        thread.join()
    assert sorted(woken) == list(range(20))


def test_a_transaction_may_be_read_by_many_threads(fdb: Any, database: Any) -> None:
    for number in range(50):
        database[b"%02d" % number] = b"%d" % number
    tr = database.create_transaction()
    wrong: list[Any] = []

    def read(offset: int) -> None:
        for number in range(50):
            key = b"%02d" % ((number + offset) % 50)
            if tr[key] != b"%d" % int(key) or len(list(tr[b"00":b"99"])) != 50:
                wrong.append(key)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    database[b"07"] = b"changed"
    tr[b"x"] = b"1"
    with pytest.raises(fdb.FDBError):
        tr.commit().wait()
