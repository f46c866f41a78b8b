# SPDX-License-Identifier: Apache-2.0
"""The playbook with the real pyupgrade and ruff: what it changes, why, and what it leaves as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enchanted.swarm import modernize
from enchanted.swarm.edits import Edit, apply
from enchanted.swarm.hunks import Hunk, RewriteTrace
from enchanted.swarm.model import Check, ModulePath, PythonVersion, ToolError
from enchanted.swarm.modernize import (
    PARTS_MAX,
    Proposal,
    describe,
    find,
    is_preserving,
    parses,
    propose,
    tidy_imports,
)
from enchanted.swarm.rules import PYUPGRADE, RUFF_RULES, Trust
from enchanted.swarm.static_checks import check_lint, check_syntax
from enchanted.swarm.tools import Tools

pytestmark = pytest.mark.feature("E-07")

PATH = ModulePath("shop/basket.py")
TOOLS = Tools.installed()
PY39, PY310 = PythonVersion(3, 9), PythonVersion(3, 10)

OLD = b"""# -*- coding: utf-8 -*-
import os
from typing import Dict, Optional


class Basket(object):
    def __init__(self, fruits=None):
        super(Basket, self).__init__()
        self.fruits = fruits or []

    def find(self, name: str) -> Optional[str]:
        return "%s %s" % (name, self.fruits)

    def counts(self) -> Dict[str, int]:
        return dict((fruit, 1) for fruit in self.fruits)
"""
NEW_39 = b"""from typing import Optional


class Basket:
    def __init__(self, fruits=None):
        super().__init__()
        self.fruits = fruits or []

    def find(self, name: str) -> Optional[str]:
        return f"{name} {self.fruits}"

    def counts(self) -> dict[str, int]:
        return dict.fromkeys(self.fruits, 1)
