# SPDX-License-Identifier: Apache-2.0
"""Scratch copies: the tree's files with some changed, links as links, and no copy that fills the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enchanted.swarm import scratch
from enchanted.swarm.model import ModulePath, TreeError
from enchanted.swarm.scratch import copy_tree

pytestmark = pytest.mark.feature("E-07")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "p").mkdir(parents=True)
    (root / "p" / "a.py").write_text("old")
    (root / "b.txt").write_text("b")
    return root


def test_a_copy_has_the_changed_files_and_the_tree_does_not(tree: Path, tmp_path: Path) -> None:
    copy_tree(tree, tmp_path / "copy", {ModulePath("p/a.py"): b"new"})
    assert (tmp_path / "copy" / "p" / "a.py").read_text() == "new"
    assert (tmp_path / "copy" / "b.txt").read_text() == "b"
    assert (tree / "p" / "a.py").read_text() == "old"


def test_links_are_copied_as_links_and_odd_files_not_at_all(tree: Path, tmp_path: Path) -> None:
    (tree / "out").symlink_to("/etc")
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    copy_tree(tree, tmp_path / "copy", {})
    assert (tmp_path / "copy" / "out").readlink() == Path("/etc")
    assert (tmp_path / "copy" / "dangling").is_symlink()
    assert not (tmp_path / "copy" / "pipe").exists()


def test_repositories_and_environments_are_not_copied(tree: Path, tmp_path: Path) -> None:
    for name in (".git", ".venv"):
        (tree / name).mkdir()
    copy_tree(tree, tmp_path / "copy", {})
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["b.txt", "p"]


@pytest.mark.parametrize(("limit", "value"), [("TREE_BYTES_MAX", 3), ("TREE_FILES_MAX", 1)])
def test_a_tree_over_the_limits_is_refused_before_anything_is_copied(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(scratch, limit, value)
    with pytest.raises(TreeError, match="too large"):
        copy_tree(tree, tmp_path / "copy", {})
    assert not (tmp_path / "copy").exists()
