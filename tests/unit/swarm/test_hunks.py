# SPDX-License-Identifier: Apache-2.0
"""Hunks know which rewrites caused them, through any number of steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm.edits import split_lines
from enchanted.swarm.hunks import RewriteTrace, close_gaps, join_neighbours

pytestmark = pytest.mark.feature("E-07")

texts = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"\n"]), max_size=10).map(b"".join)


@given(texts, st.lists(texts, max_size=4))
def test_hunks_rebuild_the_last_text_from_the_first(base: bytes, steps: list[bytes]) -> None:
    trace = RewriteTrace.start(base)
    for number, text in enumerate(steps):
        trace.step(text, f"R{number}")
    lines = split_lines(base)
    for hunk in reversed(trace.hunks()):
        lines[hunk.start : hunk.end] = [hunk.replacement]
    assert b"".join(lines) == (steps[-1] if steps else base) == trace.text


@given(texts, st.lists(texts, min_size=1, max_size=4))
def test_every_hunk_names_a_rule(base: bytes, steps: list[bytes]) -> None:
    trace = RewriteTrace.start(base)
    for number, text in enumerate(steps):
        trace.step(text, f"R{number}")
    assert all(hunk.rules for hunk in trace.hunks())


def test_each_hunk_names_the_rules_that_touched_it_and_no_others() -> None:
    trace = RewriteTrace.start(b"one\nkeep\ntwo\nkeep\nthree\n")
    trace.step(b"ONE\nkeep\ntwo\nkeep\nTHREE\n", "upper")
    trace.step(b"ONE!\nkeep\nkeep\nTHREE\n", "rest")
    assert [(hunk.start, hunk.end, hunk.rules) for hunk in trace.hunks()] == [
        (0, 1, ("rest", "upper")),
        (2, 3, ("rest",)),
        (4, 5, ("upper",)),
    ]


def test_a_deletion_remembers_the_rule_that_rewrote_the_line_before() -> None:
    trace = RewriteTrace.start(b"a\nb\nc\n")
    trace.step(b"a\nB\nc\n", "first")
    trace.step(b"a\nc\n", "second")
    assert [(hunk.start, hunk.end, hunk.rules) for hunk in trace.hunks()] == [(1, 2, ("first", "second"))]


def test_neighbouring_statements_are_changed_apart() -> None:
    trace = RewriteTrace.start(b"a = 1\nb = 2\nc = 3\n")
    trace.step(b"a = 10\nb = 20\nc = 30\n", "tens")
    trace.step(b"a = 10\nb = 20\n", "drop")
    assert [(hunk.start, hunk.end, hunk.rules) for hunk in trace.hunks()] == [
        (0, 1, ("tens",)),
        (1, 2, ("tens",)),
        (2, 3, ("drop", "tens")),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"f(a,\n  b)\n", b"g(a,\n  c)\n"),
        (b"a = '''\nb\n'''\n", b"A = '''\nB\n'''\n"),
        (b"a = \\\n  b\n", b"A = \\\n  B\n"),
        (b"a = [\nb]\n", b"A = b\nB\n"),
        (b"not (python\nat all\n", b"NOT (python\nAT all\n"),
    ],
)
def test_one_statement_is_changed_whole(old: bytes, new: bytes) -> None:
    trace = RewriteTrace.start(old)
    trace.step(new, "R")
    assert len(trace.hunks()) == 1


def test_what_is_changed_and_changed_back_is_no_hunk() -> None:
    trace = RewriteTrace.start(b"a\nb\nc\n")
    trace.step(b"a\nX\nc\n", "there")
    trace.step(b"a\nb\nc\n", "back")
    assert trace.hunks() == ()


@pytest.mark.parametrize(
    ("old", "new", "closed"),
    [
        (b"doc\n\nimport a\n\n\nx\n", b"doc\n\n\n\nx\n", b"doc\n\n\nx\n"),
        (b"doc\n\nimport a\n\nx\n", b"doc\n\n\nx\n", b"doc\n\nx\n"),
        (b"import a\n\n\nx\n", b"\n\nx\n", b"\n\nx\n"),
        (b"a\n\n\n\nb\n", b"a\n\n\n\nb\n", b"a\n\n\n\nb\n"),
        (b"a\n\nb\n", b"a\n\nc\n", b"a\n\nc\n"),
    ],
)
def test_blank_lines_that_a_deletion_brings_together_become_one_run(
    old: bytes, new: bytes, closed: bytes
) -> None:
    assert close_gaps(old, new) == closed


@given(texts, texts, st.integers(1, 4))
def test_joined_hunks_are_few_and_give_the_same_text(base: bytes, new: bytes, count_max: int) -> None:
    trace = RewriteTrace.start(base)
    trace.step(new, "R")
    joined = join_neighbours(base, trace.hunks(), count_max)
    lines = split_lines(base)
    for hunk in reversed(joined):
        lines[hunk.start : hunk.end] = [hunk.replacement]
    assert b"".join(lines) == new
    assert len(joined) <= count_max


def test_joined_hunks_name_the_rules_of_all() -> None:
    trace = RewriteTrace.start(b"one\nkeep\ntwo\n")
    trace.step(b"ONE\nkeep\ntwo\n", "first")
    trace.step(b"ONE\nkeep\nTWO\n", "second")
    (hunk,) = join_neighbours(b"one\nkeep\ntwo\n", trace.hunks(), 1)
    assert hunk.rules == ("first", "second")
    assert hunk.replacement == b"ONE\nkeep\nTWO\n"
