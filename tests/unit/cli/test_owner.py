# SPDX-License-Identifier: Apache-2.0
"""One process owns a folder, and its note is believed only while it lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from enchanted import owner
from enchanted.owner import FolderInUseError, FolderUnusableError, Owner

_HOLDER = """
import pathlib, sys
from enchanted import owner
with owner.lock_folder(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def _dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    return ended.pid


@pytest.mark.feature("K-01")
def test_a_note_is_private_and_read_back(tmp_path: Path) -> None:
    noted = Owner(os.getpid(), "unix:/x", "http://127.0.0.1:8080", "token")
    owner.write_note(tmp_path, noted)
    assert owner.read_note(tmp_path) == noted
    assert (tmp_path / owner.NOTE).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [owner.NOTE]
    owner.remove_note(tmp_path)
    owner.remove_note(tmp_path)
    assert owner.read_note(tmp_path) is None


@pytest.mark.feature("K-01")
def test_the_note_of_a_dead_process_is_not_believed(tmp_path: Path) -> None:
    owner.write_note(tmp_path, Owner(_dead_pid(), "unix:/x", "http://x", "token"))
    assert owner.read_note(tmp_path) is None


@pytest.mark.feature("K-01")
@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", json.dumps({"pid": "x", "grpc_address": "", "http_url": "", "token": ""}), "\0"],
    ids=["empty", "cut", "list", "nothing", "no_pid", "nul"],
)
def test_a_damaged_note_is_no_note(tmp_path: Path, text: str) -> None:
    (tmp_path / owner.NOTE).write_text(text)
    assert owner.read_note(tmp_path) is None


@pytest.mark.feature("K-01")
def test_a_locked_folder_names_the_process_that_has_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FolderInUseError) as refused, owner.lock_folder(tmp_path):
            pytest.fail("two owners")
        assert refused.value.pid == holder.pid
        assert str(holder.pid) in str(refused.value)
        holder.kill()
    with owner.lock_folder(tmp_path):
        assert (tmp_path / owner.LOCK).read_text() == f"{os.getpid()}\n"


@pytest.mark.feature("K-01")
def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    owner.open_folder(tmp_path / "a" / "data")
    assert (tmp_path / "a" / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.feature("K-01")
def test_a_folder_that_cannot_be_made_is_told_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusableError) as refused:
        owner.open_folder(tmp_path / "file" / "data")
    assert "ENCHANTED_DATA" in refused.value.hint
