# SPDX-License-Identifier: Apache-2.0
"""Throw-away copies of a tree, for tests to write into.

Tests write files, and a stranger's tests may write anything. They get a copy, never the tree that the next
agent reads; a copy that could fill the disk is refused before it is made. Links are copied as links and not
followed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from enchanted.swarm.model import ModulePath, TreeError

TREE_BYTES_MAX: Final = 512 * 1024 * 1024
TREE_FILES_MAX: Final = 100_000
_NOT_COPIED: Final = (".git", ".hg", ".svn", ".venv", "node_modules", "__pycache__", ".tox", ".nox")


def copy_tree(tree: Path, copy: Path, changed: Mapping[ModulePath, bytes]) -> None:
    """Copy a tree with some files changed.

    Blocking: call it in a worker thread where the loop must not wait.

    Args:
        tree: the tree to copy.
        copy: where to; must not exist.
        changed: new bytes of some of the tree's files.

    Raises:
        TreeError: the tree is larger than the limits.
    """
    _check_size(tree)
    shutil.copytree(tree, copy, symlinks=True, ignore=_ignored)
    for path, data in changed.items():
        (copy / path).write_bytes(data)


def _ignored(folder: str, names: list[str]) -> set[str]:
    """Names that are not copied: repositories and environments, and what is neither file, folder nor link."""
    odd = {name for name in names if not _is_plain(os.path.join(folder, name))}  # noqa: PTH118 - many, as text
    return odd.union(_NOT_COPIED).intersection(names)


def _is_plain(path: str) -> bool:
    return os.path.islink(path) or os.path.isfile(path) or os.path.isdir(path)  # noqa: PTH112, PTH113, PTH114 - as above


def _check_size(tree: Path) -> None:
    size = count = 0
    for folder, subfolders, files in os.walk(tree):
        subfolders[:] = [name for name in subfolders if name not in _NOT_COPIED]
        for name in files:
            count += 1
            size += (Path(folder) / name).lstat().st_size
        if size > TREE_BYTES_MAX or count > TREE_FILES_MAX:
            raise TreeError("the tree is too large to test a copy of it", bytes_max=TREE_BYTES_MAX)
