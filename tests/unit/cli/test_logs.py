# SPDX-License-Identifier: Apache-2.0
"""What is logged is one JSON object a line, without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from enchanted.telemetry import configure_logs


@pytest.fixture(autouse=True)
def logs_of_the_tests() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for handler in handlers:
        root.removeHandler(handler)
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.mark.feature("K-08")
def test_rooms_and_libraries_write_the_same_kind_of_line(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "hub.log"
    configure_logs(file, "info")
    structlog.get_logger("enchanted.jobs").info("a job began", job_id="job_1")
    logging.getLogger("a.library").warning("slow: %s ms", 7)
    ours, theirs = _lines(file)
    assert (ours["event"], ours["job_id"], ours["level"], ours["logger"]) == (
        *("a job began", "job_1", "info"),
        "enchanted.jobs",
    )
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow: 7 ms", "warning", "a.library")
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.feature("K-08")
def test_no_secret_is_written(tmp_path: Path) -> None:
    file = tmp_path / "hub.log"
    configure_logs(file, "debug")
    log = structlog.get_logger("enchanted.rpc")
    secrets = {"token": "tk1", "Authorization": "Bearer tk2", "job_token": "tk3", "password": "tk4"}
    log.info("called", user="ada", **secrets)
    text = file.read_text("utf-8")
    assert not any(f"tk{number}" in text for number in range(1, 5))
    assert _lines(file)[0]["user"] == "ada"


@pytest.mark.feature("K-08")
def test_a_traceback_goes_to_the_log_with_its_frames(tmp_path: Path) -> None:
    file = tmp_path / "hub.log"
    configure_logs(file, "info")
    structlog.get_logger("enchanted.cli").error("failed", exc_info=ZeroDivisionError("insides"))
    assert "insides" in json.dumps(_lines(file)[0]["exception"])


@pytest.mark.feature("K-08")
def test_below_the_level_nothing_is_written_and_set_up_twice_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "hub.log"
    configure_logs(file, "debug")
    configure_logs(file, "warning")
    log = structlog.get_logger("enchanted.cli")
    log.info("quiet")
    log.warning("once")
    assert [line["event"] for line in _lines(file)] == ["once"]


@pytest.mark.feature("K-08")
def test_without_a_file_and_a_terminal_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(None, "info")
    structlog.get_logger("enchanted.cli").error("nobody reads this")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
