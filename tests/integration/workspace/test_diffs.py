# SPDX-License-Identifier: Apache-2.0
"""A patch between any two states, applied by the real git, makes one of the other to the last byte."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enchanted.keyspace import FileKeyRing, FolderBlobStore, Keyspace, open_database
from enchanted.rpc import CallError
from enchanted.workspace import FileChange, diffs
from enchanted.workspace.diffs import diff
from enchanted.workspace.model import DiffTooLargeError, ObjectId, component_fault
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import (
    FileMode,
    GitObject,
    ObjectKind,
    TreeEntry,
    blob_sha256,
    object_id,
)
from enchanted.workspace.trees import EMPTY_TREE, EMPTY_TREE_ID, list_files, rewrite
from tests.integration.workspace.conftest import GIT_VARIABLES
from tests.integration.workspace.scene import OWNER, RunGit, Workspace


@dataclass(frozen=True)
class File:
    mode: int
    content: bytes


State = Mapping[tuple[bytes, ...], File]

NAMES = st.one_of(
    st.sampled_from([b"a", b"b", b"c.py", b"d e", b'"q"', b"\xe9", "\u00e9".encode(), b"-x", b"a\\b", b"%s"]),
    # Git's own patches of empty files whose names begin or end with a space cannot be applied.
    st.binary(min_size=1, max_size=4).filter(lambda name: not component_fault(name) and name == name.strip()),
)
LINES = st.sampled_from(
    [b"one", b"two", b"three", b"", b" ", b"\xff\xfe", b"--- a/a", b"+x", b"diff --git a/a b/a"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXTS = st.builds(
    lambda lines, last: b"".join(line + end for line, end in lines) + last,
    st.lists(st.tuples(LINES, ENDS), max_size=12),
    st.sampled_from([b"", b"no end"]),
)
CONTENTS = st.one_of(
    TEXTS, st.binary(max_size=64), st.just(b""), st.binary(min_size=1, max_size=8).map(lambda b: b"\0" + b)
)
FILES = st.one_of(
    st.builds(File, st.sampled_from([FileMode.FILE, FileMode.EXECUTABLE]), CONTENTS),
    # Of links that lead to something, `git apply` refuses to put a folder in their place.
    st.builds(File, st.just(FileMode.LINK), st.sampled_from([b"../out", b"/nowhere/x", b"x y"])),
)


def without_clashes(files: dict[tuple[bytes, ...], File]) -> dict[tuple[bytes, ...], File]:
    """A file cannot be a folder as well."""
    return {
        path: file
        for path, file in files.items()
        if not any(path[:end] in files for end in range(1, len(path)))
    }


STATES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(tuple), FILES, max_size=6).map(
    without_clashes
)


@st.composite
def changed_pairs(draw: st.DrawFn) -> tuple[State, State]:
    """Two states of which the second mostly comes from the first: edited, moved, removed, new."""
    old = draw(STATES)
    new = dict(draw(STATES)) if draw(st.booleans()) else {}
    for path, file in old.items():
        fate = draw(st.sampled_from(["kept", "edited", "moved", "removed", "mode"]))
        if fate == "kept":
            new[path] = file
        elif fate == "edited":
            new[path] = File(file.mode, file.content + draw(CONTENTS))
        elif fate == "moved":
            new[(*path[:-1], draw(NAMES))] = file
        elif fate == "mode" and file.mode != FileMode.LINK:
            new[path] = File(
                FileMode.FILE if file.mode == FileMode.EXECUTABLE else FileMode.EXECUTABLE, file.content
            )
    # A link's target cannot hold a NUL or be empty on a disk.
    linkable = {
        p: f for p, f in new.items() if f.mode != FileMode.LINK or (f.content and b"\0" not in f.content)
    }
    return old, without_clashes(linkable)


class Drawing:
    """States as stored trees, and as folders."""

    def __init__(self, folder: Path) -> None:
        self.keyspace = Keyspace(
            open_database("embedded:"), FileKeyRing(bytes(32)), FolderBlobStore(folder), os.urandom
        )
        self.store = ObjectStore(self.keyspace, asyncio.run(self.keyspace.space(OWNER)), "prj_drawn")
        self.store.write_ahead([(EMPTY_TREE_ID, EMPTY_TREE)])

    def tree(self, state: State) -> ObjectId:
        blobs = [
            (object_id(ObjectKind.BLOB, f.content), GitObject(ObjectKind.BLOB, f.content))
            for f in state.values()
        ]
        edits = {
            path: TreeEntry(path[-1], file.mode, blob, blob_sha256(file.content))
            for (path, file), (blob, _) in zip(state.items(), blobs, strict=True)
        }
        made = rewrite(self.store, EMPTY_TREE_ID, edits)
        self.store.write_ahead([*blobs, *made.objects.items()])
        return made.tree

    def patch(self, old: ObjectId, new: ObjectId) -> bytes:
        async def collect() -> bytes:
            return b"".join([piece async for piece in diff(self.store, old, new)])

        return asyncio.run(collect())


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drawing]:
    drawn = Drawing(tmp_path_factory.mktemp("blobs"))
    yield drawn
    asyncio.run(drawn.keyspace.close())


def write(folder: Path, state: State) -> None:
    for path, file in state.items():
        whole = Path(os.fsdecode(os.fsencode(folder) + b"/" + b"/".join(path)))
        whole.parent.mkdir(parents=True, exist_ok=True)
        if file.mode == FileMode.LINK:
            whole.symlink_to(os.fsdecode(file.content))
        else:
            whole.write_bytes(file.content)
            whole.chmod(0o755 if file.mode == FileMode.EXECUTABLE else 0o644)


def read(folder: Path) -> dict[tuple[bytes, ...], File]:
    state = {}
    for parent, folders, names in os.walk(os.fsencode(folder)):
        folders[:] = [name for name in folders if name != b".git"]
        for name in [*names, *(f for f in folders if Path(os.fsdecode(parent + b"/" + f)).is_symlink())]:
            whole = Path(os.fsdecode(parent + b"/" + name))
            path = tuple(os.fsencode(whole.relative_to(folder)).split(b"/"))
            if whole.is_symlink():
                target = os.readlink(whole)  # noqa: PTH115 - a Path would drop the slash at its end
                state[path] = File(FileMode.LINK, os.fsencode(target))
            else:
                executable = whole.stat().st_mode & 0o100
                state[path] = File(FileMode.EXECUTABLE if executable else FileMode.FILE, whole.read_bytes())
    return state


def apply(folder: Path, patch: bytes) -> None:
    """In a folder that is no repository, as a person does who has only the files."""
    finished = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"],
        cwd=folder,
        env=GIT_VARIABLES | {"GIT_CEILING_DIRECTORIES": str(folder.parent)},
        input=patch,
        capture_output=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr.decode("utf-8", "replace")


@pytest.mark.feature("E-03")
class TestAnyPair:
    @settings(max_examples=100)
    @given(pair=changed_pairs())
    def test_git_apply_makes_the_new_state_of_the_old(
        self, drawing: Drawing, pair: tuple[State, State]
    ) -> None:
        old, new = pair
        trees = drawing.tree(old), drawing.tree(new)
        patch = drawing.patch(*trees)
        assert (patch == b"") == (trees[0] == trees[1])
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), old)
            if patch:
                apply(Path(folder), patch)
            assert read(Path(folder)) == dict(new)

    @settings(max_examples=30)
    @given(state=STATES)
    def test_a_state_is_listed_as_it_was_drawn(self, drawing: Drawing, state: State) -> None:
        listed = {
            tuple(file.path.split(b"/")): (file.mode, file.object_id)
            for file in list_files(drawing.store, drawing.tree(state))
        }
        assert listed == {
            path: (file.mode, object_id(ObjectKind.BLOB, file.content)) for path, file in state.items()
        }


@pytest.mark.feature("E-03")
class TestBetweenMoments:
    async def patch(self, workspace: Workspace, *moments: str) -> bytes:
        return b"".join([piece async for piece in workspace.client().diff("sample", *moments)])

    async def test_unless_said_otherwise_it_is_from_the_import_to_now(
        self, workspace: Workspace, repository: Path, git: RunGit
    ) -> None:
        project = (await workspace.take(repository)).project
        assert await self.patch(workspace) == b""
        await workspace.change(project.project_id, FileChange("a", b"a\n", ""))
        await workspace.change(project.project_id, FileChange("b", b"b\n", ""))
        whole = await self.patch(workspace)
        assert whole == await self.patch(workspace, project.imported_commit, "now")
        git(repository, "apply", "--index", "-", stdin=whole)
        assert git(repository, "write-tree") == (await workspace.head(project.project_id)).tree

    async def test_it_can_lead_back(self, workspace: Workspace, repository: Path, git: RunGit) -> None:
        project = (await workspace.take(repository)).project
        await workspace.change(project.project_id, FileChange("a", b"a\n", ""))
        forth = await self.patch(workspace)
        back = await self.patch(workspace, "now", project.imported_commit)
        git(repository, "apply", "--index", "-", stdin=forth)
        git(repository, "apply", "--index", "-", stdin=back)
        assert git(repository, "write-tree") == project.imported_tree

    async def test_a_change_of_a_few_bytes_in_a_large_project_reads_little(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        folder = tmp_path / "sample"
        for number in range(60):
            (folder / f"folder-{number}").mkdir(parents=True)
            (folder / f"folder-{number}" / "file").write_text(f"{number}\n")
        project = (await workspace.take(folder)).project
        await workspace.change(project.project_id, FileChange("folder-7/new", b"new\n", ""))
        workspace.cache.__init__()  # type: ignore[misc]  # forget what was read
        await self.patch(workspace)
        opened = len(workspace.cache._objects)  # noqa: SLF001 - what was opened is what it costs
        assert opened == 5, "two tops, two folders, one file"

    async def test_attributes_in_the_project_do_not_change_the_patch(
        self, workspace: Workspace, repository: Path
    ) -> None:
        (repository / ".gitattributes").write_text("* -diff binary filter=x diff=x\n")
        project = (await workspace.take(repository)).project
        await workspace.change(project.project_id, FileChange("a", b"a\n", ""))
        assert b"+a\n" in await self.patch(workspace)

    async def test_too_much_for_one_patch_is_refused_with_what_to_do(
        self, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(diffs, "DIFF_BYTES_MAX", 1000)
        new = await asyncio.to_thread(drawing.tree, {(b"a",): File(FileMode.FILE, bytes(2000))})
        pieces: AsyncIterator[bytes] = diff(drawing.store, EMPTY_TREE_ID, new)
        with pytest.raises(DiffTooLargeError, match="clone"):
            [piece async for piece in pieces]

    async def test_a_moment_that_is_none_is_refused(self, workspace: Workspace, repository: Path) -> None:
        await workspace.take(repository)
        with pytest.raises(CallError):
            await self.patch(workspace, "yesterday")
