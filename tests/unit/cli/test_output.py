# SPDX-License-Identifier: Apache-2.0
"""What reaches a terminal or a pipe."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from enchanted.cli.output import Output, clean
from enchanted.views import CheckView


@pytest.mark.feature("E-01")
@given(st.text())
def test_no_text_steers_the_terminal(text: str) -> None:
    shown = clean(text)
    assert not any(character < " " and character not in "\n\t" for character in shown)
    assert "\x7f" not in shown
    assert "\x9b" not in shown


@pytest.mark.feature("E-01")
def test_an_escape_sequence_from_a_repository_is_shown_and_not_obeyed() -> None:
    assert clean("a\x1b[2Jb\r\nc\u202ed") == "a\N{REPLACEMENT CHARACTER}[2Jb\nc\N{REPLACEMENT CHARACTER}d"


@pytest.mark.feature("E-01")
def test_square_brackets_are_text_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.text("[red]not red[/red] [/]")
    output.say("[bold]not bold")
    output.fail("[x]", "[y]")
    told = capsys.readouterr()
    assert told.out == "[red]not red[/red] [/]\n"
    assert told.err == "[bold]not bold\nerror: [x]\nhint: [y]\n"


@pytest.mark.feature("E-01")
def test_quiet_silences_talk_but_neither_data_nor_errors(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(quiet=True)
    output.text("data")
    output.say("talk")
    output.fail("it failed", "do this")
    told = capsys.readouterr()
    assert told.out == "data\n"
    assert told.err == "error: it failed\nhint: do this\n"


@pytest.mark.feature("E-01")
def test_a_pipe_gets_whole_lines_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    name = "n" * 500
    Output().table(("NAME", "ID"), [(name, "prj_1")])
    assert any(name in line and "prj_1" in line for line in capsys.readouterr().out.splitlines())


@pytest.mark.feature("E-01")
def test_a_failure_is_one_line_whatever_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output().fail("first\nsecond", "try\nagain")
    assert capsys.readouterr().err == "error: first second\nhint: try again\n"


@pytest.mark.feature("E-01")
def test_views_are_printed_field_by_field(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    check = CheckView("tree", passed=True, detail="héllo\x1b")
    output.line({"type": "check", "check": check, "more": [check]})
    fields = {"name": "tree", "passed": True, "detail": "héllo\x1b"}
    line = capsys.readouterr().out
    assert json.loads(line) == {"type": "check", "check": fields, "more": [fields]}
    assert line.isascii()


@pytest.mark.feature("E-01")
def test_no_color_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = io.StringIO()
    Console(file=file, force_terminal=True).print("x", style="red")
    assert "\x1b[31m" not in file.getvalue()
