# SPDX-License-Identifier: Apache-2.0
"""The playbook ``modernize``: what the Coder does to one module, without any model.

The rules of `enchanted.swarm.rules` are applied one after the other, each step kept only if the text still
parses for the target version, until nothing changes or three rounds have passed. What comes out is an edit
whose parts name the rules that caused them, and the expectation that the Critic will hold it to.

Text that is not UTF-8 is refused. A byte order mark is set aside and put back; line endings are whatever they
were.
"""

from __future__ import annotations

import ast
import asyncio
import codecs
import keyword
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from enchanted.swarm.edits import Edit, Expectation, Part, sha256_hex, split_lines
from enchanted.swarm.hunks import Hunk, RewriteTrace, close_gaps, join_neighbours
from enchanted.swarm.model import ModulePath, PartNumber, PythonVersion, ToolError
from enchanted.swarm.rules import PYUPGRADE, RUFF_RULES, Rule, Trust
from enchanted.swarm.tools import Tools
from enchanted.wording import counted

ROUNDS_MAX: Final = 3
PARTS_MAX: Final = 400
FINDING_LINES_MAX: Final = 20
RULES_TOLD_MAX: Final = 4
OLDEST_TARGET: Final = PythonVersion(3, 0)

_RULES: Final = {rule.code: rule for rule in RUFF_RULES}
_RUFF_CODES: Final = tuple(code for code in _RULES if code != PYUPGRADE.code)
_LAST: Final = "F401"
_TYPE_COMMENT: Final = re.compile(r"#\s*type:\s*(?!ignore\b)(.*)")
_NAME: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule would change in a module as it stands.

    Args:
        rule: its code.
        summary: what it does.
        count: how often.
        lines: where, the first twenty.
    """

    rule: str
    summary: str
    count: int
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """The Coder's answer for one module.

    Args:
        edit: the edit; without parts when there is nothing to do.
        result: the text with every part applied.
        expectation: what the Coder expects of it.
        notes: steps that were skipped, and why; empty as a rule.
    """

    edit: Edit
    result: bytes
    expectation: Expectation
    notes: tuple[str, ...]


async def find(path: ModulePath, source: bytes, target: PythonVersion, tools: Tools) -> tuple[Finding, ...]:
    """Say which rules have something to change, by ruff's diagnostics; pyupgrade is not asked.

    Args:
        path: the module.
        source: its bytes.
        target: lowest version it must run on.
        tools: pyupgrade and ruff.

    Raises:
        ToolError: the source is not UTF-8, the target is Python 2, or ruff failed.
    """
    text = _decoded(path, source, target)
    lines: dict[str, list[int]] = defaultdict(list)
    for diagnostic in await tools.diagnose(text, target, _RUFF_CODES, is_package=_is_package(path)):
        if diagnostic.has_safe_fix:
            lines[diagnostic.code].append(diagnostic.line)
    return tuple(
        Finding(code, _RULES[code].summary, len(lines[code]), tuple(lines[code][:FINDING_LINES_MAX]))
        for code in sorted(lines)
        if code in _RULES
    )


async def propose(path: ModulePath, source: bytes, target: PythonVersion, tools: Tools) -> Proposal:
    """Modernise one module.

    Args:
        path: the module.
        source: its bytes.
        target: lowest version it must run on.
        tools: pyupgrade and ruff.

    Raises:
        ToolError: the source is not UTF-8, the target is Python 2, or ruff cannot even diagnose it.
    """
    rewriting = _Rewriting(_decoded(path, source, target), target, tools, is_package=_is_package(path))
    for _ in range(ROUNDS_MAX):
        if not await rewriting.round():
            break
    return await asyncio.to_thread(_proposal, path, source, rewriting)


async def tidy_imports(path: ModulePath, source: bytes, target: PythonVersion, tools: Tools) -> Proposal:
    """Only remove imports that have lost their use.

    Args:
        path: the module.
        source: its bytes, after an edit of which parts were left out.
        target: lowest version it must run on.
        tools: pyupgrade and ruff.

    Raises:
        ToolError: the source is not UTF-8 or the target is Python 2.
    """
    rewriting = _Rewriting(_decoded(path, source, target), target, tools, is_package=_is_package(path))
    await rewriting.step(_RULES[_LAST])
    return await asyncio.to_thread(_proposal, path, source, rewriting)


def is_preserving(part: Part) -> bool:
    """Whether every rule behind a part is one that a program cannot observe; safe even without tests."""
    return all(rule in _RULES and _RULES[rule].trust is Trust.PRESERVING for rule in part.rules)


def parses(text: str | bytes, target: PythonVersion) -> bool:
    """Whether a text is Python that `target` reads, as far as this interpreter's grammar can tell."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text, feature_version=(target.major, target.minor))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


