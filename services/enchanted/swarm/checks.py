# SPDX-License-Identifier: Apache-2.0
"""The Critic: an edit is applied to a copy, checked, and taken, taken in part, or refused with reasons.

The rules of its judgement:

- A test that passed at the baseline must pass after. A test that failed there is never blamed on an edit.
- A test that fails after is run again before and after; only one that fails with the edit and passes without
  it, both times, is broken. Others are flaky, are named so, and guard nothing from then on.
- A harmful edit is bisected: the parts that do harm are left out with their reasons, the rest is taken if it
  passes.
- Where no test guards a module (there are none, none passes, or none imports it), only parts that a program
  cannot observe are considered, and syntax and lint alone decide. The review says so.
- When parts are left out, imports may be left without use; a small follow-up edit then removes them, if it
  passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final

from enchanted.swarm.bisection import TRIALS_MAX, Bisection, Fate, LeftOut, OnTrial, Trial, bisect
from enchanted.swarm.edits import Edit, Expectation, Part, apply, sha256_hex
from enchanted.swarm.model import (
    ACCEPTED,
    Check,
    ModulePath,
    PythonVersion,
    Reason,
    TestId,
    ToolError,
    Verdict,
)
from enchanted.swarm.modernize import is_preserving, tidy_imports
from enchanted.swarm.static_checks import check_lint, check_syntax
from enchanted.swarm.suite_runs import RunEnding, SuitePlan, SuiteRun, SuiteRunner
from enchanted.swarm.test_reports import TestReport
from enchanted.swarm.tools import Tools

_Again = Callable[[Sequence[str]], Awaitable[SuiteRun]]
"""Runs some test files again, or all of them."""


DOUBTS: Final = 3
"""How often a test must fail with an edit, and pass without it, to be called broken by it."""


class Guard(Enum):
    """What stood guard over a review."""

    TESTS = "tests"
    STATIC_ONLY = "syntax and lint only"


@dataclass(frozen=True, slots=True)
class Baseline:
    """The tests of a tree before any edit.

    Args:
        plan: how the suite is run from now on.
        run: what happened.
    """

    plan: SuitePlan
    run: SuiteRun

    @property
    def guards(self) -> frozenset[TestId]:
        """Tests that passed: the guard."""
        return self.run.report.passed

    @property
    def known_failures(self) -> frozenset[TestId]:
        """Tests that did not pass before any edit; skipped ones are not among them."""
        report = self.run.report
        return report.failed | report.errors | report.not_collected


@dataclass(frozen=True, slots=True)
class Review:
    """The Critic's answer to one edit.

    Args:
        guard: what stood guard.
        verdict: on the edit as it was proposed, after leaving out what nothing guards.
        accepted: the parts that are taken.
        left_out: the parts that are not, each with its reasons.
        follow_up: a further edit of the result that removes imports left without use; `None` when there are
            none.
        result: the file with the accepted parts and the follow-up; the base when nothing is accepted.
        trials: the questions of the bisection, in order.
        limit_reached: whether the bisection stopped at its limit.
        flaky: tests found to pass and fail on the same code during this review.
    """

    guard: Guard
    verdict: Verdict
    accepted: tuple[Part, ...]
    left_out: tuple[LeftOut, ...]
    follow_up: Edit | None
    result: bytes
    trials: tuple[Trial, ...]
    limit_reached: bool
    flaky: frozenset[TestId]


class Critic:
    """Judges edits of one repository.

    Args:
        runner: runs the repository's tests in the sandbox.
        tools: where ruff is.
        target: lowest Python version of the repository.
        scratch: existing folder for throw-away copies.
        trials_max: most trials of one bisection.
    """

    def __init__(
        self,
        runner: SuiteRunner,
        tools: Tools,
        target: PythonVersion,
        scratch: Path,
        *,
        trials_max: int = TRIALS_MAX,
    ) -> None:
        self._runner = runner
        self._tools = tools
        self._target = target
        self._scratch = scratch
        self._trials_max = trials_max
        self._steady: set[TestId] = set()
        self._flaky: set[TestId] = set()

    async def measure_baseline(self, tree: Path) -> Baseline:
        """Run the tests of a tree as it is; the tree itself is not written to.

        Raises:
            TreeError: the tree is too large to copy.
            SandboxError: the sandbox cannot run at all.
        """
        plan, run = await self._runner.discover(tree)
        return Baseline(plan, run)

    async def measure_again(self, tree: Path, baseline: Baseline) -> SuiteRun:
        """Run the tests of a later tree as the baseline found out to; raises as `measure_baseline`."""
        return await self._runner.run(tree, baseline.plan)

    async def regressions(
        self, base: Path, head: Path, baseline: Baseline, after: SuiteRun
    ) -> tuple[frozenset[TestId], frozenset[TestId]]:
        """Tell tests that a later tree has broken from those that only failed this time.

        Args:
            base: the tree that the baseline was measured on; not written to.
            head: the later tree; not written to.
            baseline: what the tests said before.
            after: what they say of `head`.

        Returns:
            The tests that fail with `head` and pass with `base` when run again, and those found to be flaky;
            tests known to be flaky are in neither.

        Raises:
            TreeError: a tree is too large to copy.
            SandboxError: the sandbox cannot run at all.
        """
        if _gave_nothing(baseline, after):
            after = await self.measure_again(head, baseline)
        missing = baseline.guards - self._flaky - after.report.passed

        async def run(tree: Path, files: Sequence[str]) -> SuiteRun:
            return await self._runner.run(tree, baseline.plan, files)

        steady = await self._doubt(
            missing, (after.report, baseline.run.report), partial(run, base), partial(run, head)
        )
        return steady, missing - steady

    async def review(
        self,
        tree: Path,
        edit: Edit,
        expectation: Expectation,
        baseline: Baseline,
        on_trial: OnTrial,
        *,
        reached_by_tests: bool,
    ) -> Review:
        """Judge an edit and take as much of it as does no harm.

        Args:
            tree: the tree that the edit's base is in; not written to.
            edit: the Coder's edit.
            expectation: what the Coder expects of it.
            baseline: of this repository, measured before the first edit.
            on_trial: awaited after every trial of the bisection.
            reached_by_tests: whether any test imports the module, directly or not.

        Raises:
            EditError: the edit was made for another base.
            TreeError: the tree is too large to copy.
            ToolError: ruff failed on the base, or the tests give no result any more, without the edit too.
            SandboxError: the sandbox cannot run at all.
        """
        base = (tree / edit.path).read_bytes()
        broken_word = await asyncio.to_thread(_broken_expectation, base, edit, expectation)
        guard = Guard.TESTS if baseline.guards and reached_by_tests else Guard.STATIC_ONLY
        known_flaky = frozenset(self._flaky)
        self._steady.clear()
        if broken_word is not None:
            return _refusal(guard, edit, base, broken_word)
        considered = [part for part in edit.parts if guard is Guard.TESTS or is_preserving(part)]
        case = _Case(tree, edit.path, base, baseline, guard)

        async def oracle(parts: tuple[Part, ...]) -> Verdict:
            return await self._judge(case, await asyncio.to_thread(apply, base, edit, parts))

        found = await bisect(considered, oracle, on_trial=on_trial, trials_max=self._trials_max)
        result = await asyncio.to_thread(apply, base, edit, found.accepted)
        follow_up, result = await self._follow_up(case, result, found)
        return Review(
            guard=guard,
            verdict=found.trials[0].verdict if found.trials else ACCEPTED,
            accepted=found.accepted,
            left_out=_with_unguarded(edit, considered, found),
            follow_up=follow_up,
            result=result,
            trials=found.trials,
            limit_reached=found.limit_reached,
            flaky=frozenset(self._flaky) - known_flaky,
        )

    async def _follow_up(self, case: _Case, result: bytes, found: Bisection) -> tuple[Edit | None, bytes]:
        if not found.accepted or not found.left_out or case.guard is not Guard.TESTS:
            return None, result
        proposal = await tidy_imports(case.path, result, self._target, self._tools)
        if not proposal.edit.parts or not (await self._judge(case, proposal.result)).accepted:
            return None, result
        return proposal.edit, proposal.result

    async def _judge(self, case: _Case, new: bytes) -> Verdict:
        if reasons := await asyncio.to_thread(check_syntax, case.path, new, self._target):
            return Verdict.failing(Check.SYNTAX, reasons)
        try:
            reasons = await check_lint(case.path, case.base, new, self._target, self._tools)
        except ToolError as error:
            reasons = (Reason(Check.LINT, case.path, f"{error.text}."),)
        if reasons:
            return Verdict.failing(Check.LINT, reasons)
        if case.guard is Guard.STATIC_ONLY:
            return ACCEPTED
        reasons = await self._test(case, new)
        return Verdict.failing(Check.TESTS, reasons) if reasons else ACCEPTED

    async def _test(self, case: _Case, new: bytes) -> tuple[Reason, ...]:
        after = await self._run(case, new)
        if _gave_nothing(case.baseline, after):
            after = await self._run(case, new)
            if _gave_nothing(case.baseline, after):
                return (await self._blame(case, after),)
        broken = case.baseline.guards - self._flaky - after.report.passed
        steady = await self._doubt(
            broken - self._steady,
            (after.report, case.baseline.run.report),
            partial(self._run, case, case.base),
            partial(self._run, case, new),
        )
        self._steady.update(steady)
        return tuple(_broken_test(test, after.report) for test in sorted(broken - self._flaky))

    async def _blame(self, case: _Case, after: SuiteRun) -> Reason:
        """Reason against an edit with which the tests gave no result twice, if they give one without it."""
        without = await self._run(case, case.base)
        if _gave_nothing(case.baseline, without):
            raise ToolError(
                "the tests give no result any more, with the edit or without it; try again under less load",
                tool="pytest",
                ending=without.ending.value,
            )
        text = f"With the edit the tests gave no result: {after.ending.value}."
        return Reason(Check.TESTS, case.path, text)

    async def _doubt(
        self, tests: frozenset[TestId], reports: Sequence[TestReport], without: _Again, with_edit: _Again
    ) -> frozenset[TestId]:
        """Run failing tests again, without the edit and with it; return the steady ones, note the flaky ones.

        Their files alone are the quick way. A test that does not fail there may still need the company of the
        others to fail, so it is called flaky only after the whole suite has been run again.
        """
        files = sorted({_file_of(test, *reports) for test in tests})
        steady: frozenset[TestId] = frozenset()
        for chosen in (files, []):
            doubtful = tests - steady
            if not doubtful or "" in chosen:
                continue
            steady |= await _steadily_broken(doubtful, chosen, without, with_edit)
        self._flaky.update(tests - steady)
        return steady

    async def _run(self, case: _Case, content: bytes, files: Sequence[str] = ()) -> SuiteRun:
        return await self._runner.run(case.tree, case.baseline.plan, files, {case.path: content})


async def _steadily_broken(
    tests: frozenset[TestId], files: Sequence[str], without: _Again, with_edit: _Again
) -> frozenset[TestId]:
    """Those that pass without the edit and fail with it every time; once could be chance."""
    for _ in range(DOUBTS):
        if not tests:
            break
        tests &= (await without(files)).report.passed
        tests -= (await with_edit(files)).report.passed
    return tests


@dataclass(frozen=True, slots=True)
class _Case:
    tree: Path
    path: ModulePath
    base: bytes
    baseline: Baseline
    guard: Guard


def _gave_nothing(baseline: Baseline, run: SuiteRun) -> bool:
    """Whether a run of the whole suite ended without a report; file by file there is always one."""
    return not baseline.plan.one_by_one and run.ending is not RunEnding.REPORTED


def _broken_expectation(base: bytes, edit: Edit, expectation: Expectation) -> Reason | None:
    """Reason against an edit that is not what its Coder says it is."""
    if expectation.parts != len(edit.parts):
        return Reason(Check.EXPECTATION, edit.path, "The edit has not as many parts as its Coder expects.")
    if expectation.result_sha256 != sha256_hex(apply(base, edit)):
        return Reason(Check.EXPECTATION, edit.path, "The edit does not give the text that its Coder expects.")
    return None


def _refusal(guard: Guard, edit: Edit, base: bytes, reason: Reason) -> Review:
    return Review(
        guard=guard,
        verdict=Verdict.failing(reason.check, (reason,)),
        accepted=(),
        left_out=tuple(LeftOut(part, Fate.HARMFUL, (), (reason,)) for part in edit.parts),
        follow_up=None,
        result=base,
        trials=(),
        limit_reached=False,
        flaky=frozenset(),
    )


def _with_unguarded(edit: Edit, considered: Sequence[Part], found: Bisection) -> tuple[LeftOut, ...]:
    tried = set(considered)
    reason = Reason(Check.TESTS, edit.path, "A program could observe this change, and no test would tell.")
    unguarded = [LeftOut(part, Fate.UNGUARDED, (), (reason,)) for part in edit.parts if part not in tried]
    return tuple(sorted((*found.left_out, *unguarded), key=lambda each: each.part.number))


def _broken_test(test: TestId, after: TestReport) -> Reason:
    if test not in after.outcomes:
        return Reason(Check.TESTS, test, "It passed before and was not run with the edit.")
    message = after.messages.get(test, "")
    text = f"It passed before and {after.outcomes[test].value} with the edit"
    return Reason(Check.TESTS, test, f"{text}: {message}" if message else f"{text}.")


def _file_of(test: TestId, *reports: TestReport) -> str:
    return next((report.files[test] for report in reports if test in report.files), "")
