# SPDX-License-Identifier: Apache-2.0
"""Every command has the same frame: options, ends, and one way to fail."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from enchanted.cli.exits import ExitCode, InputError
from enchanted.cli.output import Output
from enchanted.cli.session import Session, command, run

_SLEEPER = """
import asyncio, sys
from enchanted.cli.exits import ExitCode
from enchanted.cli.output import Output
from enchanted.cli.session import run

async def work(session):
    session.farewell = "stopped; three of five are kept"
    print("started", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        if "stubborn" in sys.argv:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    pass
    return ExitCode.DONE

sys.exit(run(work, Output()))
"""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENCHANTED_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.mark.feature("K-01")
def test_a_command_gets_its_own_options_and_the_common_ones() -> None:
    seen: list[object] = []
    app = typer.Typer()
    command(app, "other")(_nothing)

    @command(app, "greet")
    async def greet(session: Session, name: str, *, times: int = 1) -> ExitCode:
        """Greet."""
        seen.extend((name, times, session.output.as_json, session.output.quiet))
        return ExitCode.ENDED_BADLY

    words = ["greet", "Ada", "--times", "2", "--json", "-q", "--no-input"]
    assert CliRunner().invoke(app, words).exit_code == ExitCode.ENDED_BADLY
    assert seen == ["Ada", 2, True, True]


@pytest.mark.feature("K-01")
def test_an_expected_failure_is_one_line_one_hint_and_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    async def work(_session: Session) -> ExitCode:
        raise InputError("the folder is empty", "name another")

    assert run(work, Output()) is ExitCode.BAD_INPUT
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "error: the folder is empty\nhint: name another\n")


@pytest.mark.feature("K-01")
def test_a_fault_of_ours_is_no_traceback_for_the_person_and_one_in_the_log(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.mkdir()

    async def work(_session: Session) -> ExitCode:
        raise ZeroDivisionError("insides")

    assert run(work, Output()) is ExitCode.ENDED_BADLY
    told = capsys.readouterr().err
    assert told.startswith("error: unexpected ZeroDivisionError\nhint: ")
    assert "Traceback" not in told
    assert "insides" in (data / "logs" / "hub.log").read_text()
    assert (data / "logs" / "hub.log").stat().st_mode & 0o077 == 0


@pytest.mark.feature("K-01")
def test_the_failure_of_one_task_of_many_is_told_as_itself() -> None:
    async def fail() -> None:
        raise InputError("no", "yes")

    async def work(_session: Session) -> ExitCode:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
        return ExitCode.DONE

    assert run(work, Output()) is ExitCode.BAD_INPUT


@pytest.mark.feature("K-01")
def test_a_setting_that_cannot_be_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENCHANTED_PORT", "x")
    assert run(_nothing, Output()) is ExitCode.USAGE
    assert "ENCHANTED_PORT=x" in capsys.readouterr().err


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl_c", "terminate"])
@pytest.mark.parametrize("kind", ["willing", "stubborn"], ids=str)
def test_an_interruption_ends_the_command_and_says_what_is_kept(number: signal.Signals, kind: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SLEEPER, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.send_signal(number)
        _, told = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert told == b"\nstopped; three of five are kept\n"


@pytest.mark.feature("K-01")
def test_a_reader_that_has_enough_is_no_failure() -> None:
    shown = subprocess.run(
        [
            *("bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -n 1'),
            sys.executable,
            _TALKER,
        ],
        check=True,
        capture_output=True,
    )
    assert (shown.stdout, shown.stderr) == (b"line 0\n", b"")


_TALKER = """
import sys
from enchanted.cli.exits import ExitCode
from enchanted.cli.output import Output
from enchanted.cli.session import run

async def work(session):
    for number in range(100_000):
        session.output.text(f"line {number}")
    return ExitCode.DONE

sys.exit(run(work, Output()))
"""


async def _nothing(_session: Session) -> ExitCode:
    """Do nothing."""
    return ExitCode.DONE
