# SPDX-License-Identifier: Apache-2.0
"""Walks over stored trees, and trees with some files changed.

Trees are walked level by level, each level read in batches, and what two trees share is never opened: the
cost of a comparison or an edit is that of what differs. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from enchanted.workspace.model import FILES_MAX, InvalidPathError, ObjectId, PackTooLargeError, shown
from enchanted.workspace.object_store import READ_OBJECTS_MAX, ObjectStore
from enchanted.workspace.objects import (
    FileMode,
    GitObject,
    ObjectKind,
    TreeEntry,
    make_tree,
    object_id,
    tree_entries,
    tree_sha256,
)

Path: TypeAlias = tuple[bytes, ...]
Edits: TypeAlias = Mapping[Path, TreeEntry | None]
"""New entries by their paths; ``None`` removes."""

EMPTY_TREE: Final = make_tree(())
EMPTY_TREE_ID: Final = object_id(ObjectKind.TREE, b"")


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """A file of a tree by its whole path, parts separated by ``/``."""

    path: bytes
    mode: int
    object_id: ObjectId


@dataclass(slots=True)
class Difference:
    """What of two trees a comparison has to open.

    Attributes:
        trees: Those that differ.
        blobs: Those in them that differ.
        reshaped: Whether a folder stands where the other tree has something else.
    """

    trees: set[ObjectId] = field(default_factory=set)
    blobs: set[ObjectId] = field(default_factory=set)
    reshaped: bool = False


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A tree that was made from another.

    Attributes:
        tree: Its id.
        sha256: Its SHA-256 name.
        objects: The trees that are new, itself among them.
    """

    tree: ObjectId
    sha256: bytes
    objects: dict[ObjectId, GitObject]


def list_files(store: ObjectStore, tree: ObjectId) -> list[FileEntry]:
    """Every file, link and submodule below a tree, in the order of their paths.

    Raises:
        StoredStateBrokenError: If a tree is missing or does not open.
        PackTooLargeError: If there are more than a million.
    """
    files: list[FileEntry] = []
    folders = [(b"", tree)]
    while folders:
        level, folders = folders[:READ_OBJECTS_MAX], folders[READ_OBJECTS_MAX:]
        opened = store.read_trees(folder for _, folder in level)
        for prefix, folder in level:
            for entry in opened[folder]:
                path = prefix + entry.name
                if entry.is_tree:
                    folders.append((path + b"/", entry.object_id))
                else:
                    files.append(FileEntry(path, entry.mode, entry.object_id))
        if len(files) + len(folders) > FILES_MAX:
            raise PackTooLargeError("the project has more files than a checkout may have", FILES_MAX)
    return sorted(files)


def difference(store: ObjectStore, old: ObjectId, new: ObjectId) -> Difference:
    """What differs between two trees.

    Raises:
        StoredStateBrokenError: If a tree is missing or does not open.
    """
    found = Difference()
    pairs: list[tuple[ObjectId | None, ObjectId | None]] = [(old, new)] if old != new else []
    seen = set(pairs)
    while pairs:
        level, pairs = pairs[:READ_OBJECTS_MAX], pairs[READ_OBJECTS_MAX:]
        opened = store.read_trees(tree for pair in level for tree in pair if tree is not None)
        found.trees.update(opened)
        for pair in level:
            sides = [{e.name: e for e in opened[tree]} if tree else {} for tree in pair]
            for before, after in _unequal(*sides):
                for entry in (before, after):
                    if entry and not entry.is_tree and not entry.is_submodule:
                        found.blobs.add(entry.object_id)
                if before and after and before.is_tree != after.is_tree:
                    found.reshaped = True
                below = (_subtree(before), _subtree(after))
                if below != (None, None) and below not in seen:
                    seen.add(below)
                    pairs.append(below)
    return found


