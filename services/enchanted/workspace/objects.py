# SPDX-License-Identifier: Apache-2.0
r"""Git objects as bytes: names, trees, commits; what is read from strangers and what is made here. Pure.

Formats are Git's (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects): an object's name is the SHA-1 of
``<kind> <length>\0<content>``. SHA-1 is broken against whoever can choose both contents, so every tree is
also named by SHA-256: the name that the same tree has in a repository of Git's SHA-256 format
(https://git-scm.com/docs/hash-function-transition). One SHA-256 in an event thus stands for every byte of a
state. A submodule's commit is not here to be named anew; its SHA-1 stands for it, filled up with zeros.
"""

from __future__ import annotations

import enum
import hashlib
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dulwich.errors import ObjectFormatException
from dulwich.objects import parse_tree

from enchanted.workspace.model import HostileTreeError, InvalidPackError, ObjectId, component_fault, shown

SHA1_BYTES: Final = 20
SHA256_BYTES: Final = 32
_MICROSECONDS: Final = 1_000_000


class ObjectKind(enum.IntEnum):
    """Kinds of objects, by their numbers in packs."""

    COMMIT = 1
    TREE = 2
    BLOB = 3
    TAG = 4


_NAMES: Final = {kind: kind.name.lower().encode() for kind in ObjectKind}


class FileMode(enum.IntEnum):
    """What a tree's entry can be; Git knows no others."""

    TREE = 0o040000
    FILE = 0o100644
    EXECUTABLE = 0o100755
    GROUP_WRITABLE = 0o100664
    """Written by versions of Git before 2006; an ordinary file."""
    LINK = 0o120000
    SUBMODULE = 0o160000


