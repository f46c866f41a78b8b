# SPDX-License-Identifier: Apache-2.0
"""How an agent's findings become decisions in the history.

A person who asks "why" reads these texts, so they are whole sentences, name what was considered and refused,
and are cut to a length that a screen can show; what was looked at is named by hash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.swarm.bisection import Fate, LeftOut, Trial
from enchanted.swarm.checks import Guard, Review
from enchanted.swarm.edits import Part
from enchanted.swarm.model import Check, Reason, Verdict
from enchanted.swarm.suite_runs import RunEnding, RunRecord, SuiteRun
from enchanted.swarm.test_reports import TestReport

TEXT_CHARACTERS_MAX: Final = 2_000
ITEM_CHARACTERS_MAX: Final = 500
LISTED_MAX: Final = 100
REASONS_SHOWN_MAX: Final = 5
_MISSING_MODULE: Final = re.compile(r"ModuleNotFoundError: No module named '([^'\s]+)'")
CERTAIN: Final = 1.0
GUARDED: Final = 0.9
UNGUARDED: Final = 0.6


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes decisions with fresh event ids.

    Attributes:
        new_event_id: Makes an id for each.
    """

    new_event_id: Callable[[], str]

    def decision(
        self,
        kind: events.DecisionKind.ValueType,
        subject: str,
        rationale: str,
        *,
        trigger: str,
        context: str = "",
        rejected: Iterable[str] = (),
        checks: Iterable[events.Check] = (),
        confidence: float = CERTAIN,
    ) -> v1.Decision:
        """Make one decision.

        Args:
            kind: What was decided.
            subject: What it is about: a path or a job.
            rationale: Why, in sentences.
            trigger: What made the agent decide.
            context: "sha256:" and the digest of what it looked at.
            rejected: What else was considered, and why not.
            checks: Which laws were asked.
            confidence: 0 to 1.
        """
        return v1.Decision(
            event_id=self.new_event_id(),
            decision=events.AgentDecision(
                kind=kind,
                subject=subject,
                rationale=shortened(rationale),
                input_trigger=shortened(trigger),
                context_hash=context,
                rejected_alternatives=listed([shortened(text, ITEM_CHARACTERS_MAX) for text in rejected]),
                checks=list(checks),
                confidence_score=confidence,
            ),
        )

    def trial(self, path: str, trial: Trial, base_sha256: str) -> v1.Decision:
        """One question of the bisection and its answer."""
        parts = ", ".join(str(number) for number in trial.parts) or "none"
        accepted = trial.verdict.accepted
        outcome = "passes" if accepted else f"fails: {reasons_text(trial.verdict.reasons)}"
        return self.decision(
            events.DECISION_KIND_TRIAL,
            path,
            f"Trial {trial.number}, parts {parts}: {outcome}",
            trigger="An edit is tried on a scratch tree, by halves when the whole of it fails.",
            context=f"sha256:{base_sha256}",
            checks=verdict_checks(trial.verdict),
        )


def shortened(text: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    """The text, cut where it is longer than a screen shows."""
    return text if len(text) <= characters_max else text[: characters_max - 1] + "…"


def listed(texts: Sequence[str]) -> list[str]:
    """The first texts, and how many more there are: a report has a size that the hub takes."""
    more = len(texts) - LISTED_MAX
    return [*texts[:LISTED_MAX], f"and {more} more"] if more > 0 else list(texts)


def part_checks(parts: Sequence[Part]) -> list[events.Check]:
    """The first proposed parts as checks, and how many more there are."""
    checks = [
        events.Check(
            name=f"part {part.number}", passed=True, detail=shortened(part_text(part), ITEM_CHARACTERS_MAX)
        )
        for part in parts[:LISTED_MAX]
    ]
    more = len(parts) - len(checks)
    return [*checks, events.Check(name=f"and {more} more", passed=True)] if more else checks


def reasons_text(reasons: Sequence[Reason]) -> str:
    """The first reasons as one line."""
    shown = [f"{reason.subject}: {reason.text}" for reason in reasons[:REASONS_SHOWN_MAX]]
    more = len(reasons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def verdict_checks(verdict: Verdict) -> list[events.Check]:
    """The Critic's checks in their order, up to the one that failed."""
    checks: list[events.Check] = []
    for check in Check:
        if check is verdict.failed_check:
            detail = shortened(reasons_text(verdict.reasons))
            return [*checks, events.Check(name=check.value, passed=False, detail=detail)]
        checks.append(events.Check(name=check.value, passed=True))
    return checks


def run_check(record: RunRecord) -> events.Check:
    """One run of the repository's tests, as it can be repeated."""
    command = " ".join(record.command.argv)
    how = f"{record.ending.value} after {record.wall_seconds:.1f} s, exit code {record.exit_code}"
    detail = f"{command} ended {how}"
    if record.ending is not RunEnding.REPORTED and record.output_end:
        detail = f"{detail}; last output: {record.output_end}"
    return events.Check(name="test run", passed=record.ending is RunEnding.REPORTED, detail=shortened(detail))


def tests_summary(run: SuiteRun) -> v1.TestSummary:
    """What the repository's tests said."""
    report = run.report
    left_out = [f"{each.path}: {each.ending.value}" for each in run.left_out]
    return v1.TestSummary(
        ran=bool(report.outcomes),
        passed=len(report.passed),
        failed=len(report.failed),
        errors=len(report.errors) + len(report.not_collected),
        skipped=len(report.skipped),
        detail=shortened("; ".join([*_collection_error(report), *left_out]) or _without_tests(run)),
    )


def _collection_error(report: TestReport) -> list[str]:
    """The first reason why nothing could be collected, where nothing ran well."""
    if report.passed or not report.not_collected:
        return []
    messages = [report.messages.get(test, "") for test in sorted(report.not_collected)]
    message = next(filter(None, messages), "the tests cannot be collected")
    missing = _MISSING_MODULE.search(message)
    if missing:
        return [f"tests need {missing[1]}, which is not installed here"]
    return [shortened(message, ITEM_CHARACTERS_MAX)]


def _without_tests(run: SuiteRun) -> str:
    return "" if run.report.outcomes else run.ending.value


def part_text(part: Part) -> str:
    """A part for people."""
    lines = (
        f"line {part.start_line}"
        if part.end_line <= part.start_line
        else f"lines {part.start_line}-{part.end_line}"
    )
    return f"{lines}: {part.description}"


def left_out_text(left_out: LeftOut) -> str:
    """Why a part is not taken."""
    if left_out.fate is Fate.UNGUARDED:
        return "no test guards this module, and a program could notice the change"
    if left_out.fate is Fate.UNDECIDED:
        return "the search for the harmful part reached its limit of trials before this part was cleared"
    together = ""
    if left_out.together_with:
        together = f"together with part {', '.join(str(number) for number in left_out.together_with)}: "
    return together + reasons_text(left_out.reasons)


def edit_summary(path: str, review: Review, rationale: str) -> v1.EditSummary:
    """What became of one edit."""
    return v1.EditSummary(
        path=path,
        accepted_parts=len(review.accepted),
        left_out=[
            v1.LeftOutPart(
                description=left_out.part.description,
                reason=shortened(left_out_text(left_out), ITEM_CHARACTERS_MAX),
                first_line=left_out.part.start_line,
            )
            for left_out in review.left_out
        ],
        rationale=rationale,
    )


def confidence_of(review: Review) -> float:
    """How sure the Critic is: less where no test stands guard."""
    return GUARDED if review.guard is Guard.TESTS else UNGUARDED