def added_objects(
    store: ObjectStore, pairs: Iterable[tuple[ObjectId | None, ObjectId]]
) -> tuple[list[ObjectId], list[ObjectId]]:
    """Trees and blobs that some trees have and their predecessors do not.

    Args:
        store: Where they are.
        pairs: Each an older tree, or ``None`` for nothing, and a newer one.

    Returns:
        Ids of trees and of blobs, each once.

    Raises:
        StoredStateBrokenError: If a tree is missing or does not open.
    """
    trees: dict[ObjectId, None] = {}
    blobs: dict[ObjectId, None] = {}
    pending = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]
    while pending:
        level, pending = pending[:READ_OBJECTS_MAX], pending[READ_OBJECTS_MAX:]
        level = [pair for pair in level if pair[1] not in trees]
        opened = store.read_trees(tree for pair in level for tree in pair if tree is not None)
        for old, new in level:
            trees[new] = None
            before = {entry.name: entry for entry in opened[old]} if old else {}
            there = {entry.object_id for entry in before.values()}
            for entry in opened[new]:
                if entry.object_id in there or entry.is_submodule:
                    continue
                if entry.is_tree:
                    pending.append((_subtree(before.get(entry.name)), entry.object_id))
                else:
                    blobs[entry.object_id] = None
    return list(trees), list(blobs)


def find_entries(store: ObjectStore, tree: ObjectId, paths: Sequence[Path]) -> dict[Path, TreeEntry | None]:
    """What stands at some paths; ``None`` where nothing does.

    Raises:
        StoredStateBrokenError: If a tree is missing or does not open.
    """
    opened: dict[ObjectId, dict[bytes, TreeEntry]] = {}

    def entries(folder: ObjectId) -> dict[bytes, TreeEntry]:
        if folder not in opened:
            opened[folder] = {entry.name: entry for entry in store.read_tree(folder)}
        return opened[folder]

    def find(path: Path) -> TreeEntry | None:
        found = entries(tree).get(path[0])
        for component in path[1:]:
            if found is None or not found.is_tree:
                return None
            found = entries(found.object_id).get(component)
        return found

    return {path: find(path) for path in paths}


def rewrite(store: ObjectStore, tree: ObjectId, edits: Edits) -> Rewritten:
    """A tree with some entries changed; only the folders on the way to them are made anew.

    Raises:
        InvalidPathError: If a path leads through a file, or to a folder that keeps other files.
        StoredStateBrokenError: If a tree is missing or does not open.
    """
    new: dict[ObjectId, GitObject] = {EMPTY_TREE_ID: EMPTY_TREE}
    root = _edited(store, tree, edits, new) or TreeEntry(b"", FileMode.TREE, EMPTY_TREE_ID, tree_sha256(()))
    return Rewritten(root.object_id, root.sha256, new)


def _edited(
    store: ObjectStore, tree: ObjectId | None, edits: Edits, new: dict[ObjectId, GitObject]
) -> TreeEntry | None:
    """The folder after its edits, without a name; ``None`` when nothing is left in it."""
    entries = {entry.name: entry for entry in store.read_tree(tree)} if tree else {}
    here = {path[0]: entry for path, entry in edits.items() if len(path) == 1}
    below: dict[bytes, dict[Path, TreeEntry | None]] = {}
    for path, entry in edits.items():
        if len(path) > 1:
            below.setdefault(path[0], {})[path[1:]] = entry
    for name in [name for name, entry in here.items() if entry is None]:
        entries.pop(name, None)
    for name, deeper in below.items():
        present = entries.pop(name, None)
        if present is not None and not present.is_tree:
            raise InvalidPathError("a part of it is a file", shown(name))
        made = _edited(store, present.object_id if present else None, deeper, new)
        if made is not None:
            entries[name] = TreeEntry(name, made.mode, made.object_id, made.sha256)
    for name, entry in here.items():
        if entry is not None:
            if name in entries and entries[name].is_tree:
                raise InvalidPathError("it is a folder", shown(name))
            entries[name] = entry
    return _kept(entries.values(), new) if entries else None


def _kept(entries: Iterable[TreeEntry], new: dict[ObjectId, GitObject]) -> TreeEntry:
    made = make_tree(entries)
    tree = object_id(made.kind, made.content)
    new[tree] = made
    return TreeEntry(b"", FileMode.TREE, tree, tree_sha256(tree_entries(made)))


def _unequal(
    old: Mapping[bytes, TreeEntry], new: Mapping[bytes, TreeEntry]
) -> Iterator[tuple[TreeEntry | None, TreeEntry | None]]:
    for name in old.keys() | new.keys():
        before, after = old.get(name), new.get(name)
        same = before and after and (before.mode, before.object_id) == (after.mode, after.object_id)
        if not same:
            yield before, after


def _subtree(entry: TreeEntry | None) -> ObjectId | None:
    return entry.object_id if entry and entry.is_tree else None
