# SPDX-License-Identifier: Apache-2.0
"""JUnit reports: read by test, the worst outcome counts, and hostile ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm import test_reports
from enchanted.swarm.model import ReportError, TestId
from enchanted.swarm.test_reports import EMPTY_REPORT, TestOutcome, merge, parse_report

pytestmark = pytest.mark.feature("E-07")

REPORT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="2" failures="1" skipped="1" tests="6">
<testcase classname="" name="tests.test_b" file="tests/test_b.py">
  <error message="collection failure">ImportError
E   ModuleNotFoundError: No module named 'nothere'</error></testcase>
<testcase classname="tests.test_a.T" name="test_x" file="tests/test_a.py" line="2" time="0.000" />
<testcase classname="tests.test_a" name="test_p[é]" file="tests/test_a.py">
  <failure message="AssertionError: no">long text</failure></testcase>
<testcase classname="tests.test_a" name="test_e" file="tests/test_a.py">
  <error message="failed on setup">x</error></testcase>
<testcase classname="tests.test_a" name="test_s" file="tests/test_a.py">
  <skipped type="pytest.xfail" message="" /></testcase>
</testsuite></testsuites>""".encode()


def test_every_outcome_is_told_apart() -> None:
    report = parse_report(REPORT)
    assert report.passed == {"tests.test_a.T::test_x"}
    assert report.failed == {"tests.test_a::test_p[é]"}
    assert report.errors == {"tests.test_a::test_e"}
    assert report.skipped == {"tests.test_a::test_s"}
    assert report.not_collected == {"tests.test_b"}


def test_messages_say_why_and_files_say_where() -> None:
    report = parse_report(REPORT)
    assert report.messages[TestId("tests.test_a::test_p[é]")] == "AssertionError: no"
    assert report.messages[TestId("tests.test_b")].endswith("No module named 'nothere'")
    assert report.files[TestId("tests.test_a.T::test_x")] == "tests/test_a.py"


def case(outcome: str) -> bytes:
    inner = {"passed": b"", "failed": b'<failure message="m"/>', "skipped": b'<skipped message="s"/>'}[
        outcome
    ]
    return b'<testcase classname="c" name="t">' + inner + b"</testcase>"


@pytest.mark.parametrize(
    "order", [("failed", "passed"), ("passed", "failed"), ("skipped", "failed", "passed")]
)
def test_of_a_test_reported_twice_the_worst_outcome_counts(order: tuple[str, ...]) -> None:
    report = parse_report(b"<testsuites>" + b"".join(map(case, order)) + b"</testsuites>")
    assert report.failed == {"c::t"}
    assert report.messages == {"c::t": "m"}


def test_a_teardown_error_after_a_pass_is_an_error() -> None:
    report = parse_report(b'<t><testcase name="a"><error message="teardown"/></testcase></t>')
    assert report.errors == {"a"}


def test_merged_reports_keep_the_worst_outcome() -> None:
    good, bad = (parse_report(b"<t>" + case(outcome) + b"</t>") for outcome in ("passed", "failed"))
    assert merge(good, bad).failed == merge(bad, good).failed == {"c::t"}
    assert merge(good, bad).messages == {"c::t": "m"}
    assert merge() == EMPTY_REPORT


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<t><testcase name="&b;"/></t>'
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    b'<t><testcase name="x">&a;</testcase></t>'
)


@pytest.mark.parametrize("data", [BOMB, OUTSIDE])
def test_entities_are_refused(data: bytes) -> None:
    with pytest.raises(ReportError, match="document type"):
        parse_report(data)


@pytest.mark.parametrize(
    "data", [b"", b"no xml", REPORT[:-20], b"<t>&undefined;</t>", b"\xff\xfe\x00", b"<t></u>"]
)
def test_what_is_not_well_formed_is_a_report_error(data: bytes) -> None:
    with pytest.raises(ReportError):
        parse_report(data)


def test_a_deep_report_is_refused() -> None:
    with pytest.raises(ReportError, match="nested too deep"):
        parse_report(b"<t>" * 1_000 + b"</t>" * 1_000)


def test_a_report_over_the_limits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_reports, "TESTS_MAX", 2)
    tests = b"".join(b'<testcase name="t%d"/>' % number for number in range(3))
    with pytest.raises(ReportError, match="too many tests"):
        parse_report(b"<t>" + tests + b"</t>")
    monkeypatch.setattr(test_reports, "REPORT_BYTES_MAX", 10)
    with pytest.raises(ReportError, match="too large"):
        parse_report(REPORT)


def test_long_messages_are_cut() -> None:
    report = parse_report(b'<t><testcase name="a"><failure message="' + b"x" * 10_000 + b'"/></testcase></t>')
    assert len(report.messages[TestId("a")]) == test_reports.MESSAGE_CHARACTERS_MAX


@given(st.binary(max_size=200))
def test_no_bytes_lead_to_another_error(data: bytes) -> None:
    try:
        report = parse_report(data)
    except ReportError:
        return
    assert all(isinstance(outcome, TestOutcome) for outcome in report.outcomes.values())
