# SPDX-License-Identifier: Apache-2.0
"""Commits made here: a set of file changes, written ahead as objects, waiting for the head to move.

The transaction that moves a head must be small, so everything that is large is stored before it. Given the
same inputs the same commit comes out, byte for byte, so that a step that is repeated finds its own work.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from enchanted.keyspace import Keyspace, TenantSpace
from enchanted.workspace.model import (
    FileChange,
    Head,
    InvalidPathError,
    NothingChangedError,
    ObjectId,
    PreparedCommit,
    StaleFileError,
    check_author,
    path_components,
)
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import (
    FileMode,
    GitObject,
    ObjectKind,
    TreeEntry,
    blob_sha256,
    make_commit,
    object_id,
    parse_id,
    state_hash,
    tree_sha256,
)
from enchanted.workspace.trees import Path, find_entries, rewrite


async def prepare_commit(
    keyspace: Keyspace,
    space: TenantSpace,
    project_id: str,
    base: Head,
    changes: Sequence[FileChange],
    *,
    author: str,
    message: str,
    now_us: int,
) -> PreparedCommit:
    """Store the objects of a commit, in transactions of their own; the head stays where it is.

    Args:
        keyspace: Runs the transactions.
        space: The tenant's space.
        project_id: The project.
        base: The state that the changes were made on, and the commit's parent.
        changes: What becomes of which files; a changed file keeps its mode, a new one is an ordinary file.
        author: ``Name <address>``, also the committer.
        message: The commit's message.
        now_us: The commit's date, UTC microseconds.

    Raises:
        InvalidPathError: If a path is hostile, given twice, or leads through a file, link or submodule.
        StaleFileError: If a file is not what the change was made for.
        NothingChangedError: If every file stays as it is.
        InvalidAuthorError: If the author cannot stand in a commit.
        StoredStateBrokenError: If what is needed of the base is missing or does not open.
    """
    check_author(author)
    by_path = _by_path(changes)
    store = ObjectStore(keyspace, space, project_id)
    return await asyncio.to_thread(_prepare, store, base, by_path, author, message, now_us)


def _prepare(
    store: ObjectStore, base: Head, by_path: Mapping[Path, FileChange], author: str, message: str, now_us: int
) -> PreparedCommit:
    base_tree = parse_id(base.tree)
    found = find_entries(store, base_tree, tuple(by_path))
    # A file may take the place of a folder whose files the same commit removes; rewriting sees to it.
    present = {
        path: None if entry and entry.is_tree and by_path[path].content is not None else entry
        for path, entry in found.items()
    }
    _check_fresh(store, by_path, present)
    blobs = {path: change.content for path, change in by_path.items() if change.content is not None}
    edits = {path: _entry(path, present[path], blobs.get(path)) for path in by_path}
    made = rewrite(store, base_tree, edits)
    if made.tree == base_tree:
        raise NothingChangedError
    commit = make_commit(
        made.tree, (parse_id(base.commit),), author=author, committer=author, message=message, time_us=now_us
    )
    commit_id = object_id(commit.kind, commit.content)
    store.write_ahead([*_blob_objects(blobs.values()), *made.objects.items(), (commit_id, commit)])
    return PreparedCommit(
        base,
        Head(commit_id.hex(), made.tree.hex()),
        now_us,
        state_hash(tree_sha256(store.read_tree(base_tree))),
        state_hash(made.sha256),
    )


def _by_path(changes: Iterable[FileChange]) -> dict[Path, FileChange]:
    by_path: dict[Path, FileChange] = {}
    for change in changes:
        if by_path.setdefault(path_components(change.path), change) is not change:
            raise InvalidPathError("it is given twice", change.path)
    return by_path


def _check_fresh(
    store: ObjectStore, by_path: Mapping[Path, FileChange], present: Mapping[Path, TreeEntry | None]
) -> None:
    for path, change in by_path.items():
        entry = present[path]
        if entry is not None and (entry.is_tree or entry.is_submodule):
            raise InvalidPathError("it is a folder or submodule", change.path)
        if entry is not None and entry.mode == FileMode.LINK and change.content is not None:
            raise InvalidPathError("it is a symbolic link", change.path)
        if (entry is None) != (change.previous_sha256 == "") or (entry is None and change.content is None):
            raise StaleFileError(change.path)
    ids = {path: entry.object_id for path, entry in present.items() if entry is not None}
    digests = {
        blob: hashlib.sha256(opened.content).hexdigest()
        for blob, opened in store.iterate(list(dict.fromkeys(ids.values())))
    }
    for path, blob in ids.items():
        if by_path[path].previous_sha256 != f"sha256:{digests[blob]}":
            raise StaleFileError(by_path[path].path)


def _entry(path: Path, present: TreeEntry | None, content: bytes | None) -> TreeEntry | None:
    if content is None:
        return None
    mode = present.mode if present else FileMode.FILE
    return TreeEntry(path[-1], mode, object_id(ObjectKind.BLOB, content), blob_sha256(content))


def _blob_objects(contents: Iterable[bytes]) -> list[tuple[ObjectId, GitObject]]:
    return [
        (object_id(ObjectKind.BLOB, content), GitObject(ObjectKind.BLOB, content)) for content in contents
    ]
