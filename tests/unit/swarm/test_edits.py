# SPDX-License-Identifier: Apache-2.0
"""An edit's parts: any subset applies to the base, and every byte outside them survives."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm.edits import (
    Edit,
    Part,
    apply,
    from_json_bytes,
    sha256_hex,
    split_lines,
    to_json_bytes,
    unified_diff,
)
from enchanted.swarm.hunks import RewriteTrace
from enchanted.swarm.model import EditError, ModulePath, PartNumber

pytestmark = pytest.mark.feature("E-07")

PATH = ModulePath("shop/basket.py")
_LINES = st.lists(
    st.sampled_from([b"a\n", b"b\n", b"\n", b"c\r\n", b"\xe9 \xff\n", b"\xef\xbb\xbfd\n"]), max_size=12
)
_LAST = st.sampled_from([b"", b"end", b"end\r", b"\xff"])
texts = st.builds(lambda lines, last: b"".join(lines) + last, _LINES, _LAST)


def edit_between(base: bytes, new: bytes) -> Edit:
    trace = RewriteTrace.start(base)
    trace.step(new, "R1")
    parts = tuple(
        Part(PartNumber(number), hunk.start + 1, hunk.end, hunk.replacement, hunk.rules, "Change it.")
        for number, hunk in enumerate(trace.hunks(), start=1)
    )
    return Edit(PATH, sha256_hex(base), parts)


@given(texts)
def test_lines_joined_give_the_text_back(data: bytes) -> None:
    assert b"".join(split_lines(data)) == data


@given(texts, texts)
def test_all_parts_give_the_new_text_and_none_the_base(base: bytes, new: bytes) -> None:
    edit = edit_between(base, new)
    assert apply(base, edit) == new
    assert apply(base, edit, ()) == base


@given(texts, texts, st.data())
def test_a_subset_changes_only_its_own_lines(base: bytes, new: bytes, data: st.DataObject) -> None:
    edit = edit_between(base, new)
    chosen = [part for part in edit.parts if data.draw(st.booleans())]
    expected = split_lines(base)
    for part in reversed(chosen):
        expected[part.start_line - 1 : part.end_line] = [part.replacement]
    assert apply(base, edit, reversed(chosen)) == b"".join(expected)


@given(texts, texts)
def test_parts_do_not_overlap(base: bytes, new: bytes) -> None:
    parts = edit_between(base, new).parts
    for one, other in pairwise(parts):
        assert one.end_line < other.start_line


@given(texts, texts)
def test_an_edit_survives_its_json(base: bytes, new: bytes) -> None:
    edit = edit_between(base, new)
    assert from_json_bytes(to_json_bytes(edit)) == edit
    assert to_json_bytes(from_json_bytes(to_json_bytes(edit))) == to_json_bytes(edit)


def test_an_edit_for_another_base_is_refused() -> None:
    edit = edit_between(b"a\n", b"b\n")
    with pytest.raises(EditError, match="not the one this edit was made for"):
        apply(b"c\n", edit)


def test_a_part_of_another_edit_is_refused() -> None:
    with pytest.raises(EditError, match="does not belong"):
        apply(b"a\n", edit_between(b"a\n", b"b\n"), edit_between(b"a\n", b"c\n").parts)


def test_a_part_outside_the_file_is_refused() -> None:
    part = Part(PartNumber(1), 5, 6, b"", (), "")
    with pytest.raises(EditError, match="outside the file"):
        apply(b"a\n", Edit(PATH, sha256_hex(b"a\n"), (part,)))


@pytest.mark.parametrize("ranges", [((1, 3), (3, 4)), ((2, 2), (1, 1)), ((2, 3), (3, 2))])
def test_parts_that_overlap_are_no_edit(ranges: tuple[tuple[int, int], ...]) -> None:
    parts = tuple(
        Part(PartNumber(number), start, end, b"", (), "")
        for number, (start, end) in enumerate(ranges, start=1)
    )
    with pytest.raises(EditError, match="overlap"):
        Edit(PATH, "", parts)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b'{"format":"other"}', b'{"format":1}', b"\xff", b"[" * 9999]
)
def test_bytes_that_are_no_edit_are_an_edit_error(data: bytes) -> None:
    with pytest.raises(EditError):
        from_json_bytes(data)


@pytest.mark.parametrize("name", ["plain.py", 'quo"te.py', "tab\tname.py", "ö.py", "with space.py"])
def test_git_takes_the_diff(tmp_path: Path, name: str) -> None:
    base, new = b"a\nb\r\nc\n\xff\nlast", b"A\nb\r\nc\n\xff\ninserted\nlast\n"
    (tmp_path / name).write_bytes(base)
    patch = unified_diff(ModulePath(name), base, new)
    subprocess.run(
        ["git", "apply", "-"],
        input=patch,
        cwd=tmp_path,
        check=True,
        env={"GIT_CEILING_DIRECTORIES": str(tmp_path.parent), "PATH": "/usr/bin:/bin:/usr/local/bin"},
    )
    assert (tmp_path / name).read_bytes() == new


def test_a_file_whose_text_looks_like_a_header_is_told_apart() -> None:
    patch = unified_diff(PATH, b"-- a\n", b"++ b\n")
    assert patch == b"--- a/shop/basket.py\n+++ b/shop/basket.py\n@@ -1 +1 @@\n--- a\n+++ b\n"


def test_no_change_is_no_diff() -> None:
    assert unified_diff(PATH, b"a", b"a") == b""
