# SPDX-License-Identifier: Apache-2.0
"""Which names, authors and paths are let in, and which never are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.workspace.model import (
    InvalidAuthorError,
    InvalidNameError,
    InvalidPathError,
    check_author,
    check_name,
    component_fault,
    path_components,
    shown,
)


@pytest.mark.feature("E-03")
class TestNames:
    @pytest.mark.parametrize("name", ["a", "sample", "0", "my.project_2-x", "a" * 63])
    def test_small_letters_digits_dots_dashes_and_underscores_are_a_name(self, name: str) -> None:
        check_name(name)

    @pytest.mark.parametrize(
        "name", ["", "A", "-a", ".a", "a b", "a/b", "a@b", "a" * 64, "a.git", "prj_1", "a\n", "ä"]
    )
    def test_anything_else_is_not(self, name: str) -> None:
        with pytest.raises(InvalidNameError):
            check_name(name)


@pytest.mark.feature("E-01")
class TestAuthors:
    def test_a_name_and_an_address_are_an_author(self) -> None:
        check_author("Coder <coder@enchanted.local>")

    @pytest.mark.parametrize(
        "author",
        ["", "Coder", "<a@b>", "Coder <>", "A <a@b>\ncommitter B <b@c>", "A <a@b> 1 +0000", "A <<a>"],
    )
    def test_what_could_forge_another_line_is_not(self, author: str) -> None:
        with pytest.raises(InvalidAuthorError):
            check_author(author)


@pytest.mark.feature("E-03")
class TestPaths:
    @pytest.mark.parametrize(
        "component",
        [
            b"",
            b".",
            b"..",
            b".git",
            b".GIT",
            b".Git",
            b".git.",
            b".git ",
            b".git. .",
            b"git~1",
            b"GIT~1",
            ".g\u200cit".encode(),
            "\ufeff.git".encode(),
            b"a/b",
            b"a\nb",
            b"a\x00b",
            b"\x7f",
            b"a" * 256,
        ],
    )
    def test_a_component_that_could_do_harm_has_a_fault(self, component: bytes) -> None:
        assert component_fault(component)

    @pytest.mark.parametrize(
        "component",
        [b"a", b".gitignore", b".github", b"...", b"git", b"\xff\xfe", b'"', b" a ", b"-rf", b"a" * 255],
    )
    def test_an_odd_but_harmless_one_has_none(self, component: bytes) -> None:
        assert component_fault(component) == ""

    @given(st.lists(st.sampled_from(["a", "b.py", "ä", "c d"]), min_size=1, max_size=6))
    def test_a_path_is_its_parts(self, parts: list[str]) -> None:
        assert [part.decode() for part in path_components("/".join(parts))] == parts

    @pytest.mark.parametrize(
        "path",
        ["", "/a", "a/", "a//b", "../a", "a/../b", "a/.git/config", "a\x00", "/".join("a" * 201), "\ud800"],
    )
    def test_a_path_that_leads_elsewhere_is_refused(self, path: str) -> None:
        with pytest.raises(InvalidPathError):
            path_components(path)

    @given(st.binary(max_size=300))
    def test_what_is_shown_of_a_name_is_one_line_of_text(self, name: bytes) -> None:
        assert shown(name).isprintable()
        assert len(shown(name)) <= 200