_MODES: Final = frozenset(FileMode)


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object's content.

    Attributes:
        kind: What it is.
        content: The bytes that its name is the hash of.
        entries_sha256: For a tree, the SHA-256 names of its entries in order, 32 bytes each; else empty.
    """

    kind: ObjectKind
    content: bytes
    entries_sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One line of a tree.

    Attributes:
        name: One part of a path.
        mode: What it is.
        object_id: SHA-1 of the blob, tree or, for a submodule, commit.
        sha256: The SHA-256 name of the same.
    """

    name: bytes
    mode: int
    object_id: ObjectId
    sha256: bytes

    @property
    def is_tree(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_submodule(self) -> bool:
        """Whether it names a commit of another repository, whose content is not here."""
        return self.mode == FileMode.SUBMODULE


@dataclass(frozen=True, slots=True)
class CommitLinks:
    """What a commit names."""

    tree: ObjectId
    parents: tuple[ObjectId, ...]


def framed(kind: ObjectKind, content: bytes) -> bytes:
    """What an object's name is the hash of, and what stands deflated in a loose object's file."""
    return b"%s %d\x00%s" % (_NAMES[kind], len(content), content)


def object_id(kind: ObjectKind, content: bytes) -> ObjectId:
    """SHA-1 name of an object."""
    digest = hashlib.sha1(b"%s %d\x00" % (_NAMES[kind], len(content)), usedforsecurity=False)
    digest.update(content)
    return ObjectId(digest.digest())


def blob_sha256(content: bytes) -> bytes:
    """SHA-256 name of a blob."""
    digest = hashlib.sha256(b"blob %d\x00" % len(content))
    digest.update(content)
    return digest.digest()


def submodule_sha256(commit: ObjectId) -> bytes:
    """What stands for a submodule's commit in a tree's SHA-256 name."""
    return commit.ljust(SHA256_BYTES, b"\x00")


def tree_sha256(entries: Iterable[TreeEntry]) -> bytes:
    """SHA-256 name of a tree."""
    content = b"".join(b"%o %s\x00%s" % (entry.mode, entry.name, entry.sha256) for entry in entries)
    return hashlib.sha256(b"tree %d\x00%s" % (len(content), content)).digest()


def state_hash(tree: bytes) -> str:
    """A state as events name it, from its tree's SHA-256 name."""
    return f"sha256:{tree.hex()}"


def tree_entries(tree: GitObject) -> list[TreeEntry]:
    """Entries of a stored tree.

    Raises:
        ValueError: If it is no tree, or its parts do not fit together.
    """
    if tree.kind is not ObjectKind.TREE:
        raise ValueError("not a tree", tree.kind)
    lines = _tree_lines(tree.content)
    if len(tree.entries_sha256) != SHA256_BYTES * len(lines):
        raise ValueError("a tree without the SHA-256 names of its entries")
    names = (
        tree.entries_sha256[start : start + SHA256_BYTES]
        for start in range(0, len(tree.entries_sha256), SHA256_BYTES)
    )
    return [TreeEntry(*line, sha256) for line, sha256 in zip(lines, names, strict=True)]


def make_tree(entries: Iterable[TreeEntry]) -> GitObject:
    """A tree of these entries, in Git's order: by name, folders as if their names ended with ``/``."""
    ordered = sorted(entries, key=_order)
    content = b"".join(b"%o %s\x00%s" % (entry.mode, entry.name, entry.object_id) for entry in ordered)
    return GitObject(ObjectKind.TREE, content, b"".join(entry.sha256 for entry in ordered))


def checked_tree(content: bytes) -> list[TreeEntry]:
    """Entries of a tree from a stranger; their SHA-256 names are not known yet, and empty.

    Raises:
        HostileTreeError: If a name or mode must never reach a disk.
        InvalidPackError: If it is no tree.
    """
    try:
        entries = unnamed_entries(content)
    except ValueError as error:
        raise InvalidPackError("the pack holds a tree that cannot be read") from error
    tree = object_id(ObjectKind.TREE, content).hex()
    for entry in entries:
        fault = component_fault(entry.name)
        if entry.mode not in _MODES:
            fault = "an entry has an unknown mode"
        if fault:
            raise HostileTreeError(fault, tree, shown(entry.name))
    names = {entry.name for entry in entries}
    if len(names) != len(entries):
        raise HostileTreeError("a folder has the same name twice", tree, "")
    if entries != sorted(entries, key=_order):
        raise HostileTreeError("a folder's entries are not in Git's order", tree, "")
    return entries


def unnamed_entries(content: bytes) -> list[TreeEntry]:
    """Entries of a tree whose SHA-256 names are not known; they are left empty, and nothing is checked.

    Raises:
        ValueError: If it is no tree.
    """
    return [TreeEntry(*line, b"") for line in _tree_lines(content)]


def commit_links(content: bytes) -> CommitLinks:
    """Tree and parents of a commit.

    Raises:
        ValueError: If it is no commit.
    """
    tree = b""
    parents = []
    for line in content.partition(b"\n\n")[0].split(b"\n"):
        word, _, value = line.partition(b" ")
        if word == b"tree" and not tree:
            tree = value
        elif word == b"parent" and tree:
            parents.append(parse_id(value))
        else:
            break
    return CommitLinks(parse_id(tree), tuple(parents))


def make_commit(
    tree: ObjectId, parents: Sequence[ObjectId], *, author: str, committer: str, message: str, time_us: int
) -> GitObject:
    """A commit, dated in UTC to the second.

    Args:
        tree: The state.
        parents: The commits before.
        author: ``Name <address>``, checked by the caller.
        committer: The same.
        message: Any text.
        time_us: UTC microseconds.
    """
    seconds = time_us // _MICROSECONDS
    lines = [
        f"tree {tree.hex()}",
        *(f"parent {parent.hex()}" for parent in parents),
        f"author {author} {seconds} +0000",
        f"committer {committer} {seconds} +0000",
        "",
        message.replace("\x00", "").rstrip() + "\n",
    ]
    return GitObject(ObjectKind.COMMIT, "\n".join(lines).encode("utf-8", "replace"))


def parse_id(digits: bytes | str) -> ObjectId:
    """The 20 bytes of 40 hexadecimal digits.

    Raises:
        ValueError: If they are anything else.
    """
    text = digits if isinstance(digits, str) else digits.decode("ascii")
    raw = bytes.fromhex(text)
    if len(raw) != SHA1_BYTES or len(text) != 2 * SHA1_BYTES:
        raise ValueError("not the name of a Git object", text)
    return ObjectId(raw)


def _order(entry: TreeEntry) -> bytes:
    return entry.name + b"/" if entry.is_tree else entry.name


def _tree_lines(content: bytes) -> list[tuple[bytes, int, ObjectId]]:
    try:
        return [
            (name, mode, parse_id(digits)) for name, mode, digits in parse_tree(content, sha_len=SHA1_BYTES)
        ]
    except ObjectFormatException as error:
        raise ValueError("a tree that cannot be read") from error
