# SPDX-License-Identifier: Apache-2.0
"""The Critic: holds an edit to the laws of physics and lets through only what passed them all.

What passes becomes a commit in one transaction with its reasons. When the head moved while the tests ran,
what they said is about another tree; the edit is checked again on the new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.rpc import CallError
from enchanted.swarm import edits
from enchanted.swarm.agents import reporting
from enchanted.swarm.agents.checkouts import Checkout
from enchanted.swarm.agents.coder import expectation_from
from enchanted.swarm.agents.desk import EDIT, EXPECTATION, REVIEW, Desk
from enchanted.swarm.agents.reporting import GUARDED, part_text, verdict_checks
from enchanted.swarm.agents.shift import Assignment
from enchanted.swarm.bisection import LeftOut, Trial
from enchanted.swarm.checks import Guard, Review
from enchanted.swarm.edits import Edit, Expectation, sha256_hex
from enchanted.swarm.modernize import tell
from enchanted.wording import counted

HEAD_MOVES_MAX: Final = 10
REJECTED_SHOWN_MAX: Final = 50


class _HeadMovedError(Exception):
    """The tree that was checked is no longer the head."""


@dataclass(frozen=True, slots=True)
class Critic:
    """Judges edits, and has the accepted ones committed."""

    desk: Desk

    async def perform(self, assignment: Assignment) -> None:
        """Judge the Coder's edit of one module."""
        content = await self.desk.artifact_of_dependency(assignment.ticket, EDIT)
        expected = await self.desk.artifact_of_dependency(assignment.ticket, EXPECTATION)
        if content is None or expected is None:
            await self._nothing_to_judge(assignment)
            return
        edit = await asyncio.to_thread(edits.from_json_bytes, content)
        expectation = expectation_from(expected)
        for _ in range(HEAD_MOVES_MAX):
            try:
                await self._judge(assignment, edit, expectation)
            except _HeadMovedError:
                continue
            return
        await self.desk.jobs.return_ticket(
            assignment.lease, "the head moved each time the edit had been checked"
        )

    async def _nothing_to_judge(self, assignment: Assignment) -> None:
        await self.desk.jobs.complete_ticket(
            assignment.lease, v1.TICKET_STATE_DONE, outcome="nothing was proposed", decisions=[], artifacts=[]
        )

    async def _judge(self, assignment: Assignment, edit: Edit, expectation: Expectation) -> None:
        desk = self.desk
        critic, baseline = await desk.terrain.critic()
        head = await desk.terrain.checkouts.head()
        desk.terrain.take_runs()

        async def on_trial(trial: Trial) -> None:
            # The first trial is the whole edit; where it passes there was no search to tell of.
            if trial.number > 1 or not trial.verdict.accepted:
                decision = desk.report.trial(edit.path, trial, edit.base_sha256)
                await desk.jobs.record_decisions(assignment.lease, [decision])

        review = await critic.review(
            head.folder,
            edit,
            expectation,
            baseline,
            on_trial,
            reached_by_tests=await desk.terrain.is_reached_by_tests(edit.path),
        )
        base = (head.folder / edit.path).read_bytes()
        rationale = f"{tell(review.accepted)}." if review.accepted else expectation.rationale
        summary = reporting.edit_summary(edit.path, review, rationale)
        artifact = v1.Artifact(name=REVIEW, content=summary.SerializeToString(deterministic=True))
        decisions = [*self._accepted(edit, review, rationale), *self._rejected(edit, review)]
        if review.result == base:
            await desk.jobs.complete_ticket(
                assignment.lease,
                v1.TICKET_STATE_REJECTED,
                outcome=f"none of {counted(len(edit.parts), 'part')} accepted",
                decisions=decisions,
                artifacts=[artifact],
            )
            return
        await self._commit(assignment, head, base, (edit, review), decisions, artifact, rationale)

    async def _commit(
        self,
        assignment: Assignment,
        head: Checkout,
        base: bytes,
        judged: tuple[Edit, Review],
        decisions: list[v1.Decision],
        artifact: v1.Artifact,
        rationale: str,
    ) -> None:
        edit, review = judged
        diff = await asyncio.to_thread(edits.unified_diff, edit.path, base, review.result)
        change = v1.FileChange(
            path=edit.path,
            content=review.result,
            previous_hash=f"sha256:{sha256_hex(base)}",
            diff_patch=diff.decode("utf-8", "replace"),
        )
        left_out = len(review.left_out)
        outcome = f"{counted(len(review.accepted), 'part')} accepted"
        if left_out:
            outcome = f"{outcome}, {left_out} left out"
        try:
            await self.desk.jobs.accept_edit(
                assignment.lease,
                expected_tree=head.tree,
                files=[change],
                message=commit_message(edit.path, rationale, assignment.ticket),
                outcome=outcome,
                decisions=decisions,
                artifacts=[artifact],
            )
        except CallError as error:
            if error.code is grpc.StatusCode.ABORTED:
                raise _HeadMovedError from error
            raise

    def _accepted(self, edit: Edit, review: Review, rationale: str) -> list[v1.Decision]:
        if not review.accepted:
            return []
        runs = [reporting.run_check(run) for run in self.desk.terrain.take_runs()[-1:]]
        guard = (
            "tests that import it"
            if review.guard is Guard.TESTS
            else "syntax and lint, for no test reaches it"
        )
        accepted = ", ".join(part_text(part) for part in review.accepted)
        tidied = " Imports that lost their use were removed." if review.follow_up else ""
        return [
            self.desk.report.decision(
                events.DECISION_KIND_ACCEPT,
                edit.path,
                f"{rationale} Guarded by {guard}, these parts passed: {accepted}.{tidied}",
                trigger="The Coder's edit, applied on a scratch tree.",
                context=f"sha256:{edit.base_sha256}",
                rejected=[
                    f"{part_text(each.part)} — {reporting.left_out_text(each)}" for each in review.left_out
                ],
                checks=[*(events.Check(name=check, passed=True) for check in _laws(review)), *runs],
                confidence=reporting.confidence_of(review),
            )
        ]

    def _rejected(self, edit: Edit, review: Review) -> list[v1.Decision]:
        shown = review.left_out[:REJECTED_SHOWN_MAX]
        more = len(review.left_out) - len(shown)
        rest = self.desk.report.decision(
            events.DECISION_KIND_REJECT,
            edit.path,
            f"{counted(more, 'part')} more left out; the review has each with its reason.",
            trigger="The Coder's edit.",
            context=f"sha256:{edit.base_sha256}",
            confidence=GUARDED,
        )
        return [*self._rejections(edit, review, shown), *([rest] if more else [])]

    def _rejections(self, edit: Edit, review: Review, shown: Sequence[LeftOut]) -> list[v1.Decision]:
        return [
            self.desk.report.decision(
                events.DECISION_KIND_REJECT,
                edit.path,
                f"{part_text(left_out.part)} is left out: {reporting.left_out_text(left_out)}",
                trigger="Bisection of the edit." if review.trials else "The Coder's edit.",
                context=f"sha256:{edit.base_sha256}",
                checks=[] if review.verdict.accepted else verdict_checks(review.verdict),
                confidence=GUARDED,
            )
            for left_out in shown
        ]


def _laws(review: Review) -> tuple[str, ...]:
    """The checks that stood behind an acceptance."""
    return ("syntax", "lint", "tests") if review.guard is Guard.TESTS else ("syntax", "lint")


def commit_message(path: str, rationale: str, ticket: v1.Ticket) -> str:
    """Message of the commit: what, why, and where the reasons are."""
    return f"Modernise {Path(path).name}\n\n{rationale}\n\nJob: {ticket.job_id}\nTicket: {ticket.ticket_id}\n"
