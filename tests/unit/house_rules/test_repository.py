# SPDX-License-Identifier: Apache-2.0
"""The rules are applied to the files that are ours, and what they find can be acted on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house_rules.__main__ import main
from tests.house_rules.repository import names, sources


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return the root of a repository with one sound room."""
    room = tmp_path / "services/enchanted/history"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text("# SPDX-License-Identifier: Apache-2.0\n")
    return tmp_path


def test_a_sound_repository_passes(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(repository) == 0
    assert capsys.readouterr().out == "House rules: all kept\n"


def test_a_breach_is_one_line_that_says_where_what_and_what_to_do_instead(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "# SPDX-License-Identifier: Apache-2.0\nprint(1)\n"
    (repository / "services/enchanted/history/service.py").write_text(text)
    assert main(repository) == 1
    assert capsys.readouterr().out.splitlines() == [
        (
            "services/enchanted/history/service.py:2: print-call print is called outside the command line"
            " — log it with structlog, or return it and let enchanted.cli show it"
        ),
        "House rules: 1 broken",
    ]


def test_fixtures_are_left_alone_and_generated_code_only_needs_its_licence(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixture = repository / "tests/fixtures/sample.py"
    generated = repository / "services/enchanted/generated/made.py"
    for path in (fixture, generated):
        path.parent.mkdir(parents=True)
        path.write_text("print(1)\n")
    assert main(repository) == 1
    assert [line.split(" ")[:2] for line in capsys.readouterr().out.splitlines()[:-1]] == [
        ["services/enchanted/generated/made.py:1:", "licence-line"]
    ]


def test_modules_and_what_packages_make_public_are_known_by_their_dotted_names(repository: Path) -> None:
    room = repository / "services/enchanted/history"
    (room / "records.py").write_text('__all__ = ["ignored"]\n')
    (room / "__init__.py").write_text('__all__ = ["append_event", "merkle"]\n')
    found = names(repository)
    assert found.modules == {"enchanted.history", "enchanted.history.records"}
    assert found.public == {"enchanted.history.append_event", "enchanted.history.merkle"}


def test_this_repository_is_looked_at() -> None:
    root = Path(__file__).parents[3]
    paths = {str(source.path) for source in sources(root)}
    assert "services/enchanted/__init__.py" in paths
    assert "tests/unit/house_rules/test_repository.py" in paths
    assert "proto/generate.py" in paths