"""


async def modernised(source: bytes, target: PythonVersion = PY310, path: str = PATH) -> Proposal:
    proposal = await propose(ModulePath(path), source, target, TOOLS)
    assert apply(source, proposal.edit) == proposal.result
    return proposal


async def test_old_idioms_give_way_to_what_the_target_version_knows() -> None:
    assert (await modernised(OLD, PY39)).result == NEW_39


async def test_a_newer_target_allows_more() -> None:
    result = (await modernised(OLD, PY310)).result
    assert b"-> str | None:" in result
    assert b"typing" not in result


async def test_every_part_names_the_rules_that_caused_it() -> None:
    proposal = await modernised(OLD)
    rules = {part.start_line: part.rules for part in proposal.edit.parts}
    assert rules == {
        1: ("UP009",),
        2: ("F401",),
        6: ("UP004",),
        8: ("UP008",),
        11: ("UP045",),
        12: ("UP032", "pyupgrade"),
        14: ("UP006",),
        15: ("C420", "pyupgrade"),
    }


async def test_the_expectation_is_that_of_the_edit() -> None:
    proposal = await modernised(OLD)
    assert proposal.expectation.parts == len(proposal.edit.parts)
    assert proposal.expectation.tests_keep_passing
    assert not proposal.expectation.behaviour_preserving
    assert (await modernised(b"class A(object):\n    pass\n")).expectation.behaviour_preserving


async def test_a_modern_module_is_left_as_it_is() -> None:
    proposal = await modernised(NEW_39, PY39)
    assert proposal.edit.parts == ()
    assert proposal.result == NEW_39


async def test_modernising_twice_changes_nothing_more() -> None:
    once = (await modernised(OLD)).result
    assert (await modernised(once)).edit.parts == ()


@pytest.mark.parametrize("ending", [b"\r\n", b"\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [b"", b"\n"])
async def test_line_endings_mark_and_last_line_survive(ending: bytes, mark: bytes, last: bytes) -> None:
    source = mark + OLD.removesuffix(b"\n").replace(b"\n", ending) + last
    proposal = await modernised(source)
    plain = proposal.result.removeprefix(mark)
    assert proposal.result.startswith(mark)
    assert not plain.startswith(b"\xef\xbb\xbf")
    # The last line came without the file's ending, so only its own counts besides.
    assert plain.count(b"\n") == plain.count(ending) + (last == b"\n" != ending)
    assert plain.endswith(b"1)" + last)


async def test_any_subset_of_parts_keeps_the_mark_at_the_start() -> None:
    source = b"\xef\xbb\xbf" + OLD
    edit = (await modernised(source)).edit
    for part in edit.parts:
        text = apply(source, edit, [part])
        assert text.startswith(b"\xef\xbb\xbf")
        assert text.count(b"\xef\xbb\xbf") == 1


async def test_imports_that_only_type_comments_use_stay() -> None:
    source = b"from typing import List, Dict\nx = []  # type: List[int]\ny = 1  # type: ignore\n"
    assert (await modernised(source)).result == source.replace(b", Dict", b"")


async def test_reexports_of_a_package_stay() -> None:
    source = b"from .basket import Basket\n"
    assert (await modernised(source, path="shop/__init__.py")).edit.parts == ()


async def test_a_line_with_noqa_stays() -> None:
    source = b"import os  # noqa: F401\n\n\nclass A(object):  # noqa: UP004\n    '''A.'''\n"
    proposal = await modernised(source)
    assert b"import os  # noqa: F401" in proposal.result


async def test_code_that_opposes_removal_of_blank_lines_keeps_its_strings() -> None:
    source = b'import os\n\n\nx = """\n\n\n\n"""\n'
    assert (await modernised(source)).result == b'\n\nx = """\n\n\n\n"""\n'


async def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ToolError, match="not UTF-8"):
        await propose(PATH, b"x = '\xff'", PY310, TOOLS)


async def test_a_project_for_python_2_is_refused_with_what_to_do() -> None:
    with pytest.raises(ToolError, match="choose a minimum version"):
        await propose(PATH, b"x = 1", PythonVersion(2, 7), TOOLS)


async def test_text_that_does_not_parse_is_left_as_it_is() -> None:
    proposal = await propose(PATH, b"import os\ndef (:\n", PY310, TOOLS)
    assert proposal.edit.parts == ()


async def test_a_tool_that_is_not_there_or_never_ends_is_a_tool_error(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text(f"#!{sys.executable}\nimport signal\nsignal.pause()\n")
    slow.chmod(0o755)
    with pytest.raises(ToolError, match="did not end in time"):
        await find(PATH, b"x = 1", PY310, Tools(slow, slow, call_wall_seconds=0.2))
    with pytest.raises(ToolError, match="could not be started"):
        await find(PATH, b"x = 1", PY310, Tools(tmp_path / "no", tmp_path / "no"))


async def test_a_step_that_fails_is_noted_and_the_others_go_on(tmp_path: Path) -> None:
    broken = Tools(tmp_path / "no-python", TOOLS.ruff)
    proposal = await propose(PATH, OLD, PY310, broken)
    assert proposal.notes == ("pyupgrade was skipped: the tool could not be started",)
    assert proposal.edit.parts


async def test_findings_count_what_each_rule_would_change() -> None:
    findings = {each.rule: each for each in await find(PATH, OLD, PY310, TOOLS)}
    assert findings["UP004"].lines == (6,)
    assert findings["UP006"].count == 1
    assert findings["F401"].lines == (2,)


async def test_tidying_only_removes_imports() -> None:
    source = b"import os\nfrom typing import Dict, Optional\n\n\nclass A(object):\n    x: Optional[int]\n"
    proposal = await tidy_imports(PATH, source, PY310, TOOLS)
    assert proposal.result == b"from typing import Optional\n\n\nclass A(object):\n    x: Optional[int]\n"


def test_every_rule_is_known_to_ruff_and_has_a_fix() -> None:
    output = subprocess.run(
        [TOOLS.ruff, "rule", "--all", "--output-format=json"], check=True, capture_output=True
    ).stdout
    known = {rule["code"]: rule for rule in json.loads(output)}
    for rule in RUFF_RULES:
        if rule is not PYUPGRADE:
            assert known[rule.code]["fix_availability"] in ("Always", "Sometimes")
            assert not known[rule.code]["preview"]
            assert "Removed" not in known[rule.code]["status"]


def test_rules_are_described_in_one_sentence() -> None:
    assert (
        describe(("UP004", "UP032"))
        == "Drop the needless object base class (UP004); use an f-string (UP032)."
    )


async def test_only_parts_that_no_program_can_observe_are_preserving() -> None:
    edit: Edit = (await modernised(OLD)).edit
    preserving = {part.start_line for part in edit.parts if is_preserving(part)}
    assert preserving == {1, 6, 8}


@pytest.mark.parametrize("code", ["FURB129", "SIM118", "PIE800", "SIM910", "UP024", "B009", "B010"])
def test_what_an_object_of_ones_own_can_notice_is_observable(code: str) -> None:
    (rule,) = (rule for rule in RUFF_RULES if rule.code == code)
    assert rule.trust is Trust.OBSERVABLE


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
async def test_an_edit_with_very_many_changes_has_them_joined_and_says_so(mark: bytes) -> None:
    source = mark + b"".join(
        b"class A%d(object):\n    x = 1\n\n\n" % number for number in range(PARTS_MAX + 1)
    )
    proposal = await modernised(source)
    assert len(proposal.edit.parts) <= PARTS_MAX
    assert b"object" not in proposal.result
    assert "changes were joined into" in proposal.notes[0]
    assert all(is_preserving(part) for part in proposal.edit.parts)


class _ThreadsOfComparison(RewriteTrace):
    """Remembers in which threads a rewriting was followed."""

    seen: ClassVar[set[int]] = set()

    def step(self, new_text: bytes, rule: str) -> None:
        self.seen.add(threading.get_ident())
        super().step(new_text, rule)

    def hunks(self) -> tuple[Hunk, ...]:
        self.seen.add(threading.get_ident())
        return super().hunks()


async def test_texts_are_compared_outside_the_loop_that_keeps_the_leases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(modernize, "RewriteTrace", _ThreadsOfComparison)
    await modernised(OLD)
    assert _ThreadsOfComparison.seen
    assert threading.get_ident() not in _ThreadsOfComparison.seen


_STATEMENTS = st.sampled_from(
    [
        "import os\n",
        "import io, sys\n",
        "from typing import List, Optional, Text\n",
        "x = set([1, 2])\n",
        "y: Optional[List[int]] = None\n",
        "z = '%s' % (x,)\n",
        "w = u'é {}'.format(z)\n",
        "class A(object):\n    pass\n",
        "def f(a: 'Optional[int]') -> Text:\n    '''Doc.'''\n    return str('')\n",
        "try:\n    pass\nexcept IOError:\n    pass\n",
        "\n",
        "\n\n\n",
        "# comment\n",
        "v = [\n    1,\n    2,\n]\n",
    ]
)


@settings(max_examples=15)
@given(st.lists(_STATEMENTS, max_size=12).map("".join))
async def test_every_result_parses_and_is_the_sum_of_its_parts(text: str) -> None:
    proposal = await modernised(text.encode())
    assert parses(proposal.result, PY310)
    assert proposal.notes == ()


async def test_syntax_of_a_newer_version_is_a_reason() -> None:
    (reason,) = check_syntax(PATH, b"match x:\n    case 1: pass\n", PY39)
    assert reason.check is Check.SYNTAX
    assert reason.subject == "shop/basket.py:2"
    assert check_syntax(PATH, b"match x:\n    case 1: pass\n", PY310) == ()


@pytest.mark.parametrize("source", [b"return 1\n", b"x = (\n", b"\0", b"(" * 5_000, b"x = '\xff'\n"])
def test_what_cannot_be_compiled_is_a_reason(source: bytes) -> None:
    assert check_syntax(PATH, source, PY310)


async def test_only_new_diagnostics_count() -> None:
    base = b"print(missing)\n"
    assert await check_lint(PATH, base, b"\nprint(missing)\n", PY310, TOOLS) == ()
    (reason,) = await check_lint(PATH, base, b"print(missing)\nprint(missing)\n", PY310, TOOLS)
    assert reason.subject == "shop/basket.py:2 F821"


async def test_an_import_without_use_is_untidy_and_not_wrong() -> None:
    assert await check_lint(PATH, b"", b"import os\n", PY310, TOOLS) == ()
