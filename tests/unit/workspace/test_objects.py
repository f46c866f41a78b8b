# SPDX-License-Identifier: Apache-2.0
"""Objects are Git's, byte for byte: compared with the git program and with dulwich."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from dulwich.objects import Blob, Commit, Tree
from hypothesis import given
from hypothesis import strategies as st

from enchanted.workspace.model import HostileTreeError, InvalidPackError, ObjectId, component_fault
from enchanted.workspace.objects import (
    FileMode,
    GitObject,
    ObjectKind,
    TreeEntry,
    blob_sha256,
    checked_tree,
    commit_links,
    make_commit,
    make_tree,
    object_id,
    parse_id,
    submodule_sha256,
    tree_entries,
    tree_sha256,
)

NAMES = st.binary(min_size=1, max_size=8).filter(lambda name: not component_fault(name))
ENTRIES = st.dictionaries(NAMES, st.sampled_from(sorted(FileMode)), max_size=8)


def entry(name: bytes, mode: int) -> TreeEntry:
    blob = GitObject(ObjectKind.BLOB, name)
    return TreeEntry(name, mode, object_id(blob.kind, blob.content), blob_sha256(name))


@pytest.mark.feature("X-02")
class TestNamesOfObjects:
    @given(st.binary(max_size=100))
    def test_a_blob_is_named_as_git_names_it(self, content: bytes) -> None:
        assert object_id(ObjectKind.BLOB, content).hex().encode() == Blob.from_string(content).id

    @given(ENTRIES)
    def test_a_tree_is_the_one_that_git_would_write(self, modes: dict[bytes, int]) -> None:
        reference = Tree()
        for name, mode in modes.items():
            reference.add(name, mode, Blob.from_string(name).id)
        made = make_tree(entry(name, mode) for name, mode in modes.items())
        assert made.content == reference.as_raw_string()
        assert {e.name: e for e in tree_entries(made)} == {n: entry(n, m) for n, m in modes.items()}

    def test_a_state_has_the_sha256_name_that_git_gives_the_same_files(self, tmp_path: Path) -> None:
        def git(*arguments: str) -> str:
            return subprocess.run(
                ["git", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
            ).stdout.strip()

        git("init", "--quiet", "--object-format=sha256")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "b").write_bytes(b"b\n")
        (tmp_path / "folder.txt").write_bytes(b"")
        (tmp_path / "a").symlink_to("folder/b")
        git("add", ".")
        below = make_tree(
            [TreeEntry(b"b", FileMode.FILE, object_id(ObjectKind.BLOB, b"b\n"), blob_sha256(b"b\n"))]
        )
        top = make_tree(
            [
                TreeEntry(
                    b"folder",
                    FileMode.TREE,
                    object_id(ObjectKind.TREE, below.content),
                    tree_sha256(tree_entries(below)),
                ),
                TreeEntry(b"folder.txt", FileMode.FILE, object_id(ObjectKind.BLOB, b""), blob_sha256(b"")),
                TreeEntry(
                    b"a", FileMode.LINK, object_id(ObjectKind.BLOB, b"folder/b"), blob_sha256(b"folder/b")
                ),
            ]
        )
        assert tree_sha256(tree_entries(top)).hex() == git("write-tree")


@pytest.mark.feature("X-02")
class TestCommits:
    def test_a_commit_is_read_by_others_as_it_was_meant(self) -> None:
        tree, parent = object_id(ObjectKind.TREE, b""), object_id(ObjectKind.BLOB, b"")
        made = make_commit(
            tree,
            [parent],
            author="A <a@b>",
            committer="B <b@c>",
            message="Why\n\nBecause ä.\n\n",
            time_us=5_999_999,
        )
        read = Commit.from_string(made.content)
        assert (read.tree, read.parents) == (tree.hex().encode(), [parent.hex().encode()])
        assert (read.author, read.committer) == (b"A <a@b>", b"B <b@c>")
        assert (read.author_time, read.author_timezone) == (5, 0)
        assert read.message == "Why\n\nBecause ä.\n".encode()
        read.check()

    def test_the_same_arguments_make_the_same_commit(self) -> None:
        arguments = {"author": "A <a@b>", "committer": "A <a@b>", "message": "m", "time_us": 1}
        tree = object_id(ObjectKind.TREE, b"")
        assert make_commit(tree, [], **arguments) == make_commit(tree, [], **arguments)  # type: ignore[arg-type]

    @given(st.lists(st.binary(min_size=20, max_size=20).map(ObjectId), max_size=4))
    def test_links_are_read_back(self, parents: list[ObjectId]) -> None:
        tree = ObjectId(b"t" * 20)
        made = make_commit(
            tree, parents, author="A <a@b>", committer="A <a@b>", message="parent " + "0" * 40, time_us=0
        )
        links = commit_links(made.content)
        assert (links.tree, links.parents) == (tree, tuple(parents))

    @pytest.mark.parametrize(
        "content", [b"", b"tree x\n", b"parent " + b"0" * 40, b"tree " + b"0" * 39 + b"g\n"]
    )
    def test_what_is_no_commit_is_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError, match=r"name of a Git object|hexadecimal"):
            commit_links(content)

    @pytest.mark.parametrize("digits", ["", "0" * 39, "0" * 41, "x" * 40, " " * 40, "0" * 38 + " 0"])
    def test_an_id_has_forty_digits(self, digits: str) -> None:
        with pytest.raises(ValueError, match=r"name of a Git object|hexadecimal"):
            parse_id(digits)


def line(name: bytes, mode: bytes = b"100644") -> bytes:
    return mode + b" " + name + b"\x00" + b"i" * 20


@pytest.mark.feature("E-03")
class TestTreesOfStrangers:
    @given(ENTRIES)
    def test_every_harmless_tree_is_taken(self, modes: dict[bytes, int]) -> None:
        made = make_tree(entry(name, mode) for name, mode in modes.items())
        assert [e.name for e in checked_tree(made.content)] == [e.name for e in tree_entries(made)]

    def test_modes_with_a_leading_zero_are_taken_as_git_takes_them(self) -> None:
        assert checked_tree(line(b"a", b"040000"))[0].is_tree

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (line(b".git"), "'.git'"),
            (line(b".GiT", b"40000"), "'.git'"),
            (line(b".."), "'..'"),
            (line(b""), "empty"),
            (line(b"a/b"), "'/'"),
            (line(b"a\tb"), "control character"),
            (line(b"a") + line(b"a"), "twice"),
            (line(b"a") + line(b"a", b"40000"), "twice"),
            (line(b"b") + line(b"a"), "order"),
            (line(b"a", b"100600"), "unknown mode"),
            (line(b"a", b"777"), "unknown mode"),
        ],
        ids=[
            "git",
            "git-case",
            "dots",
            "empty",
            "slash",
            "tab",
            "twice",
            "file-and-folder",
            "order",
            "600",
            "777",
        ],
    )
    def test_a_hostile_tree_is_refused_with_its_reason(self, content: bytes, reason: str) -> None:
        with pytest.raises(HostileTreeError, match=reason) as refused:
            checked_tree(content)
        assert refused.value.tree == object_id(ObjectKind.TREE, content).hex()

    @pytest.mark.parametrize("content", [b"x", line(b"a")[:-1], b"100644 a", b"99 a\x00" + b"i" * 20])
    def test_what_is_no_tree_is_refused(self, content: bytes) -> None:
        with pytest.raises(InvalidPackError):
            checked_tree(content)

    def test_a_stored_tree_without_all_its_sha256_names_is_refused(self) -> None:
        with pytest.raises(ValueError, match="SHA-256"):
            tree_entries(GitObject(ObjectKind.TREE, line(b"a"), b"short"))

    def test_a_submodule_stands_for_itself(self) -> None:
        assert submodule_sha256(ObjectId(b"i" * 20)) == b"i" * 20 + bytes(12)
