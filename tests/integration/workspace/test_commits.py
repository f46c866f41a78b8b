# SPDX-License-Identifier: Apache-2.0
"""Commits made here: only what was changed is new, only on what it was made for, one head at a time."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from enchanted.history import Place
from enchanted.workspace import (
    FileChange,
    HeadMovedError,
    InvalidPathError,
    NothingChangedError,
    PreparedCommit,
    StaleFileError,
    WorkspaceError,
    prepare_commit,
    records,
)
from enchanted.workspace.model import InvalidAuthorError
from tests.integration.workspace.scene import CODER, RunGit, Workspace, advance_and_tell, timeline_event


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


ONE = sha256(b"ONE = 1\n")
TOOL = sha256(b"#!/bin/sh\n")


async def prepare(
    workspace: Workspace, project_id: str, *changes: FileChange, author: str = CODER
) -> PreparedCommit:
    return await prepare_commit(
        workspace.keyspace,
        workspace.space,
        project_id,
        await workspace.head(project_id),
        changes,
        author=author,
        message="A change",
        now_us=workspace.clock(),
    )


@pytest.fixture
async def project_id(workspace: Workspace, repository: Path) -> str:
    return (await workspace.take(repository)).project.project_id


async def files_of(workspace: Workspace, project_id: str, at: str = "") -> dict[str, tuple[int, bytes]]:
    found: dict[str, tuple[int, bytes]] = {}
    path = ""
    async for piece in workspace.client().checkout(project_id, at):
        path = piece.path or path
        mode, data = found.get(path, (piece.mode, b""))
        found[path] = (mode, data + piece.data)
    return found


@pytest.mark.feature("E-01")
class TestPrepared:
    async def test_changed_new_and_removed_files_are_the_next_state_and_nothing_else_is(
        self, workspace: Workspace, project_id: str
    ) -> None:
        before = await files_of(workspace, project_id)
        await workspace.change(
            project_id,
            FileChange("src/one.py", b"ONE = 11\n", ONE),
            FileChange("src/tool.sh", b"#!/bin/bash\n", TOOL),
            FileChange("side.txt", None, sha256(b"side\n")),
            FileChange("deep/er/new file é", b"", ""),
        )
        expected = before | {
            "src/one.py": (0o100644, b"ONE = 11\n"),
            "src/tool.sh": (0o100755, b"#!/bin/bash\n"),
            "deep/er/new file é": (0o100644, b""),
        }
        del expected["side.txt"]
        assert await files_of(workspace, project_id) == expected
        assert before == await files_of(
            workspace, project_id, (await workspace.client().get_project(project_id)).imported_commit
        )

    async def test_the_commit_is_one_that_git_would_have_made(
        self, workspace: Workspace, project_id: str, repository: Path, git: RunGit
    ) -> None:
        prepared = await prepare(workspace, project_id, FileChange("src/one.py", b"ONE = 11\n", ONE))
        (repository / "src" / "one.py").write_bytes(b"ONE = 11\n")
        git(repository, "add", ".")
        assert git(repository, "write-tree") == prepared.head.tree
        date = f"{workspace.clock() // 10**6} +0000"
        git(repository, "config", "user.name", "Coder")
        made = git(
            repository,
            "hash-object",
            "-t",
            "commit",
            "--stdin",
            stdin=(
                f"tree {prepared.head.tree}\nparent {prepared.base.commit}\n"
                f"author {CODER} {date}\ncommitter {CODER} {date}\n\nA change\n"
            ).encode(),
        )
        assert made == prepared.head.commit

    async def test_the_same_again_is_the_same_commit(self, workspace: Workspace, project_id: str) -> None:
        change = FileChange("new", b"new\n", "")
        assert await prepare(workspace, project_id, change) == await prepare(workspace, project_id, change)

    async def test_nothing_moves_until_the_head_is_moved(self, workspace: Workspace, project_id: str) -> None:
        before = await workspace.head(project_id)
        await prepare(workspace, project_id, FileChange("new", b"new\n", ""))
        assert await workspace.head(project_id) == before

    async def test_a_folder_with_nothing_left_in_it_is_gone(
        self, workspace: Workspace, project_id: str
    ) -> None:
        files = await files_of(workspace, project_id)
        await workspace.change(
            project_id,
            *(
                FileChange(path, None, sha256(data))
                for path, (_, data) in files.items()
                if path.startswith("src/")
            ),
        )
        assert set(await files_of(workspace, project_id)) == {"README.md", "link", "side.txt"}

    async def test_everything_can_be_removed(self, workspace: Workspace, project_id: str) -> None:
        files = await files_of(workspace, project_id)
        await workspace.change(
            project_id, *(FileChange(path, None, sha256(data)) for path, (_, data) in files.items())
        )
        assert await files_of(workspace, project_id) == {}
        assert all(check.passed for check in await workspace.client().verify_project(project_id))

    async def test_a_file_can_become_a_folder_and_a_folder_a_file(
        self, workspace: Workspace, project_id: str
    ) -> None:
        await workspace.change(
            project_id,
            FileChange("side.txt", None, sha256(b"side\n")),
            FileChange("side.txt/inner", b"inner\n", ""),
        )
        await workspace.change(
            project_id,
            FileChange("side.txt/inner", None, sha256(b"inner\n")),
            FileChange("side.txt", b"file\n", ""),
        )
        assert (await files_of(workspace, project_id))["side.txt"] == (0o100644, b"file\n")


@pytest.mark.feature("E-01")
class TestRefused:
    @pytest.mark.parametrize(
        ("change", "error"),
        [
            (FileChange("src/one.py", b"x", sha256(b"other")), StaleFileError),
            (FileChange("src/one.py", b"x", ""), StaleFileError),
            (FileChange("src/one.py", None, sha256(b"other")), StaleFileError),
            (FileChange("absent", b"x", sha256(b"was there")), StaleFileError),
            (FileChange("absent", None, ""), StaleFileError),
            (FileChange("absent/below", None, sha256(b"")), StaleFileError),
            (FileChange("src", b"x", ""), InvalidPathError),
            (FileChange("src", None, ""), InvalidPathError),
            (FileChange("link", b"x", sha256(b"src/one.py")), InvalidPathError),
            (FileChange("link/x", b"x", ""), InvalidPathError),
            (FileChange("README.md/x", b"x", ""), InvalidPathError),
            (FileChange("../x", b"x", ""), InvalidPathError),
            (FileChange("/etc/passwd", b"x", ""), InvalidPathError),
            (FileChange("src/.git/config", b"x", ""), InvalidPathError),
            (FileChange("", b"x", ""), InvalidPathError),
            (FileChange("src/one.py", b"ONE = 1\n", ONE), NothingChangedError),
        ],
        ids=str,
    )
    async def test_what_was_made_for_something_else_or_leads_elsewhere(
        self, workspace: Workspace, project_id: str, change: FileChange, error: type[WorkspaceError]
    ) -> None:
        with pytest.raises(error):
            await prepare(workspace, project_id, change)

    async def test_a_path_given_twice(self, workspace: Workspace, project_id: str) -> None:
        with pytest.raises(InvalidPathError, match="twice"):
            await prepare(workspace, project_id, FileChange("a", b"1", ""), FileChange("a", b"2", ""))

    async def test_a_file_and_a_folder_of_one_name(self, workspace: Workspace, project_id: str) -> None:
        with pytest.raises(InvalidPathError):
            await prepare(workspace, project_id, FileChange("a", b"1", ""), FileChange("a/b", b"2", ""))

    async def test_no_change_at_all(self, workspace: Workspace, project_id: str) -> None:
        with pytest.raises(NothingChangedError):
            await prepare(workspace, project_id)

    async def test_an_author_that_would_forge_a_line(self, workspace: Workspace, project_id: str) -> None:
        with pytest.raises(InvalidAuthorError):
            await prepare(workspace, project_id, FileChange("a", b"1", ""), author="A <a@b>\nparent 0")


@pytest.mark.feature("E-01")
class TestHead:
    async def test_of_two_commits_on_one_base_one_moves_the_head_and_the_other_is_told(
        self, workspace: Workspace, project_id: str
    ) -> None:
        prepared = [await prepare(workspace, project_id, FileChange(name, b"x", "")) for name in ("a", "b")]
        moves = [
            workspace.keyspace.run(
                workspace.space,
                advance_and_tell,
                project_id,
                made,
                timeline_event(project_id, made, f"evt_{number}", workspace.clock()),
            )
            for number, made in enumerate(prepared)
        ]
        outcomes = await asyncio.gather(*moves, return_exceptions=True)
        won = [made for made, outcome in zip(prepared, outcomes, strict=True) if outcome is None]
        lost = [outcome for outcome in outcomes if outcome is not None]
        assert (await workspace.head(project_id)) == won[0].head
        assert [type(error) for error in lost] == [HeadMovedError]
        states = await workspace.keyspace.run(
            workspace.space, records.states, project_id, beyond=None, limit=10
        )
        assert len(states) == 2, "what lost left no state"

    async def test_a_base_with_the_same_tree_but_another_commit_is_another_base(
        self, workspace: Workspace, project_id: str
    ) -> None:
        stale = await prepare(workspace, project_id, FileChange("a", b"x", ""))
        await workspace.change(project_id, FileChange("b", b"x", ""))
        await workspace.change(project_id, FileChange("b", None, sha256(b"x")))
        assert (await workspace.head(project_id)).tree == stale.base.tree
        with pytest.raises(HeadMovedError):
            await workspace.keyspace.run(
                workspace.space,
                advance_and_tell,
                project_id,
                stale,
                timeline_event(project_id, stale, "evt_stale", workspace.clock()),
            )

    async def test_every_state_stands_where_its_transaction_was_committed(
        self, workspace: Workspace, project_id: str
    ) -> None:
        for number in range(3):
            await workspace.change(project_id, FileChange(f"file-{number}", b"x", ""))
        states = await workspace.keyspace.run(
            workspace.space, records.states, project_id, beyond=None, limit=10, newest_first=False
        )
        places = [state.place for state in states]
        assert places == sorted(places)
        assert all(isinstance(place, Place) for place in places)
        assert [state.previous_tree for state in states] == ["", *(state.head.tree for state in states[:-1])]
