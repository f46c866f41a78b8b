# SPDX-License-Identifier: Apache-2.0
"""Decisions say in whole sentences what was found, and are cut to what a screen shows."""

from __future__ import annotations

import pytest

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.swarm.agents import reporting
from enchanted.swarm.agents.coder import expectation_bytes, expectation_from
from enchanted.swarm.agents.reporting import (
    LISTED_MAX,
    TEXT_CHARACTERS_MAX,
    Reporter,
    left_out_text,
    part_checks,
    reasons_text,
    verdict_checks,
)
from enchanted.swarm.bisection import Fate, LeftOut, Trial
from enchanted.swarm.edits import Expectation, Part
from enchanted.swarm.model import ACCEPTED, Check, PartNumber, Reason, TestId, Verdict
from enchanted.swarm.suite_runs import RunEnding, SuiteRun
from enchanted.swarm.test_reports import EMPTY_REPORT, TestOutcome, TestReport

PART = Part(PartNumber(2), 7, 9, b"x\n", ("UP006",), "Use the built-in list.")
BROKEN = Reason(Check.TESTS, "tests/test_a.py::test_b", "It passed before and failed with the edit.")


def reporter() -> Reporter:
    return Reporter(lambda: "evt_1")


@pytest.mark.feature("E-01")
def test_a_decision_carries_its_reasons_alternatives_and_context() -> None:
    made = reporter().decision(
        events.DECISION_KIND_PLAN,
        "job_1",
        "Because.",
        trigger="A job.",
        context="sha256:ab",
        rejected=["No."],
    )
    assert made.event_id == "evt_1"
    assert made.decision.rationale == "Because."
    assert list(made.decision.rejected_alternatives) == ["No."]
    assert made.decision.context_hash == "sha256:ab"


@pytest.mark.feature("E-01")
def test_an_endless_text_is_cut_to_what_a_screen_shows() -> None:
    made = reporter().decision(events.DECISION_KIND_PLAN, "job_1", "x" * 100_000, trigger="A job.")
    assert len(made.decision.rationale) == TEXT_CHARACTERS_MAX
    assert made.decision.rationale.endswith("…")


@pytest.mark.feature("E-01")
def test_a_failed_trial_names_its_parts_and_the_test_that_failed() -> None:
    trial = Trial(3, (PartNumber(1), PartNumber(2)), Verdict(Check.TESTS, (BROKEN,)))
    made = reporter().trial("a.py", trial, "ab").decision
    assert made.rationale.startswith("Trial 3, parts 1, 2: fails: tests/test_a.py::test_b")
    assert [(check.name, check.passed) for check in made.checks][-1] == ("tests", False)


@pytest.mark.feature("E-01")
def test_every_check_of_an_accepted_verdict_passed() -> None:
    assert all(check.passed for check in verdict_checks(ACCEPTED))
    assert len(verdict_checks(ACCEPTED)) == len(Check)


@pytest.mark.feature("E-01")
def test_many_reasons_are_counted_rather_than_listed() -> None:
    assert reasons_text([BROKEN] * 12).endswith("and 7 more")


@pytest.mark.feature("E-01")
@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        pytest.param(LeftOut(PART, Fate.HARMFUL, (), (BROKEN,)), "test_b", id="harmful"),
        pytest.param(LeftOut(PART, Fate.HARMFUL, (PartNumber(4),), (BROKEN,)), "with part 4", id="together"),
        pytest.param(LeftOut(PART, Fate.UNDECIDED, (), ()), "limit of trials", id="undecided"),
        pytest.param(LeftOut(PART, Fate.UNGUARDED, (), ()), "no test guards", id="unguarded"),
    ],
)
def test_every_part_that_is_left_out_has_its_reason(left_out: LeftOut, words: str) -> None:
    assert words in left_out_text(left_out)


@pytest.mark.feature("E-07")
def test_an_expectation_survives_its_way_to_the_critic() -> None:
    expectation = Expectation(2, "ab" * 32, True, True, False, "Because.")  # noqa: FBT003 - its fields in order
    assert expectation_from(expectation_bytes(expectation)) == expectation


@pytest.mark.feature("E-01")
def test_a_report_of_very_many_parts_is_one_that_the_hub_takes() -> None:
    parts = [
        Part(PartNumber(number), number, number, b"", ("UP006",), "x" * 9_000) for number in range(1, 401)
    ]
    checks = part_checks(parts)
    assert len(checks) == LISTED_MAX + 1
    assert checks[-1].name == f"and {400 - LISTED_MAX} more"
    made = reporter().decision(
        events.DECISION_KIND_PROPOSE,
        "a.py",
        "Because.",
        trigger="A job.",
        rejected=["n" * 9_000] * 400,
        checks=checks,
    )
    assert len(made.decision.rejected_alternatives) == LISTED_MAX + 1
    assert made.ByteSize() < 512 << 10
    assert [check.name for check in part_checks([PART])] == ["part 2"]


@pytest.mark.feature("E-01")
@pytest.mark.parametrize(
    ("message", "detail"),
    [
        pytest.param(
            "collection failure: E   ModuleNotFoundError: No module named 'numpy_absent_thing'",
            "tests need numpy_absent_thing, which is not installed here",
            id="missing",
        ),
        pytest.param("SyntaxError: invalid syntax", "SyntaxError: invalid syntax", id="other"),
        pytest.param("", "the tests cannot be collected", id="silent"),
    ],
)
def test_tests_that_could_not_be_collected_say_why(message: str, detail: str) -> None:
    test = TestId("tests.test_a")
    report = TestReport({test: TestOutcome.NOT_COLLECTED}, {test: message}, {})
    assert reporting.tests_summary(SuiteRun(report, RunEnding.REPORTED)).detail == detail


@pytest.mark.feature("E-01")
def test_a_suite_that_ran_needs_no_words_and_one_that_did_not_says_how_it_ended() -> None:
    test, other = TestId("tests.test_a::test_b"), TestId("tests.test_c")
    report = TestReport({test: TestOutcome.PASSED, other: TestOutcome.NOT_COLLECTED}, {other: "no"}, {})
    assert reporting.tests_summary(SuiteRun(report, RunEnding.REPORTED)).detail == ""
    assert reporting.tests_summary(SuiteRun(EMPTY_REPORT, RunEnding.NO_TESTS)).detail == "no test was found"
