# SPDX-License-Identifier: Apache-2.0
"""Patches, texts and templates as pages show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.gateway.rendering import (
    PATCH_LINES_MAX,
    SUMMARY_CHARACTERS_MAX,
    patch_files,
    short_time,
    shortened,
    templates,
)

PATCH = """\
diff --git a/src/a.py b/src/a.py
index 1..2 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,3 @@
 same
-- old
--- dashes
+new
\\ No newline at end of file
diff --git a/gone.py b/gone.py
deleted file mode 100644
--- a/gone.py
+++ /dev/null
@@ -1 +0,0 @@
-x
diff --git a/picture.png b/picture.png
Binary files differ
"""


@pytest.mark.feature("E-03")
def test_a_patch_is_split_by_file_and_its_lines_have_kinds() -> None:
    changed, gone, picture = patch_files(PATCH)
    assert (changed.path, gone.path, picture.path) == ("src/a.py", "gone.py", "picture.png")
    assert [line.kind for line in changed.lines] == [
        *("note", "note", "note", "note", "place", "same"),
        *("removed", "removed", "added", "note"),
    ]
    assert [line.kind for line in gone.lines][-2:] == ["place", "removed"]


@pytest.mark.feature("E-03")
def test_the_diff_of_one_file_needs_no_git_header() -> None:
    (file,) = patch_files("--- a/b c.py\t2026\n+++ b/b c.py\t2026\n@@ -1 +1 @@\n-x\n+y\n")
    assert file.path == "b c.py"
    assert [line.kind for line in file.lines] == ["note", "note", "place", "removed", "added"]


@pytest.mark.feature("E-03")
def test_nothing_changed_is_no_file() -> None:
    assert patch_files("") == ()


@pytest.mark.feature("E-03")
@given(st.text())
def test_no_line_of_any_text_is_lost_or_changed(text: str) -> None:
    shown = "\n".join(line.text for file in patch_files(text) for line in file.lines)
    assert shown in {text.rstrip("\n"), ""}
    assert bool(shown) == bool(text.strip("\n"))


@pytest.mark.feature("E-03")
def test_a_patch_without_end_is_cut() -> None:
    (file,) = patch_files("diff --git a/x b/x\n" + "+x\n" * (PATCH_LINES_MAX * 2))
    assert len(file.lines) == PATCH_LINES_MAX


@pytest.mark.feature("E-01")
def test_times_and_long_texts_are_made_short() -> None:
    assert short_time("2026-11-21T07:00:01.123Z") == "2026-11-21 07:00:01"
    assert shortened("short") == "short"
    assert len(shortened("x" * 1000)) == SUMMARY_CHARACTERS_MAX


@pytest.mark.feature("E-01")
def test_templates_escape_whatever_they_print() -> None:
    page = templates().get_template("problem.html")
    text = page.render(title="<script>", detail='"><img src=x>', hint="&")
    assert "<script>" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


@pytest.mark.feature("E-01")
def test_no_page_carries_script_or_style_of_its_own() -> None:
    environment = templates()
    loader = environment.loader
    assert loader is not None
    for name in environment.list_templates():
        source, _, _ = loader.get_source(environment, name)
        for word in ("<script", "<style", " style=", " onclick=", "javascript:", "|safe", "| safe"):
            assert word not in source, (name, word)
