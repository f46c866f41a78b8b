# SPDX-License-Identifier: Apache-2.0
"""Small repositories, made by the real Git program without the settings of the person who runs the tests."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(folder: Path, *words: str) -> str:
    """Run Git as nobody in particular, and answer what it printed."""
    return subprocess.run(
        ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"},
    ).stdout


def commit(folder: Path, message: str) -> None:
    """Commit everything in the folder."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def make_repository(folder: Path) -> Path:
    """Two commits: a file, then another whose name and content are hostile to pages."""
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "src" / "basket.py").write_text("class Basket(object):\n    pass\n")
    commit(folder, "first")
    (folder / "src" / "<script>alert(1)<.py").write_text("x = '</pre><script>'\n")
    commit(folder, "second")
    return folder
