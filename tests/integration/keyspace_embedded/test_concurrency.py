# SPDX-License-Identifier: Apache-2.0
"""Many threads at once: nothing is lost, and some serial order explains what everyone saw."""

from __future__ import annotations

import random
import struct
import threading
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


def run_all(tasks: list[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_increments_of_many_threads_are_all_there(database: Any) -> None:
    @transactional
    def read_and_write(tr: Any) -> None:
        tr[b"read"] = b"%d" % (int(tr[b"read"].value or b"0") + 1)

    @transactional
    def add(tr: Any) -> None:
        tr.add(b"added", struct.pack("<q", 1))

    def work() -> None:
        for _ in range(25):
            read_and_write(database)
            add(database)

    run_all([work] * 8)
    assert database[b"read"] == b"200"
    assert database[b"added"] == struct.pack("<q", 200)


def test_money_moved_between_accounts_is_conserved_in_every_read(database: Any) -> None:
    accounts = [b"account%d" % number for number in range(6)]
    for account in accounts:
        database[account] = struct.pack("<q", 100)

    @transactional
    def total(tr: Any) -> int:
        return sum(struct.unpack("<q", pair.value)[0] for pair in tr.get_range_startswith(b"account"))

    @transactional
    def move(tr: Any, source: bytes, target: bytes, amount: int) -> None:
        held = struct.unpack("<q", tr[source].value)[0]
        if held >= amount:
            tr[source] = struct.pack("<q", held - amount)
            tr.add(target, struct.pack("<q", amount))

    def mover(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(30):
            source, target = chance.sample(accounts, 2)
            move(database, source, target, chance.randrange(1, 50))

    def auditor() -> None:
        for _ in range(30):
            assert total(database) == 600

    run_all([*[partial(mover, seed) for seed in range(6)], auditor, auditor])
    assert total(database) == 600


def test_concurrent_transactions_have_a_serial_order(fdb: Any, database: Any) -> None:
    """Each transaction reads some keys and overwrites others with its own number.

    Replayed in the order of their versionstamps on a dictionary, every one must have read what it read.
    """
    keys = [b"k%d" % number for number in range(5)]
    done: list[tuple[bytes, dict[bytes, bytes | None], dict[bytes, bytes]]] = []

    def work(worker: int) -> None:
        chance = random.Random(worker)
        for number in range(40):
            tr = database.create_transaction()
            while True:
                try:
                    stamp = tr.get_versionstamp()
                    if chance.random() < 0.5:
                        begin, end = sorted(chance.sample(keys, 2))
                        seen: dict[bytes, bytes | None] = {key: None for key in keys if begin <= key < end}
                        seen.update((pair.key, pair.value) for pair in tr[begin:end])
                    else:
                        seen = {key: tr[key].value for key in chance.sample(keys, 2)}
                    wrote = dict.fromkeys(chance.sample(keys, 2), b"%d/%d" % (worker, number))
                    for key, value in wrote.items():
                        tr[key] = value
                    tr.commit().wait()
                except fdb.FDBError as error:
                    tr.on_error(error).wait()
                else:
                    done.append((stamp.value, seen, wrote))
                    break

    run_all([partial(work, worker) for worker in range(6)])
    state: dict[bytes, bytes] = {}
    assert len({stamp for stamp, _, _ in done}) == 240
    for stamp, seen, wrote in sorted(done, key=lambda entry: entry[0]):
        assert {key: state.get(key) for key in seen} == seen, stamp
        state.update(wrote)
    assert {pair.key: pair.value for pair in database[b"k":b"l"]} == state


def test_a_consumer_woken_by_watches_sees_every_item(fdb: Any, database: Any) -> None:
    consumed: list[bytes] = []

    def produce(worker: int) -> None:
        for number in range(20):
            tr = database.create_transaction()
            key = fdb.tuple.pack_with_versionstamp(("queue", fdb.tuple.Versionstamp()))
            tr.set_versionstamped_key(key, b"%d/%d" % (worker, number))
            tr.add(b"tip", struct.pack("<q", 1))
            tr.commit().wait()

    @transactional
    def take(tr: Any) -> tuple[list[bytes], Any]:
        space = fdb.Subspace(("queue",))
        taken = list(tr[space.range()])
        del tr[space.range()]
        return [pair.value for pair in taken], None if taken else tr.watch(b"tip")

    def consume() -> None:
        while len(consumed) < 80:
            taken, watch = take(database)
            consumed.extend(taken)
            if watch is not None:
                watch.wait()

    run_all([consume, *[partial(produce, worker) for worker in range(4)]])
    assert sorted(consumed) == sorted(
        b"%d/%d" % (worker, number) for worker in range(4) for number in range(20)
    )
    for worker in range(4):
        own = [item for item in consumed if item.startswith(b"%d/" % worker)]
        assert own == [b"%d/%d" % (worker, number) for number in range(20)]
