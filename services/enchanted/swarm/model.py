# SPDX-License-Identifier: Apache-2.0
"""The words the agents share: versions, names, verdicts and errors.

Scout, Coder and Critic hand values to each other through the history; if each had its own notion of a module,
a test or a verdict, the history could not be read as one story. So the shared values live here, pure.

Errors::

    SwarmError                what the agents' core raises; a static text and its fields
    ├── TreeError             the checked-out tree cannot be worked on (missing, too large, not a folder)
    ├── EditError             an edit does not fit its base, or its JSON is not an edit
    ├── PackError             a context pack's JSON is not a pack
    ├── ToolError             pyupgrade or ruff could not do its work on a module
    └── ReportError           a JUnit report cannot be read or is hostile
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, NewType, Self

ModulePath = NewType("ModulePath", str)
"""Path of a file in the repository: relative, with forward slashes."""

ModuleName = NewType("ModuleName", str)
"""Dotted name under which a module is imported."""

TestId = NewType("TestId", str)
"""``file::class::name[parameters]`` of one test, as far as the runner told it."""

PartNumber = NewType("PartNumber", int)
"""Number of a part within its edit, from 1."""


REASONS_MAX: Final = 20


class SwarmError(Exception):
    """Base of the agents' errors: a static text, and fields that say where.

    Args:
        text: static sentence that says what is wrong and, where possible, what to do.
        fields: the variable facts, as strings.
    """

    def __init__(self, text: str, **fields: str | int) -> None:
        super().__init__(text)
        self.text = text
        self.fields = {name: str(value) for name, value in fields.items()}

    def __str__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in sorted(self.fields.items()))
        return f"{self.text} ({facts})" if facts else self.text


class TreeError(SwarmError):
    """The tree cannot be worked on."""


class EditError(SwarmError):
    """The edit does not fit its base or cannot be read."""


class PackError(SwarmError):
    """The context pack cannot be read."""


class ToolError(SwarmError):
    """A rewriting or linting tool failed on a module."""


class ReportError(SwarmError):
    """The test report cannot be read."""


@dataclass(frozen=True, slots=True, order=True)
class PythonVersion:
    """A language version, ordered."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``3.10``; raises `ValueError` for anything else."""
        major, _, minor = text.partition(".")
        return cls(int(major), int(minor))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Check(Enum):
    """The Critic's checks, cheap ones first."""

    EXPECTATION = "expectation"
    SYNTAX = "syntax"
    LINT = "lint"
    TESTS = "tests"


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact that speaks against an edit.

    Args:
        check: which check found it.
        subject: what it is about: a test id, a rule code with line, or a path.
        text: one sentence.
    """

    check: Check
    subject: str
    text: str

    @property
    def symptom(self) -> str:
        """What fails, by a name that stays the same when lines move."""
        return self.subject if self.check is Check.TESTS else self.text


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the Critic says of a set of parts: accepted, or the check that failed and why.

    Args:
        failed_check: the first check that failed; `None` when all passed.
        reasons: at least one when a check failed; long lists are cut.
        symptoms: of all reasons, also the cut ones: to tell one failure from another.
    """

    failed_check: Check | None
    reasons: tuple[Reason, ...] = ()
    symptoms: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if (self.failed_check is None) == bool(self.reasons):
            raise ValueError("a verdict has reasons exactly when a check failed")

    @classmethod
    def failing(cls, check: Check, reasons: tuple[Reason, ...]) -> Self:
        """Return the verdict of a check that failed, its reasons cut to the first twenty."""
        symptoms = frozenset(reason.symptom for reason in reasons)
        return cls(check, reasons[:REASONS_MAX], symptoms)

    @property
    def accepted(self) -> bool:
        """Whether every check passed."""
        return self.failed_check is None

    def fails_like(self, other: Verdict) -> bool:
        """Whether this is the same failure as another: the same check and, if told, a common symptom."""
        if self.failed_check is None or self.failed_check is not other.failed_check:
            return False
        return self.symptoms == other.symptoms or not self.symptoms.isdisjoint(other.symptoms)


ACCEPTED = Verdict(failed_check=None)
"""The verdict of a set that passed every check."""
