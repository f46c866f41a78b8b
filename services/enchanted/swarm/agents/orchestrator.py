# SPDX-License-Identifier: Apache-2.0
"""The Orchestrator: makes the plan from the import graph, and closes the job.

It reads structure, not code: which modules there are, what imports what, what the tests say before any edit.
A plan is three tickets a module (Scout, Coder, Critic); a module's Scout waits for the Critics of the modules
that it imports, so that work flows from the imported to the importing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.swarm.agents import reporting
from enchanted.swarm.agents.desk import REVIEW, Desk
from enchanted.swarm.agents.shift import Assignment
from enchanted.swarm.checks import Baseline
from enchanted.swarm.import_graph import ImportGraph
from enchanted.swarm.model import ModulePath
from enchanted.swarm.modernize import OLDEST_TARGET
from enchanted.swarm.repository import RepositoryView
from enchanted.wording import counted

FINISH: Final = "finish"
LEFT_ALONE_SHOWN_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Orchestrator:
    """Does the first and the last ticket of a job."""

    desk: Desk

    async def perform(self, assignment: Assignment) -> None:
        """Plan the job, or close it if it was planned."""
        if assignment.ticket.depends_on or assignment.ticket.title.startswith(_FINISH_TITLE):
            await self._finish(assignment)
        else:
            await self._plan(assignment)

    async def _plan(self, assignment: Assignment) -> None:
        desk = self.desk
        view = await desk.terrain.view()
        order = work_order(view)
        baseline = await desk.terrain.baseline() if order else None
        decision = desk.report.decision(
            events.DECISION_KIND_PLAN,
            desk.job.job_id,
            plan_text(view, order, baseline),
            trigger=f"Job {desk.job.job_id} with playbook {desk.job.playbook}.",
            context=f"git:{(await desk.terrain.base()).tree}",
            rejected=[left_alone_text(view, index) for index in range(min(20, len(view.left_alone)))],
            checks=[reporting.run_check(run) for run in desk.terrain.take_runs()],
        )
        await desk.jobs.plan_tickets(
            assignment.lease, list(planned_tickets(order, view.graph)), decisions=[decision]
        )

    async def _finish(self, assignment: Assignment) -> None:
        desk = self.desk
        view = await desk.terrain.view()
        summary = v1.JobSummary(left_alone=_left_alone(view))
        summary.edits.extend(await self._edits())
        regressions: list[str] = []
        if work_order(view):
            before = await desk.terrain.baseline()
            after = await desk.terrain.measure_head()
            summary.tests_before.CopyFrom(reporting.tests_summary(before.run))
            summary.tests_after.CopyFrom(reporting.tests_summary(after))
            regressions = sorted(before.guards - after.report.passed)
        summary.headline = headline(summary, view)
        state = v1.JOB_STATE_FAILED if regressions else v1.JOB_STATE_SUCCEEDED
        reason = ""
        if regressions:
            reason = "tests that passed before do not pass now: " + ", ".join(regressions[:5])
        decision = desk.report.decision(
            events.DECISION_KIND_FINISH,
            desk.job.job_id,
            reason or summary.headline,
            trigger="All tickets of the plan are finished.",
            context=f"git:{(await desk.terrain.checkouts.head()).tree}",
            checks=[reporting.run_check(run) for run in desk.terrain.take_runs()],
        )
        await desk.jobs.finish_job(
            assignment.lease, state, reason=reason, summary=summary, decisions=[decision]
        )

    async def _edits(self) -> list[v1.EditSummary]:
        found: list[v1.EditSummary] = []
        async for ticket in self.desk.jobs.list_tickets(self.desk.job.job_id):
            if ticket.role != events.AGENT_ROLE_CRITIC:
                continue
            content = await self.desk.jobs.find_artifact(self.desk.job.job_id, ticket.ticket_id, REVIEW)
            if content is not None:
                edit = v1.EditSummary.FromString(content)
                edit.commit = ticket.commit
                found.append(edit)
        return sorted(found, key=lambda edit: edit.path)


_FINISH_TITLE: Final = "Finish"


def work_order(view: RepositoryView) -> tuple[tuple[ModulePath, ...], ...]:
    """The modules to work on, imported ones first; none where the code must still run on Python 2."""
    return view.work_order() if view.minimum.version >= OLDEST_TARGET else ()


def planned_tickets(order: Sequence[Sequence[ModulePath]], graph: ImportGraph) -> Iterator[v1.PlannedTicket]:
    """The tickets of a plan, in the order in which they are to be claimed."""
    before: set[ModulePath] = set()
    for group in order:
        for path in group:
            needed = [other for other in graph.imports.get(path, ()) if other in before]
            yield v1.PlannedTicket(
                key=f"scout:{path}",
                role=events.AGENT_ROLE_SCOUT,
                title=f"Scout {path}",
                resource=path,
                depends_on=[f"critic:{other}" for other in needed],
            )
            yield v1.PlannedTicket(
                key=f"coder:{path}",
                role=events.AGENT_ROLE_CODER,
                title=f"Modernise {path}",
                resource=path,
                depends_on=[f"scout:{path}"],
            )
            yield v1.PlannedTicket(
                key=f"critic:{path}",
                role=events.AGENT_ROLE_CRITIC,
                title=f"Check {path}",
                resource=path,
                depends_on=[f"coder:{path}"],
            )
            before.add(path)
    yield v1.PlannedTicket(
        key=FINISH,
        role=events.AGENT_ROLE_ORCHESTRATOR,
        title=f"{_FINISH_TITLE} the job",
        depends_on=[f"critic:{path}" for group in order for path in group],
    )


def plan_text(view: RepositoryView, order: Sequence[Sequence[ModulePath]], baseline: Baseline | None) -> str:
    """Why the plan is as it is."""
    if not view.modules:
        return (
            "There is no Python code in this repository that can be worked on, so there is nothing to plan."
        )
    minimum = view.minimum
    if not order:
        if minimum.version < OLDEST_TARGET:
            return (
                f"The code must run on Python {minimum.version} ({minimum.origin}), so it is left as it is."
            )
        return "There are only tests in this repository, which are never edited, so there is nothing to plan."
    modules = sum(len(group) for group in order)
    assert baseline is not None, "the baseline is measured where there is work"
    report = baseline.run.report
    guard = (
        f"{len(baseline.guards)} tests pass and stand guard; {len(baseline.known_failures)} do not pass "
        "before any edit and are blamed on nobody"
        if report.outcomes
        else f"no test stands guard ({baseline.run.ending.value}): only unobservable changes are taken"
    )
    return (
        f"{counted(modules, 'module')} in {counted(len(order), 'step')} along the import graph, imported "
        f"ones first, for Python {minimum.version} and newer ({minimum.origin}). Of the tests, {guard}."
    )


def left_alone_text(view: RepositoryView, index: int) -> str:
    """One thing that is not worked on, and why."""
    left_alone = view.left_alone[index]
    line = f", line {left_alone.line}" if left_alone.line else ""
    detail = f" ({left_alone.detail}{line})" if left_alone.detail else ""
    return f"{left_alone.path}: {left_alone.reason.value}{detail}"


def headline(summary: v1.JobSummary, view: RepositoryView) -> str:
    """The job in one sentence."""
    if not view.modules:
        return "There is no Python code here that can be worked on; nothing was changed."
    if not work_order(view):
        return "There is nothing here that may be modernised; nothing was changed."
    changed = [edit for edit in summary.edits if edit.accepted_parts]
    left_out = sum(len(edit.left_out) for edit in summary.edits)
    if not changed and not left_out:
        return "The code is modern already; nothing was changed."
    accepted = sum(edit.accepted_parts for edit in changed)
    text = f"{counted(accepted, 'change')} in {counted(len(changed), 'module')} accepted"
    return f"{text}, {left_out} left out, each with its reason." if left_out else f"{text}."


def _left_alone(view: RepositoryView) -> list[str]:
    shown = min(LEFT_ALONE_SHOWN_MAX, len(view.left_alone))
    texts = [left_alone_text(view, index) for index in range(shown)]
    more = len(view.left_alone) - shown
    return [*texts, f"and {more} more"] if more else texts
