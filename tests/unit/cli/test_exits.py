# SPDX-License-Identifier: Apache-2.0
"""Every failure has one line, one hint and the code that the help documents."""

from __future__ import annotations

import grpc
import pytest

from enchanted.cli.exits import MEANING, ExitCode, InputError, explain
from enchanted.owner import FolderInUseError, PlatformError
from enchanted.rpc import CallError
from enchanted.settings import SettingsError


@pytest.mark.feature("E-01")
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("no project 'x'", "list them"), ExitCode.BAD_INPUT),
        (SettingsError("ENCHANTED_PORT=x"), ExitCode.USAGE),
        (PlatformError("port in use", "another port"), ExitCode.UNAVAILABLE),
        (FolderInUseError("in use by 7", "stop it", 7), ExitCode.UNAVAILABLE),
        (FileNotFoundError(2, "No such file", "/x"), ExitCode.BAD_INPUT),
        (ZeroDivisionError("boom"), ExitCode.ENDED_BADLY),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_kind_of_failure_has_its_code_and_a_hint(error: Exception, code: ExitCode) -> None:
    fault = explain(error)
    assert fault.code is code
    assert fault.text
    assert fault.hint


@pytest.mark.feature("E-01")
@pytest.mark.parametrize("status", list(grpc.StatusCode), ids=lambda status: status.name)
def test_every_status_of_a_call_has_a_code_and_a_hint(status: grpc.StatusCode) -> None:
    fault = explain(CallError(status, "REASON", "the folder is empty"))
    assert fault.text == "the folder is empty"
    assert fault.hint
    assert fault.code in {ExitCode.BAD_INPUT, ExitCode.UNAVAILABLE, ExitCode.ENDED_BADLY}


@pytest.mark.feature("E-01")
def test_a_callers_fault_and_a_hub_that_is_gone_are_told_apart() -> None:
    codes = {
        status: explain(CallError(status, "", "x")).code
        for status in (
            grpc.StatusCode.NOT_FOUND,
            grpc.StatusCode.INVALID_ARGUMENT,
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.INTERNAL,
        )
    }
    assert list(codes.values()) == [
        ExitCode.BAD_INPUT,
        ExitCode.BAD_INPUT,
        ExitCode.UNAVAILABLE,
        ExitCode.ENDED_BADLY,
    ]


@pytest.mark.feature("E-01")
def test_a_fault_of_ours_shows_no_insides_and_is_marked_for_the_log() -> None:
    fault = explain(KeyError("secret insides"))
    assert "secret" not in fault.text + fault.hint
    assert not fault.expected


@pytest.mark.feature("E-01")
def test_every_code_has_a_meaning() -> None:
    assert set(MEANING) == set(ExitCode)
