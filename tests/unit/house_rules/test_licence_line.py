# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence first."""

from __future__ import annotations

from tests.house_rules.rules.licence_line import LicenceLine
from tests.unit.house_rules.conftest import BrokenLines

MODULE = "services/enchanted/jobs/model.py"
PROTO = "proto/enchanted/jobs/v1/jobs.proto"


def test_a_file_without_the_line_is_caught(broken_lines: BrokenLines) -> None:
    assert broken_lines(LicenceLine(), MODULE, '"""Docstring."""\n') == [1]
    assert broken_lines(LicenceLine(), MODULE, "") == [1]
    assert broken_lines(LicenceLine(), PROTO, 'syntax = "proto3";\n') == [1]


def test_a_licence_on_the_second_line_or_another_licence_is_caught(broken_lines: BrokenLines) -> None:
    assert broken_lines(LicenceLine(), MODULE, "#!python\n# SPDX-License-Identifier: Apache-2.0\n") == [1]
    assert broken_lines(LicenceLine(), MODULE, "# SPDX-License-Identifier: MIT\n") == [1]


def test_the_line_in_the_comment_style_of_the_file_is_spared(broken_lines: BrokenLines) -> None:
    assert broken_lines(LicenceLine(), MODULE, "# SPDX-License-Identifier: Apache-2.0\n") == []
    assert broken_lines(LicenceLine(), PROTO, "// SPDX-License-Identifier: Apache-2.0\n") == []
