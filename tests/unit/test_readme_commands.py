# SPDX-License-Identifier: Apache-2.0
"""The README names every command, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from enchanted.cli.reference import commands

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.feature("V-10")
def test_the_table_of_commands_is_the_commands_that_there_are() -> None:
    rows = [
        line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `enchanted ")
    ]
    named = {name for row in rows for name in re.findall(r"`enchanted ([a-z]+(?: [a-z]+)?)", row)}
    assert named == {path for path, _ in commands()}
