# SPDX-License-Identifier: Apache-2.0
"""A workspace on the embedded engine in memory, and a repository to import."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enchanted.keyspace import FileKeyRing, FolderBlobStore, Keyspace, open_database
from tests.integration.workspace.scene import OWNER, RunGit, Workspace


@pytest.fixture
async def workspace(tmp_path: Path) -> AsyncIterator[Workspace]:
    blobs = FolderBlobStore(tmp_path / "blobs")
    keyspace = Keyspace(open_database("embedded:"), FileKeyRing(bytes(32)), blobs, os.urandom)
    yield Workspace(keyspace, await keyspace.space(OWNER), tmp_path)
    await keyspace.close()


GIT_VARIABLES = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "A person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0100",
    "GIT_COMMITTER_NAME": "A person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
    "GIT_COMMITTER_DATE": "1700000000 +0100",
    "GIT_ALLOW_PROTOCOL": "file:http",
}


@pytest.fixture
def git() -> RunGit:
    """Runs git as a person does, in a folder; returns what it writes."""

    def run(folder: Path, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
        finished = subprocess.run(
            ["git", *arguments], cwd=folder, env=GIT_VARIABLES, input=stdin, capture_output=True, check=False
        )
        said = (finished.stdout + finished.stderr).decode("utf-8", "surrogateescape")
        assert finished.returncode == 0 or not check, said
        return finished.stdout.decode("utf-8", "surrogateescape").strip("\n") if check else said

    return run


@pytest.fixture
def repository(tmp_path: Path, git: RunGit) -> Path:
    """A repository of three commits, one of them a merge's side."""
    folder = tmp_path / "sample"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "README.md").write_text("A sample.\n")
    (folder / "src").mkdir()
    (folder / "src" / "one.py").write_text("ONE = 1\n")
    (folder / "src" / "tool.sh").write_text("#!/bin/sh\n")
    (folder / "src" / "tool.sh").chmod(0o755)
    (folder / "link").symlink_to("src/one.py")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=First")
    git(folder, "checkout", "--quiet", "-b", "side")
    (folder / "side.txt").write_text("side\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=Side")
    git(folder, "checkout", "--quiet", "main")
    (folder / "src" / "two.py").write_text("TWO = 2\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=Second")
    git(folder, "merge", "--quiet", "--no-ff", "--message=Merge", "side")
    return folder
