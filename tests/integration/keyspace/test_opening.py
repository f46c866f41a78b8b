# SPDX-License-Identifier: Apache-2.0
"""A URL names the engine; whatever cannot be opened is one sentence that says what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from enchanted.keyspace import (
    FileKeyRing,
    FolderBlobStore,
    KeyFileError,
    Keyspace,
    StoreUnavailableError,
    open_database,
)
from enchanted.keyspace.database import close_database
from tests.integration.keyspace.conftest import LOCAL


@pytest.mark.feature("K-01")
def test_a_folder_keeps_what_was_committed(tmp_path: Path) -> None:
    url = f"embedded:{tmp_path / 'store'}"
    first = open_database(url)
    first[b"colour"] = b"green"
    close_database(first)
    second = open_database(url)
    assert bytes(second[b"colour"]) == b"green"
    close_database(second)


@pytest.mark.feature("E-17")
async def test_a_store_refuses_another_key_than_it_was_written_with(tmp_path: Path) -> None:
    url = f"embedded:{tmp_path / 'store'}"
    blobs = FolderBlobStore(tmp_path / "blobs")
    first = Keyspace(open_database(url), FileKeyRing(b"a" * 32), blobs, os.urandom)
    await first.space(LOCAL)
    await first.close()
    second = Keyspace(open_database(url), FileKeyRing(b"b" * 32), blobs, os.urandom)
    with pytest.raises(KeyFileError, match="put back a copy"):
        await second.space(LOCAL)
    await second.close()
    third = Keyspace(open_database(url), FileKeyRing(b"a" * 32), blobs, os.urandom)
    await third.space(LOCAL)
    await third.close()


@pytest.mark.feature("K-01")
def test_each_store_in_memory_is_a_new_one() -> None:
    first, second = open_database("embedded:"), open_database("embedded:")
    first[b"colour"] = b"green"
    assert second[b"colour"] is None


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("url", ["", "nonsense", "http://127.0.0.1/store", "/a/folder"])
def test_what_is_no_store_is_refused_with_what_would_be_one(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match=r"embedded:/folder or fdb:/path"):
        open_database(url)


@pytest.mark.feature("K-01")
def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(StoreUnavailableError, match="taken"):
        open_database(f"embedded:{taken}")


@pytest.mark.feature("K-01")
def test_a_cluster_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    # In a process of its own, because one process has one kind of engine.
    program = (
        "from enchanted.keyspace import StoreUnavailableError, open_database\n"
        "try:\n"
        f"    open_database('fdb:{tmp_path}/absent.cluster')\n"
        "except StoreUnavailableError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "the cluster cannot be opened" in ended.stdout
