# SPDX-License-Identifier: Apache-2.0
"""The command line is documented whole, and its help is true."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from enchanted.cli import reference
from enchanted.cli.application import build
from enchanted.cli.exits import MEANING

ROOT = Path(__file__).parents[3]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("COLUMNS", "200")
    return CliRunner(env={"NO_COLOR": "1", "TERM": "dumb"})


@pytest.mark.feature("K-01")
def test_the_page_of_commands_is_not_stale() -> None:
    page = (ROOT / "docs" / reference.COMMANDS_PAGE).read_text("utf-8")
    assert page == reference.commands_page(), "write it anew: python -m enchanted.cli.reference docs"


@pytest.mark.feature("K-01")
def test_every_command_of_the_product_is_there() -> None:
    assert {path for path, _ in reference.commands()} == set(reference.SHAPES)
    assert set(reference.SHAPES) == {
        *("up", "history", "replay", "diff", "verify"),
        *("project import", "project list", "project export"),
        *("job run", "job list", "job show", "job watch", "job cancel"),
    }


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("path", sorted(reference.SHAPES), ids=str)
def test_every_command_has_the_common_options_and_every_option_a_help(path: str) -> None:
    command = dict(reference.commands())[path]
    assert {"--json", "--quiet", "--no-input"} <= {name for entry in command.params for name in entry.opts}
    assert command.help
    assert all(entry.help for entry in command.params)


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("path", ["", "project", "job", *sorted(reference.SHAPES)], ids=str)
def test_help_is_shown(runner: CliRunner, path: str) -> None:
    shown = runner.invoke(build(), [*path.split(), "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


@pytest.mark.feature("K-01")
def test_the_help_of_the_program_documents_the_exit_codes(runner: CliRunner) -> None:
    shown = " ".join(runner.invoke(build(), ["--help"]).output.split())
    for code, meaning in MEANING.items():
        assert f"{code.value} {meaning}" in shown


@pytest.mark.feature("K-01")
def test_the_version_is_shown(runner: CliRunner) -> None:
    shown = runner.invoke(build(), ["--version"])
    assert (shown.exit_code, shown.output.split()[0]) == (0, "enchanted")


@pytest.mark.feature("K-01")
@pytest.mark.parametrize(
    "words",
    ["prject", "project lst", "history", "history x --limit 0", "replay x", "up x"],
    ids=["command", "inner", "argument", "range", "option", "surplus"],
)
def test_a_command_that_is_written_wrongly_is_code_2(runner: CliRunner, words: str) -> None:
    assert runner.invoke(build(), words.split()).exit_code == 2
