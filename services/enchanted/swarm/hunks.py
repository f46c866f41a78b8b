# SPDX-License-Identifier: Apache-2.0
"""Turn a chain of rewrites into hunks on the first text, each knowing which rewrites caused it.

Comparing only the first and the last text would show what changed but not why: a removed import and the
annotation that made it needless would both read "modernised". So every line carries, through each step, which
line of the first text it stands for and which rules touched it; deleted lines leave their mark in the gap
where they stood.

Neighbouring changes are separate hunks where a statement ends between them in both texts, so that one bad
line in a block of twenty can be left out alone.
"""

from __future__ import annotations

import io
import itertools
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from enchanted.swarm.edits import split_lines
from enchanted.swarm.line_diff import changes, common_lines


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines of the first text and what takes their place.

    Args:
        start: index of the first replaced line, from 0.
        end: index after the last replaced line; equal to `start` for an insertion.
        replacement: the new lines.
        rules: the rules that caused it, sorted.
    """

    start: int
    end: int
    replacement: bytes
    rules: tuple[str, ...]


@dataclass(slots=True)
class _Line:
    text: bytes
    origin: int | None
    """Index of the line of the first text that this one stands for, changed or not."""
    rules: frozenset[str] = frozenset()
    before: frozenset[str] = field(default_factory=frozenset)
    """Rules that deleted lines which stood just before this one."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """A change that is not divided further: lines of the first text and of the last, by index."""

    start: int
    end: int
    new_start: int
    new_end: int
    rules: frozenset[str]


class RewriteTrace:
    """Follows one text through a chain of rewrites."""

    def __init__(self, base: list[bytes], lines: list[_Line]) -> None:
        self._base = base
        self._lines = lines
        self._deleted: dict[int, frozenset[str]] = {}

    @classmethod
    def start(cls, base: bytes) -> Self:
        """Begin with the first text."""
        lines = split_lines(base)
        end_mark = _Line(b"", len(lines))
        return cls(lines, [*(_Line(text, index) for index, text in enumerate(lines)), end_mark])

    @property
    def text(self) -> bytes:
        """The text after the steps so far."""
        return b"".join(line.text for line in self._lines)

    def step(self, new_text: bytes, rule: str) -> None:
        """Record that `rule` rewrote the current text to `new_text`."""
        old = [line.text for line in self._lines[:-1]]
        new = split_lines(new_text)
        result: list[_Line] = []
        pending: frozenset[str] = frozenset()
        kept_from = 0
        for change in changes(old, new):
            pending = _keep(self._lines[kept_from : change.old_from], pending, result)
            touched = self._lines[change.old_from : change.old_to]
            if change.new_from == change.new_to:
                for line in touched:
                    if line.origin is not None:
                        self._deleted[line.origin] = line.rules | {rule}
                pending = pending.union({rule}, *(line.rules | line.before for line in touched))
            else:
                result.extend(_rewritten(touched, new[change.new_from : change.new_to], rule))
            kept_from = change.old_to
        pending = _keep(self._lines[kept_from:-1], pending, result)
        end_mark = self._lines[-1]
        end_mark.before |= pending
        self._lines = [*result, end_mark]

    def hunks(self) -> tuple[Hunk, ...]:
        """Return the hunks from the first text to the current one, in order; they do not overlap."""
        new = [line.text for line in self._lines]
        old_ends, new_ends = _statement_ends(self._base), _statement_ends(new)
        found: list[_Cell] = []
        for cell in self._cells():
            last = found[-1] if found else None
            if (
                last is None
                or self._are_distant(last, cell)
                or (last.end in old_ends and last.new_end in new_ends and self._are_apart(last, cell))
            ):
                found.append(cell)
            else:
                found[-1] = _Cell(last.start, cell.end, last.new_start, cell.new_end, last.rules | cell.rules)
        return tuple(hunk for cell in found if (hunk := _trimmed(self._base, new, cell)) is not None)

    @staticmethod
    def _are_distant(last: _Cell, cell: _Cell) -> bool:
        return last.end < cell.start or last.new_end < cell.new_start

    def _are_apart(self, last: _Cell, cell: _Cell) -> bool:
        """Whether two neighbouring changes of whole statements make sense one without the other."""
        if last.start == last.end or cell.start == cell.end or not self._base[cell.start].strip():
            return False
        both_delete = last.new_start == last.new_end and cell.new_start == cell.new_end
        # What one rule deleted in one go may be the lines of one block.
        return not (both_delete and last.rules == cell.rules)

    def _cells(self) -> Iterator[_Cell]:
        start = new_start = 0
        rules: frozenset[str] = frozenset()
        for index, line in enumerate(self._lines):
            rules |= line.before
            if line.origin is None:
                rules |= line.rules
                continue
            if new_start == index:
                for old in range(start, line.origin):
                    yield _Cell(old, old + 1, index, index, self._deleted.get(old, rules))
            else:
                yield _Cell(start, line.origin, new_start, index, rules)
            if line.origin < len(self._base) and line.text != self._base[line.origin]:
                yield _Cell(line.origin, line.origin + 1, index, index + 1, line.rules)
            start, new_start, rules = line.origin + 1, index + 1, frozenset()


def join_neighbours(base: bytes, hunks: Sequence[Hunk], count_max: int) -> tuple[Hunk, ...]:
    """Join neighbouring hunks, with the lines between them, until there are no more than a number of them.

    Args:
        base: the first text.
        hunks: in order, not overlapping.
        count_max: most hunks to return; at least one.
    """
    size = -(-len(hunks) // count_max)
    if size <= 1:
        return tuple(hunks)
    lines = split_lines(base)
    return tuple(_joined(lines, hunks[index : index + size]) for index in range(0, len(hunks), size))


def _joined(lines: list[bytes], hunks: Sequence[Hunk]) -> Hunk:
    pieces: list[bytes] = []
    position = hunks[0].start
    for hunk in hunks:
        pieces.extend(lines[position : hunk.start])
        pieces.append(hunk.replacement)
        position = hunk.end
    rules = {rule for hunk in hunks for rule in hunk.rules}
    return Hunk(hunks[0].start, position, b"".join(pieces), tuple(sorted(rules)))


def close_gaps(old: bytes, new: bytes) -> bytes:
    """Drop the surplus blank lines that deleting whole lines leaves behind.

    Two runs of blank lines that a deletion brings together become one, as long as the longer of the two;
    nothing else changes.

    Args:
        old: the text before the deletion.
        new: the text after it.
    """
    old_lines, new_lines = split_lines(old), split_lines(new)
    surplus: set[int] = set()
    for change in changes(old_lines, new_lines):
        seam = change.new_from
        if seam == change.new_to:
            above, below = (
                _blank_run(new_lines[index] for index in range(seam - 1, -1, -1)),
                _blank_run(new_lines[index] for index in range(seam, len(new_lines))),
            )
            surplus.update(range(seam, seam + min(above, below)))
    return b"".join(line for index, line in enumerate(new_lines) if index not in surplus)


def _keep(lines: list[_Line], pending: frozenset[str], result: list[_Line]) -> frozenset[str]:
    """Take equal lines over, the first with the marks of what was deleted before it; return what is left."""
    if not lines:
        return pending
    lines[0].before |= pending
    result.extend(lines)
    return frozenset()


def _rewritten(touched: list[_Line], new: list[bytes], rule: str) -> Iterator[_Line]:
    """New lines for old ones; as many for as many are taken to stand for each other one by one."""
    if len(touched) == len(new):
        for line, text in zip(touched, new, strict=True):
            yield _Line(text, line.origin, line.rules | {rule}, line.before)
        return
    rules = frozenset({rule}).union(*(line.rules | line.before for line in touched))
    for text in new:
        yield _Line(text, None, rules)


def _statement_ends(lines: list[bytes]) -> frozenset[int]:
    """Indexes of lines before which no statement is left open; empty for what is not Python."""
    inside: set[int] = set()
    first: int | None = None
    try:
        for token in tokenize.tokenize(io.BytesIO(b"".join(lines)).readline):
            if token.type == tokenize.NEWLINE and first is not None:
                inside.update(range(first, token.start[0]))
                first = None
            elif first is None and token.type not in _BETWEEN_STATEMENTS:
                first = token.start[0]
    except (tokenize.TokenError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(range(len(lines) + 1)) - inside


_BETWEEN_STATEMENTS = frozenset(
    {tokenize.ENCODING, tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


def _blank_run(lines: Iterator[bytes]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda line: not line.strip(), lines))


def _trimmed(base: list[bytes], new: list[bytes], cell: _Cell) -> Hunk | None:
    """Hunk without lines that are the same again after all steps; `None` when nothing is left."""
    before, after = base[cell.start : cell.end], new[cell.new_start : cell.new_end]
    head = common_lines(before, after)
    tail = common_lines(before[head:][::-1], after[head:][::-1])
    start, end = cell.start + head, cell.end - tail
    replacement = after[head : len(after) - tail]
    if start == end and not replacement:
        return None
    return Hunk(start, end, b"".join(replacement), tuple(sorted(cell.rules)))
