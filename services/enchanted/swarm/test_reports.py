# SPDX-License-Identifier: Apache-2.0
"""Read pytest's JUnit report without trusting it.

The report is written inside the sandbox by the stranger's code, which may put anything there: a gigabyte, a
nest of entities that expands to one ("billion laughs"), a thousand levels, half a file. So the reader is a
plain stream of start and end tags with limits, it refuses document types outright, and what it cannot read is
an error with a name.

Format: JUnit XML as pytest writes it with ``junit_family=xunit1`` (``testcase`` with ``file``, ``classname``,
``name``; children ``failure``, ``error``, ``skipped``). A module that cannot be collected is a test case
whose error says "collection failure".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final
from xml.parsers import expat

from enchanted.swarm.model import ReportError, TestId

REPORT_BYTES_MAX: Final = 64 * 1024 * 1024
TESTS_MAX: Final = 100_000
DEPTH_MAX: Final = 16
MESSAGE_CHARACTERS_MAX: Final = 300
_ID_CHARACTERS_MAX: Final = 1_000


class TestOutcome(Enum):
    """How one test ended, worst last."""

    __test__ = False

    PASSED = "passed"
    SKIPPED = "skipped"
    FAILED = "failed"
    ERROR = "error"
    NOT_COLLECTED = "not collected"


_SEVERITY: Final = {outcome: rank for rank, outcome in enumerate(TestOutcome)}


@dataclass(frozen=True, slots=True)
class TestReport:
    """Results of one run, by test.

    Args:
        outcomes: how each test ended.
        messages: for tests that did not pass, why; at most 300 characters each.
        files: the file of each test, relative to the tree, as far as the report tells.
    """

    __test__: ClassVar[bool] = False

    outcomes: Mapping[TestId, TestOutcome]
    messages: Mapping[TestId, str]
    files: Mapping[TestId, str]

    @property
    def passed(self) -> frozenset[TestId]:
        """Tests that passed."""
        return self._with(TestOutcome.PASSED)

    @property
    def failed(self) -> frozenset[TestId]:
        """Tests whose body failed."""
        return self._with(TestOutcome.FAILED)

    @property
    def errors(self) -> frozenset[TestId]:
        """Tests whose set-up or tear-down failed."""
        return self._with(TestOutcome.ERROR)

    @property
    def skipped(self) -> frozenset[TestId]:
        """Tests that were skipped or failed as expected."""
        return self._with(TestOutcome.SKIPPED)

    @property
    def not_collected(self) -> frozenset[TestId]:
        """Modules that could not be collected."""
        return self._with(TestOutcome.NOT_COLLECTED)

    def _with(self, wanted: TestOutcome) -> frozenset[TestId]:
        return frozenset(test for test, outcome in self.outcomes.items() if outcome is wanted)


EMPTY_REPORT: Final = TestReport({}, {}, {})


def merge(*reports: TestReport) -> TestReport:
    """Join reports of different runs; of a test in several the worst outcome counts."""
    outcomes: dict[TestId, TestOutcome] = {}
    messages: dict[TestId, str] = {}
    files: dict[TestId, str] = {}
    for report in reports:
        files.update(report.files)
        for test, outcome in report.outcomes.items():
            if test not in outcomes or _SEVERITY[outcome] > _SEVERITY[outcomes[test]]:
                outcomes[test] = outcome
                if test in report.messages:
                    messages[test] = report.messages[test]
    return TestReport(outcomes, messages, files)


def parse_report(data: bytes) -> TestReport:
    """Read a report.

    Args:
        data: the XML as written by pytest.

    Raises:
        ReportError: too large, not well-formed, cut short, with a document type, nested too deep, or too many
            tests.
    """
    if len(data) > REPORT_BYTES_MAX:
        raise ReportError("the test report is too large", limit_bytes=REPORT_BYTES_MAX)
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.characters
    try:
        parser.Parse(data, True)  # noqa: FBT003 - the binding takes "is final" by position only
    except expat.ExpatError as error:
        raise ReportError("the test report is not well-formed", line=error.lineno) from error
    return TestReport(reading.outcomes, reading.messages, reading.files)


def _refuse_document_type(*_: object) -> None:
    raise ReportError("the test report declares a document type, which pytest never does")


@dataclass(slots=True)
class _Reading:
    outcomes: dict[TestId, TestOutcome] = field(default_factory=dict)
    messages: dict[TestId, str] = field(default_factory=dict)
    files: dict[TestId, str] = field(default_factory=dict)
    depth: int = 0
    test: TestId | None = None
    outcome: TestOutcome = TestOutcome.PASSED
    message: str = ""
    listening: bool = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise ReportError("the test report is nested too deep", limit=DEPTH_MAX)
        self.listening = False
        if name == "testcase":
            self.test = _test_id(attributes)
            self.outcome, self.message = TestOutcome.PASSED, ""
            if attributes.get("file"):
                self.files[self.test] = attributes["file"][:_ID_CHARACTERS_MAX]
        elif name in ("failure", "error", "skipped") and self.test is not None:
            self._worsen(name, attributes.get("message", ""))

    def end(self, name: str) -> None:
        self.depth -= 1
        self.listening = False
        if name == "testcase" and self.test is not None:
            self._record(self.test)
            self.test = None

    def characters(self, text: str) -> None:
        if self.listening:
            # The end of a traceback tells most.
            self.message = (self.message + text)[-MESSAGE_CHARACTERS_MAX:]

    def _worsen(self, element: str, message: str) -> None:
        outcome = {
            "failure": TestOutcome.FAILED,
            "error": TestOutcome.NOT_COLLECTED if message == "collection failure" else TestOutcome.ERROR,
            "skipped": TestOutcome.SKIPPED,
        }[element]
        if _SEVERITY[outcome] > _SEVERITY[self.outcome]:
            self.outcome = outcome
            # "collection failure" says nothing; the text of the element has the traceback.
            self.message = "" if outcome is TestOutcome.NOT_COLLECTED else message[:MESSAGE_CHARACTERS_MAX]
            self.listening = not self.message

    def _record(self, test: TestId) -> None:
        if test in self.outcomes and _SEVERITY[self.outcomes[test]] >= _SEVERITY[self.outcome]:
            return
        if len(self.outcomes) >= TESTS_MAX:
            raise ReportError("the test report has too many tests", limit=TESTS_MAX)
        self.outcomes[test] = self.outcome
        if self.outcome is not TestOutcome.PASSED:
            self.messages[test] = self.message.strip()


def _test_id(attributes: dict[str, str]) -> TestId:
    """Join ``classname`` and ``name``, of which pytest fills what it knows."""
    parts = (attributes.get("classname", ""), attributes.get("name", ""))
    return TestId("::".join(part for part in parts if part)[:_ID_CHARACTERS_MAX])
