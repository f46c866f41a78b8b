# SPDX-License-Identifier: Apache-2.0
"""Only the command line prints."""

from __future__ import annotations

from tests.house_rules.rules.printing import Printing
from tests.unit.house_rules.conftest import BrokenLines


def test_a_print_in_a_room_is_caught(broken_lines: BrokenLines) -> None:
    text = """
    def record() -> None:
        print("recorded")
    """
    assert broken_lines(Printing(), "services/enchanted/history/service.py", text) == [3]


def test_the_command_line_and_tests_may_print(broken_lines: BrokenLines) -> None:
    assert broken_lines(Printing(), "services/enchanted/cli/main.py", "print(1)") == []
    assert broken_lines(Printing(), "tests/benchmarks/test_commit.py", "print(1)") == []


def test_the_method_of_a_console_is_spared(broken_lines: BrokenLines) -> None:
    assert broken_lines(Printing(), "services/enchanted/history/service.py", "console.print(1)") == []
