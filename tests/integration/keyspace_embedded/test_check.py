# SPDX-License-Identifier: Apache-2.0
"""A flipped bit anywhere in a folder is caught, or changes nothing."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from enchanted.keyspace import embedded
from enchanted.keyspace.embedded.check import CheckReport, check
from enchanted.keyspace.embedded.record_log import find_damage

pytestmark = pytest.mark.feature("X-01")

FLIPS_A_FILE = 25
Pairs = list[tuple[bytes, bytes]]


def build(fdb: Any, folder: Path) -> Pairs:
    chance = random.Random(7)
    for _ in range(3):
        database = fdb.open(str(folder))
        for _ in range(4):
            tr = database.create_transaction()
            for _ in range(150):
                tr[b"key%05d" % chance.randrange(2000)] = chance.randbytes(chance.randrange(400))
            tr.clear_range(b"key00100", b"key00110")
            tr.clear_range(b"key01000", b"key01500")
            tr.commit().wait()
        embedded.close(database)
    return read(fdb, folder)


def read(fdb: Any, folder: Path) -> Pairs:
    database = fdb.open(str(folder))
    pairs = [(pair.key, pair.value) for pair in database[b"":b"\xff"]]
    assert all(database[key] == value for key, value in pairs[::9])
    embedded.close(database)
    return pairs


def data_files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted((folder / "rocksdb").iterdir())
        if (file.suffix in {".sst", ".log"} or file.name.startswith(("MANIFEST", "CURRENT")))
        and file.stat().st_size
    ]


def flip(file: Path, offset: int, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[offset] ^= 1 << bit
    file.write_bytes(content)


def is_caught_or_harmless(fdb: Any, folder: Path, whole: Pairs) -> tuple[bool, CheckReport]:
    report = check(folder)
    try:
        same = read(fdb, folder) == whole
    except (embedded.FolderDamagedError, fdb.FDBError):
        return True, report
    return same or not report.ok, report


def test_a_flipped_bit_in_a_closed_folder_is_caught_or_harmless(fdb: Any, tmp_path: Path) -> None:
    whole = build(fdb, tmp_path / "db")
    seed = random.SystemRandom().randrange(1 << 32)
    chance = random.Random(seed)
    caught = 0
    for file in data_files(tmp_path / "db"):
        for _ in range(FLIPS_A_FILE):
            copy = tmp_path / "copy"
            shutil.copytree(tmp_path / "db", copy)
            offset, bit = chance.randrange(file.stat().st_size), chance.randrange(8)
            flip(copy / "rocksdb" / file.name, offset, bit)
            fine, report = is_caught_or_harmless(fdb, copy, whole)
            assert fine, (seed, file.name, offset, bit, report)
            caught += not report.ok
            shutil.rmtree(copy)
    assert caught


@pytest.fixture
def crashed(fdb: Any, tmp_path: Path) -> tuple[Path, Pairs]:
    """A folder as a killed owner leaves it: commits in the log, no seal."""
    live, folder = tmp_path / "live", tmp_path / "db"
    database = fdb.open(str(live))
    for number in range(60):
        database[b"key%03d" % number] = b"v" * 50
    whole = [(pair.key, pair.value) for pair in database[b"":b"\xff"]]
    shutil.copytree(live, folder)
    embedded.close(database)
    return folder, whole


def test_a_changed_length_in_a_log_does_not_lose_commits_quietly(
    fdb: Any, tmp_path: Path, crashed: tuple[Path, Pairs]
) -> None:
    folder, whole = crashed
    assert check(folder).ok
    (log,) = (file for file in data_files(folder) if file.suffix == ".log")
    at, offsets, content = 0, [], log.read_bytes()
    while at < len(content):
        offsets.append(at)
        at += 7 + int.from_bytes(content[at + 4 : at + 6], "little")
    assert len(offsets) > 60
    for number, offset in enumerate(offsets[::4]):
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        flip(copy / "rocksdb" / log.name, offset + 4 + number % 2, number % 8)
        fine, report = is_caught_or_harmless(fdb, copy, whole)
        assert fine, (offset, report)
        assert not report.ok
        shutil.rmtree(copy)


def test_a_changed_length_in_a_manifest_is_damage_and_not_an_endless_opening(
    fdb: Any, tmp_path: Path, crashed: tuple[Path, Pairs]
) -> None:
    folder, _ = crashed
    (manifest,) = (file for file in data_files(folder) if file.name.startswith("MANIFEST"))
    length = int.from_bytes(manifest.read_bytes()[4:6], "little")
    second = 7 + length
    flip(manifest, second + 5, 2)
    with pytest.raises(embedded.FolderDamagedError, match=r"MANIFEST-\d+ is damaged at byte \d+"):
        fdb.open(str(folder))
    assert "length of a record" in check(folder).problems[0]
    assert tmp_path in folder.parents


def test_a_torn_last_record_is_what_a_crash_leaves_and_no_damage(
    fdb: Any, crashed: tuple[Path, Pairs]
) -> None:
    folder, whole = crashed
    (log,) = (file for file in data_files(folder) if file.suffix == ".log")
    content = log.read_bytes()
    log.write_bytes(content[:-3])
    assert find_damage(folder / "rocksdb") is None
    assert read(fdb, folder) == whole[:-1]


def test_a_live_database_can_be_checked(fdb: Any, folder: Path) -> None:
    database = fdb.open(str(folder))
    for number in range(50):
        database[b"%d" % number] = b"v" * 100
    report = check(folder)
    database[b"after"] = b"still writable"
    assert report.ok
    assert not report.sealed
    assert {family.name: family.keys for family in report.families}["default"] >= 50
    embedded.close(database)
    assert check(folder).sealed


def test_a_folder_without_a_database_is_said(tmp_path: Path) -> None:
    assert "no database" in check(tmp_path).problems[0]


def test_a_damaged_folder_is_named_with_what_to_do(fdb: Any, folder: Path) -> None:
    build(fdb, folder)
    (folder / "rocksdb" / "CURRENT").write_text("MANIFEST-999999\n")
    with pytest.raises(embedded.FolderDamagedError, match="restore it from a backup") as caught:
        fdb.open(str(folder))
    assert caught.value.folder == folder
    assert "CURRENT" in caught.value.detail
