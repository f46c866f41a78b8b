# SPDX-License-Identifier: Apache-2.0
"""Texts are compared exactly, and long ones without comparing every line with every other."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm.edits import split_lines, unified_diff
from enchanted.swarm.line_diff import STRETCH_LINES_MAX, Change, changes
from enchanted.swarm.model import ModulePath

pytestmark = pytest.mark.feature("E-07")

few_kinds = st.lists(st.sampled_from([b"a\n", b"b\n", b"\n"]), max_size=3 * STRETCH_LINES_MAX)
many_kinds = st.lists(
    st.integers(0, 300).map(lambda number: b"%d\n" % number), max_size=2 * STRETCH_LINES_MAX
)


@given(few_kinds | many_kinds, few_kinds | many_kinds)
def test_the_changes_make_the_new_text_from_the_old(old: list[bytes], new: list[bytes]) -> None:
    made = list(old)
    for change in reversed(changes(old, new)):
        made[change.old_from : change.old_to] = new[change.new_from : change.new_to]
    assert made == new


@given(few_kinds | many_kinds, few_kinds | many_kinds)
def test_changes_are_in_order_and_equal_lines_lie_between_them(old: list[bytes], new: list[bytes]) -> None:
    found = changes(old, new)
    for first, second in itertools.pairwise(found):
        assert first.old_to < second.old_from
        assert first.new_to < second.new_from
        assert old[first.old_to : second.old_from] == new[first.new_to : second.new_from]


def test_each_change_of_a_long_text_is_found_by_itself() -> None:
    old = [
        line for number in range(5_000) for line in (b"class A%d(object):\n" % number, b"    x = 1\n", b"\n")
    ]
    new = [line.replace(b"(object)", b"") for line in old]
    assert changes(old, new) == [Change(at, at + 1, at, at + 1) for at in range(0, len(old), 3)]


def test_a_text_that_repeats_itself_is_matched_too() -> None:
    old = [b"class A(object):\n", b"    pass\n"] * 2_000
    new = [line.replace(b"(object)", b"") for line in old]
    assert changes(old, new) == [Change(at, at + 1, at, at + 1) for at in range(0, len(old), 2)]


def test_a_patch_of_a_long_text_is_one_that_git_takes(tmp_path: Path) -> None:
    base = b"".join(b"class A%d(object):\n    x = 1\n\n\n%s" % (n, b"\n" * (n % 9)) for n in range(500))
    new = base.replace(b"(object)", b"").removesuffix(b"\n").replace(b"class A7:\n", b"")
    (tmp_path / "a.py").write_bytes(base)
    patch = unified_diff(ModulePath("a.py"), base, new)
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True)
    assert (tmp_path / "a.py").read_bytes() == new
    assert len(split_lines(patch)) < 2 * len(split_lines(base))
