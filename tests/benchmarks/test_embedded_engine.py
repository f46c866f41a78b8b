# SPDX-License-Identifier: Apache-2.0
"""The embedded engine beside raw RocksDB, in one run: ratios, never timed assertions.

`make bench` prints the table that stands in `docs/BENCHMARKS.md`.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rocksdict

from enchanted.keyspace import open_database
from enchanted.keyspace.database import close_database

ROUNDS = 9
GETS = 1_000
COMMITS = 200
VALUE = os.urandom(100)


def seconds(work: Callable[[], object]) -> float:
    """The median of several rounds."""
    work()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def report(what: str, ours: float, raw: float, count: int) -> None:
    print(  # noqa: T201 - the benchmark's product is what it prints
        f"\n{what}: {ours / count * 1e6:.1f} us each, raw RocksDB {raw / count * 1e6:.1f} us, "
        f"rate {raw / ours:.0%} of raw"
    )


@pytest.fixture
def database(tmp_path: Path) -> Any:
    opened = open_database(f"embedded:{tmp_path / 'ours'}")
    yield opened
    close_database(opened)


@pytest.fixture
def raw(tmp_path: Path) -> Any:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003 - positional only
    opened = rocksdict.Rdict(str(tmp_path / "raw"), options)
    yield opened
    opened.close()


def keys() -> list[bytes]:
    return [b"key/%06d" % number for number in range(GETS)]


@pytest.mark.feature("X-01")
def test_point_gets_in_one_transaction(database: Any, raw: Any) -> None:
    names = keys()
    for start in range(0, GETS, 100):
        tr = database.create_transaction()
        for name in names[start : start + 100]:
            tr[name] = VALUE
            raw[name] = VALUE
        tr.commit().wait()

    def ours() -> None:
        tr = database.create_transaction()
        for name in names:
            assert tr[name].present()

    def theirs() -> None:
        for name in names:
            assert raw[name]

    report(f"{GETS} point gets in one transaction", seconds(ours), seconds(theirs), GETS)


@pytest.mark.feature("X-01")
def test_a_range_of_pairs(database: Any, raw: Any) -> None:
    names = keys()
    tr = database.create_transaction()
    for name in names:
        tr[name] = VALUE
        raw[name] = VALUE
    tr.commit().wait()

    def ours() -> None:
        assert len(database.create_transaction().get_range(b"key/", b"key0").to_list()) == GETS

    def theirs() -> None:
        assert len(list(raw.items(from_key=b"key/"))) == GETS

    report(f"a range of {GETS} pairs", seconds(ours), seconds(theirs), GETS)


@pytest.mark.feature("X-01")
def test_small_commits_one_after_the_other(database: Any, raw: Any) -> None:
    names = keys()[:COMMITS]

    def ours() -> None:
        for name in names:
            tr = database.create_transaction()
            tr[name] = VALUE
            tr.commit().wait()

    def theirs() -> None:
        for name in names:
            batch = rocksdict.WriteBatch(raw_mode=True)
            batch.put(name, VALUE)
            raw.write(batch)
            raw.flush_wal(True)  # noqa: FBT003 - positional only

    report(f"{COMMITS} synced commits of one thread", seconds(ours), seconds(theirs), COMMITS)