class _Rewriting:
    def __init__(self, text: str, target: PythonVersion, tools: Tools, *, is_package: bool) -> None:
        self._text = text
        self._target = target
        self._tools = tools
        self._is_package = is_package
        self.trace = RewriteTrace.start(text.encode("utf-8"))
        self.notes: list[str] = []

    async def round(self) -> bool:
        """Apply every rule that has something to do; tell whether anything changed."""
        before = self._text
        found = await self._tools.diagnose(self._text, self._target, _RUFF_CODES, is_package=self._is_package)
        wanted = {diagnostic.code for diagnostic in found if diagnostic.has_safe_fix}
        for rule in RUFF_RULES:
            if rule is PYUPGRADE or rule.code in wanted or (rule.code == _LAST and self._text != before):
                await self.step(rule)
        return self._text != before

    async def step(self, rule: Rule) -> None:
        """Apply one rule; a step that fails or does not parse is left out with a note."""
        try:
            if rule is PYUPGRADE:
                new = await self._tools.pyupgrade(self._text, self._target)
            else:
                new = await self._fixed(rule)
        except ToolError as error:
            self._note(f"{rule.code} was skipped: {error.text}")
            return
        # A large module takes seconds to compare, and the loop has leases to keep meanwhile.
        await asyncio.to_thread(self._take, new, rule)

    def _take(self, rewritten: str, rule: Rule) -> None:
        new = close_gaps(self._text.encode("utf-8"), rewritten.encode("utf-8")).decode("utf-8")
        if new == self._text:
            return
        if not parses(new, self._target):
            self._note(f"{rule.code} was skipped: its result does not parse for Python {self._target}")
            return
        self._text = new
        self.trace.step(new.encode("utf-8"), rule.code)

    async def _fixed(self, rule: Rule) -> str:
        """Apply one ruff rule; names that only type comments use count as used, which ruff does not see."""
        anchor = _type_comment_anchor(self._text) if rule.code == _LAST else ""
        fixed = await self._tools.fix(
            self._text + anchor, self._target, rule.code, is_package=self._is_package
        )
        if not fixed.endswith(anchor):
            raise ToolError("ruff rewrote the anchor of type comments", tool="ruff")
        return fixed.removesuffix(anchor)

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _decoded(path: ModulePath, source: bytes, target: PythonVersion) -> str:
    if target < OLDEST_TARGET:
        raise ToolError("the project supports Python 2; choose a minimum version to modernise it", path=path)
    try:
        return source.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolError("the module is not UTF-8 text", path=path) from error


def _is_package(path: ModulePath) -> bool:
    return path.rpartition("/")[2] == "__init__.py"


def _proposal(path: ModulePath, source: bytes, rewriting: _Rewriting) -> Proposal:
    mark = codecs.BOM_UTF8 if source.startswith(codecs.BOM_UTF8) else b""
    result = mark + rewriting.trace.text
    changes = rewriting.trace.hunks()
    hunks = join_neighbours(source.removeprefix(mark), changes, PARTS_MAX)
    joined = (
        f"{len(changes)} changes were joined into {len(hunks)} parts: a whole edit has {PARTS_MAX} at most"
    )
    notes = [*rewriting.notes, *([joined] if len(hunks) < len(changes) else [])]
    edit = Edit(
        path,
        sha256_hex(source),
        tuple(_part(number, hunk, source) for number, hunk in enumerate(hunks, start=1)),
    )
    return Proposal(edit, result, _expectation(edit, result), tuple(notes))


def _type_comment_anchor(text: str) -> str:
    """Write a last statement that uses every name in the text's type comments (PEP 484), if any."""
    names = {name for comment in _TYPE_COMMENT.findall(text) for name in _NAME.findall(comment)}
    used = sorted(name for name in names if not keyword.iskeyword(name))
    return f"\n({', '.join(used)},)\n" if used else ""


def _part(number: int, hunk: Hunk, source: bytes) -> Part:
    end, replacement = hunk.end, hunk.replacement
    if hunk.start == 0 and source.startswith(codecs.BOM_UTF8):
        # The mark starts the base's first line, so the hunk must hold that line and bring the mark along.
        if end == 0:
            replacement += split_lines(source)[0].removeprefix(codecs.BOM_UTF8)
            end = 1
        replacement = codecs.BOM_UTF8 + replacement
    return Part(
        number=PartNumber(number),
        start_line=hunk.start + 1,
        end_line=end,
        replacement=replacement,
        rules=hunk.rules,
        description=describe(hunk.rules),
    )


def describe(rules: tuple[str, ...]) -> str:
    """One sentence that says what some rules did."""
    summaries = "; ".join(f"{_RULES[rule].summary} ({rule})" for rule in rules)
    return f"{summaries[:1].upper()}{summaries[1:]}."


def tell(parts: Sequence[Part]) -> str:
    """What some parts do, their commonest rules first with their counts; without a full stop."""
    counts = Counter(rule for part in parts for rule in part.rules)
    codes = sorted(counts, key=lambda code: (-counts[code], code))
    told = "; ".join(f"{_RULES[code].summary} ({counts[code]})" for code in codes[:RULES_TOLD_MAX])
    more = f"; and {len(codes) - RULES_TOLD_MAX} rules more" if len(codes) > RULES_TOLD_MAX else ""
    return f"{told[:1].upper()}{told[1:]}{more}"


def _expectation(edit: Edit, result: bytes) -> Expectation:
    rationale = (
        f"{tell(edit.parts)}: {counted(len(edit.parts), 'part')} that no test should notice."
        if edit.parts
        else "Every rule of the playbook is already kept."
    )
    return Expectation(
        parts=len(edit.parts),
        result_sha256=sha256_hex(result),
        tests_keep_passing=True,
        no_new_lint=True,
        behaviour_preserving=all(is_preserving(part) for part in edit.parts),
        rationale=rationale,
    )
