# SPDX-License-Identifier: Apache-2.0
"""Compare texts line by line in nearly linear time.

difflib compares every line with every like line over and over, so a module of 200 KiB with a change in each
class takes it many seconds, and an agent that computes so long looks dead. Here lines that occur once in both
texts are anchors (the idea of Bram Cohen's patience diff), and difflib only sees short stretches between.
The comparison is exact in what it says: lines called equal are equal; only how few changes it finds is up to
the stretches.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

STRETCH_LINES_MAX: Final = 100
CONTEXT_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Match:
    """Lines that both texts share.

    Args:
        old: index of the first one in the old text.
        new: index of the first one in the new text.
        count: how many.
    """

    old: int
    new: int
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """Lines of the old text and the lines of the new one in their place, by index, ends exclusive."""

    old_from: int
    old_to: int
    new_from: int
    new_to: int


def changes(old: Sequence[bytes], new: Sequence[bytes]) -> list[Change]:
    """Return what differs, in order; between two changes there is at least one equal line.

    Args:
        old: lines of the one text.
        new: lines of the other.
    """
    found: list[Change] = []
    old_at = new_at = 0
    for match in [*_matches(old, new), Match(len(old), len(new), 0)]:
        if match.old > old_at or match.new > new_at:
            found.append(Change(old_at, match.old, new_at, match.new))
        old_at, new_at = match.old + match.count, match.new + match.count
    return found


def unified_hunks(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the lines of a unified diff without its file headers.

    Format: unified diff as of GNU diffutils.
    """
    for group in _groups(changes(old, new)):
        first, last = group[0], group[-1]
        before = min(CONTEXT_LINES, first.old_from)
        after = min(CONTEXT_LINES, len(old) - last.old_to)
        old_range = _range(first.old_from - before, last.old_to + after)
        new_range = _range(first.new_from - before, last.new_to + after)
        yield f"@@ -{old_range} +{new_range} @@\n".encode()
        position = first.old_from - before
        for change in group:
            yield from _marked(b" ", old[position : change.old_from])
            yield from _marked(b"-", old[change.old_from : change.old_to])
            yield from _marked(b"+", new[change.new_from : change.new_to])
            position = change.old_to
        yield from _marked(b" ", old[position : position + after])


def common_lines(first: Sequence[bytes], second: Sequence[bytes]) -> int:
    """Count the lines that both begin with."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _groups(found: Sequence[Change]) -> Iterator[list[Change]]:
    """Changes so close that their context would touch."""
    group: list[Change] = []
    for change in found:
        if group and change.old_from - group[-1].old_to > 2 * CONTEXT_LINES:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _range(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _marked(mark: bytes, lines: Sequence[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield mark + line if line.endswith(b"\n") else mark + line + b"\n\\ No newline at end of file\n"


def _matches(old: Sequence[bytes], new: Sequence[bytes]) -> Iterator[Match]:
    head = common_lines(old, new)
    tail = common_lines(old[head:][::-1], new[head:][::-1])
    old_end, new_end = len(old) - tail, len(new) - tail
    yield Match(0, 0, head)
    old_at = new_at = head
    anchors = _anchors(old[head:old_end], new[head:new_end]) if old_end - head > STRETCH_LINES_MAX else []
    for old_anchor, new_anchor in anchors:
        old_to, new_to = old_anchor + head, new_anchor + head
        yield from _stretches(old, new, Change(old_at, old_to, new_at, new_to))
        yield Match(old_to, new_to, 1)
        old_at, new_at = old_to + 1, new_to + 1
    yield from _stretches(old, new, Change(old_at, old_end, new_at, new_end))
    yield Match(old_end, new_end, tail)


def _anchors(old: Sequence[bytes], new: Sequence[bytes]) -> list[tuple[int, int]]:
    """Lines that occur once in both texts, the longest run of them that is in order in both."""
    old_counts, new_counts = Counter(old), Counter(new)
    new_index = {line: index for index, line in enumerate(new) if new_counts[line] == 1}
    pairs = [
        (index, new_index[line])
        for index, line in enumerate(old)
        if line in new_index and old_counts[line] == 1
    ]
    return _longest_rising(pairs)


def _longest_rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Patience sorting: the longest subsequence whose second members rise."""
    tops: list[int] = []
    top_pairs: list[int] = []
    below: list[int | None] = []
    for index, (_, value) in enumerate(pairs):
        pile = bisect_left(tops, value)
        below.append(top_pairs[pile - 1] if pile else None)
        tops[pile : pile + 1] = [value]
        top_pairs[pile : pile + 1] = [index]
    chain: list[tuple[int, int]] = []
    at = top_pairs[-1] if top_pairs else None
    while at is not None:
        chain.append(pairs[at])
        at = below[at]
    return chain[::-1]


def _stretches(old: Sequence[bytes], new: Sequence[bytes], gap: Change) -> Iterator[Match]:
    """Matches between two anchors, by difflib in short stretches."""
    old_at, new_at = gap.old_from, gap.new_from
    while old_at < gap.old_to and new_at < gap.new_to:
        old_part = old[old_at : min(gap.old_to, old_at + STRETCH_LINES_MAX)]
        new_part = new[new_at : min(gap.new_to, new_at + STRETCH_LINES_MAX)]
        is_last = old_at + len(old_part) == gap.old_to and new_at + len(new_part) == gap.new_to
        matcher = difflib.SequenceMatcher(None, old_part, new_part, autojunk=False)
        blocks = [Match(*block) for block in matcher.get_matching_blocks() if block.size]
        yield from (Match(old_at + each.old, new_at + each.new, each.count) for each in blocks)
        if is_last:
            return
        last = blocks[-1] if blocks else Match(0, 0, 0)
        # A stretch that matches only at its start would be compared over and over: at least half of it goes.
        half = STRETCH_LINES_MAX // 2
        is_far = max(last.old, last.new) + last.count >= half
        old_at += last.old + last.count if is_far else min(half, len(old_part))
        new_at += last.new + last.count if is_far else min(half, len(new_part))
