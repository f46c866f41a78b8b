# SPDX-License-Identifier: Apache-2.0
"""Exit codes, and how every failure becomes one line, one hint and one code.

A script can act only on a code that means one thing, and a person only on a line that says what to do; so no
command decides by itself how it fails.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

import grpc

from enchanted.owner import PlatformError
from enchanted.rpc import CallError
from enchanted.settings import SettingsError
from enchanted.workspace import PackSourceError
from enchanted.workspace.client import CheckoutError


class ExitCode(enum.IntEnum):
    """What the command's exit code means."""

    DONE = 0
    ENDED_BADLY = 1
    USAGE = 2
    BAD_INPUT = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130


MEANING: Final = {
    ExitCode.DONE: "done",
    ExitCode.ENDED_BADLY: "the work ended badly: the job failed, or verification did",
    ExitCode.USAGE: "the command was written wrongly, or a setting cannot be",
    ExitCode.BAD_INPUT: "not found, or an input that cannot be used",
    ExitCode.UNAVAILABLE: "the hub cannot be started or reached, or its folder is in use",
    ExitCode.INTERRUPTED: "interrupted; what was done is kept",
}

_BAD_INPUT: Final = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_HELP_HINT: Final = "`enchanted COMMAND --help` says what each argument takes"
_INPUT_HINTS: Final = {
    grpc.StatusCode.NOT_FOUND: "`enchanted project list` and `enchanted job list` show what there is",
    grpc.StatusCode.ALREADY_EXISTS: "choose another name: --name NAME",
}
_OUR_FAULT: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})


class InputError(Exception):
    """What the person gave cannot be used.

    Attributes:
        hint: What to do instead, one line.
    """

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure as it is told.

    Attributes:
        text: What went wrong, one line.
        hint: What to do, one line.
        code: The exit code.
        expected: Whether it is one of the failures that can happen to anybody; others go to the log in full.
    """

    text: str
    hint: str
    code: ExitCode
    expected: bool = True


def explain(error: BaseException) -> Fault:
    """Say what an exception means to a person."""
    if isinstance(error, CallError):
        return _explain_call(error)
    for kind, code, hint in _RULES:
        if isinstance(error, kind):
            return Fault(_text(error), getattr(error, "hint", "") or hint, code)
    return Fault(f"unexpected {type(error).__name__}", _LOG_HINT, ExitCode.ENDED_BADLY, expected=False)


def _text(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return str(error)


_LOG_HINT: Final = "logs/hub.log in the data folder says more; please report it"
_RULES: Final[tuple[tuple[type[Exception], ExitCode, str], ...]] = (
    (InputError, ExitCode.BAD_INPUT, ""),
    (SettingsError, ExitCode.USAGE, "docs/CONFIGURATION.md lists the settings"),
    (PlatformError, ExitCode.UNAVAILABLE, ""),
    (PackSourceError, ExitCode.BAD_INPUT, "name a folder with files, or the address of a Git repository"),
    (CheckoutError, ExitCode.BAD_INPUT, "name a new or empty folder: --into FOLDER"),
    (OSError, ExitCode.BAD_INPUT, "check the path and its rights"),
)


def _explain_call(error: CallError) -> Fault:
    text = error.message or error.code.name.lower().replace("_", " ")
    if error.code in _BAD_INPUT:
        return Fault(text, _INPUT_HINTS.get(error.code, _HELP_HINT), ExitCode.BAD_INPUT)
    if error.code is grpc.StatusCode.DATA_LOSS:
        return Fault(text, "`enchanted verify` shows what is damaged", ExitCode.ENDED_BADLY)
    if error.code in _OUR_FAULT:
        return Fault(text, _LOG_HINT, ExitCode.ENDED_BADLY)
    return Fault(text, "try again; if it stays so, start the hub anew: enchanted up", ExitCode.UNAVAILABLE)
