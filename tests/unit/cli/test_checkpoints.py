# SPDX-License-Identifier: Apache-2.0
"""This machine remembers the last checkpoint of each history."""

from __future__ import annotations

from pathlib import Path

import pytest

from enchanted.cli.checkpoints import SeenCheckpoints


@pytest.mark.feature("E-02")
def test_the_last_note_of_each_log_is_remembered(tmp_path: Path) -> None:
    seen = SeenCheckpoints(tmp_path)
    assert seen.read("prj_1") == ""
    seen.keep("prj_1", "note of 3\n")
    seen.keep("prj_2", "other\n")
    seen.keep("prj_1", "note of 5\n")
    assert SeenCheckpoints(tmp_path).read("prj_1") == "note of 5\n"
    assert SeenCheckpoints(tmp_path).read("prj_2") == "other\n"
    assert sorted(file.name for file in (tmp_path / "checkpoints").iterdir()) == ["prj_1.note", "prj_2.note"]


@pytest.mark.feature("E-02")
def test_a_log_cannot_name_a_path(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        SeenCheckpoints(tmp_path).keep("../../etc/x", "note")
