# SPDX-License-Identifier: Apache-2.0
"""The Orchestrator: makes the plan from the import graph, and closes the job.

It reads structure, not code: which modules there are, what imports what, what the tests say before any edit.
A plan is three tickets a module (Scout, Coder, Critic); a module's Scout waits for the Critics of the modules
that it imports, so that work flows from the imported to the importing. A plan stays within what the service
accepts, whatever the repository: what does not fit is left alone and named, instead of failing the job.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import PLANNED_TICKETS_MAX, RESOURCE_CHARACTERS_MAX
from enchanted.swarm.agents import reporting
from enchanted.swarm.agents.desk import REVIEW, Desk
from enchanted.swarm.agents.shift import Assignment
from enchanted.swarm.checks import Baseline
from enchanted.swarm.import_graph import ImportGraph
from enchanted.swarm.model import ModulePath, TestId
from enchanted.swarm.modernize import OLDEST_TARGET
from enchanted.swarm.repository import RepositoryView
from enchanted.wording import counted

SUMMARY_BYTES_MAX: Final = 300_000
REASON_CHARACTERS_MAX: Final = 300
TESTS_TOLD_MAX: Final = 5
FINISH: Final = "finish"
LEFT_ALONE_SHOWN_MAX: Final = 200
UNPLANNED_SHOWN_MAX: Final = 5
"""Modules named in the text of a plan that they do not fit in."""
TITLE_CHARACTERS: Final = 200
TEXT_CHARACTERS: Final = 500
MODULES_MAX: Final = (PLANNED_TICKETS_MAX - 1) // 3
"""Three tickets a module, and the last one."""
WAITING_MAX: Final = 400
"""Modules that wait for one; below what the service accepts, as its own tickets and the last one wait too."""
WAITS_MAX: Final = 8_000
"""Each is an id in two tickets' records, and the end of a Critic's ticket rewrites all that wait for it."""


@dataclass(frozen=True, slots=True)
class ChosenWork:
    """What a plan is about.

    Attributes:
        paths: The modules to work on, in the order of work.
        left_alone: Each module that the plan has no room for, with the reason.
    """

    paths: tuple[ModulePath, ...]
    left_alone: tuple[str, ...]


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
        chosen = choose_work(order)
        decision = desk.report.decision(
            events.DECISION_KIND_PLAN,
            desk.job.job_id,
            plan_text(view, order, baseline),
            trigger=f"Job {desk.job.job_id} with playbook {desk.job.playbook}.",
            context=f"git:{(await desk.terrain.base()).tree}",
            rejected=left_alone_texts(view, shown_max=20),
            checks=[reporting.run_check(run) for run in desk.terrain.take_runs()],
        )
        await desk.jobs.plan_tickets(
            assignment.lease, list(planned_tickets(chosen.paths, view.graph)), decisions=[decision]
        )

    async def _finish(self, assignment: Assignment) -> None:
        desk = self.desk
        view = await desk.terrain.view()
        summary = v1.JobSummary(left_alone=left_alone_texts(view))
        summary.edits.extend(await self._edits())
        broken = await self._measure(summary) if work_order(view) else frozenset()
        summary.headline = headline(summary, view)
        shorten(summary)
        state = v1.JOB_STATE_FAILED if broken else v1.JOB_STATE_SUCCEEDED
        reason = ""
        if broken:
            reason = "tests that passed before do not pass now: " + ", ".join(sorted(broken)[:TESTS_TOLD_MAX])
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

    async def _measure(self, summary: v1.JobSummary) -> frozenset[TestId]:
        """Run the tests on the head, tell of them in the summary, and find those that are steadily broken."""
        terrain = self.desk.terrain
        before, after = await terrain.baseline(), await terrain.measure_head()
        summary.tests_before.CopyFrom(reporting.tests_summary(before.run))
        summary.tests_after.CopyFrom(reporting.tests_summary(after))
        if before.guards <= after.report.passed:
            return frozenset()
        broken, flaky = await terrain.regressions(after)
        if flaky:
            told = ", ".join(sorted(flaky)[:TESTS_TOLD_MAX])
            detail = f"flaky, failing or passing on the same code: {told}"
            earlier = summary.tests_after.detail
            summary.tests_after.detail = f"{earlier}; {detail}" if earlier else detail
        return broken

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


def shorten(summary: v1.JobSummary) -> None:
    """Cut a summary to what one call carries: reasons first, then parts of the edits with most of them."""
    for edit in summary.edits:
        for part in edit.left_out:
            part.reason = part.reason[:REASON_CHARACTERS_MAX]
    for edit in sorted(summary.edits, key=lambda edit: -len(edit.left_out)):
        if summary.ByteSize() <= SUMMARY_BYTES_MAX:
            return
        more = len(edit.left_out) - 1
        if more > 0:
            del edit.left_out[1:]
            edit.left_out[0].reason += f"; and {more} parts more, told in the history"
    for edit in reversed(summary.edits):
        if summary.ByteSize() <= SUMMARY_BYTES_MAX:
            return
        edit.rationale = edit.rationale[:REASON_CHARACTERS_MAX]
        del edit.left_out[:]


def work_order(view: RepositoryView) -> tuple[tuple[ModulePath, ...], ...]:
    """The modules to work on, imported ones first; none where the code must still run on Python 2."""
    return view.work_order() if view.minimum.version >= OLDEST_TARGET else ()


def choose_work(order: Sequence[Sequence[ModulePath]]) -> ChosenWork:
    """As much of the work order as one plan holds, from its start; what is left alone, with the reason."""
    chosen: list[ModulePath] = []
    left_alone: list[str] = []
    for path in (path for group in order for path in group):
        if len(path) > RESOURCE_CHARACTERS_MAX:
            left_alone.append(f"{_cut(path, TITLE_CHARACTERS)}: its path is longer than a ticket can name")
        elif len(chosen) == MODULES_MAX:
            left_alone.append(f"{_cut(path, TITLE_CHARACTERS)}: one plan holds {MODULES_MAX} modules")
        else:
            chosen.append(path)
    return ChosenWork(tuple(chosen), tuple(left_alone))


def planned_tickets(paths: Sequence[ModulePath], graph: ImportGraph) -> Iterator[v1.PlannedTicket]:
    """The tickets of a plan, in the order in which they are to be claimed.

    Args:
        paths: Modules in the order of work, at most ``MODULES_MAX``; see :func:`choose_work`.
        graph: What imports what.
    """
    for number, (path, needed) in enumerate(zip(paths, waits(paths, graph), strict=True)):
        yield v1.PlannedTicket(
            key=f"scout:{number}",
            role=events.AGENT_ROLE_SCOUT,
            title=_title("Scout", path),
            resource=path,
            depends_on=[f"critic:{other}" for other in needed],
        )
        yield v1.PlannedTicket(
            key=f"coder:{number}",
            role=events.AGENT_ROLE_CODER,
            title=_title("Modernise", path),
            resource=path,
            depends_on=[f"scout:{number}"],
        )
        yield v1.PlannedTicket(
            key=f"critic:{number}",
            role=events.AGENT_ROLE_CRITIC,
            title=_title("Check", path),
            resource=path,
            depends_on=[f"coder:{number}"],
        )
    yield v1.PlannedTicket(
        key=FINISH,
        role=events.AGENT_ROLE_ORCHESTRATOR,
        title=f"{_FINISH_TITLE} the job",
        depends_on=[f"critic:{number}" for number in range(len(paths))],
    )


def waits(
    paths: Sequence[ModulePath],
    graph: ImportGraph,
    waiting_max: int = WAITING_MAX,
    waits_max: int = WAITS_MAX,
) -> list[list[int]]:
    """For each module, by number, the earlier ones whose Critics its Scout waits for.

    A module waits for all that it imports, some of it through others: what another one waits for anyway is
    left out, and past ``waiting_max`` modules that wait for one, further ones wait for the last of these.
    Where even so more waits are left than ``waits_max``, the modules are worked on one after the other.
    """
    number_of = {path: number for number, path in enumerate(paths)}
    waiting: list[list[int]] = [[] for _ in paths]
    # What each module waits for, directly or through others, as a set of bits.
    before: list[int] = []
    found: list[list[int]] = []
    for number, path in enumerate(paths):
        imported = {number_of[other] for other in graph.imports.get(path, ()) if other in number_of}
        held = {_with_room(waiting, other, waiting_max) for other in imported if other < number}
        covered = 0
        needed: list[int] = []
        for other in sorted(held, reverse=True):
            if not covered >> other & 1:
                needed.append(other)
                waiting[other].append(number)
                covered |= before[other] | 1 << other
        before.append(covered)
        found.append(sorted(needed))
    if sum(len(needed) for needed in found) > waits_max:
        return [[number - 1] if number else [] for number in range(len(paths))]
    return found


def _with_room(waiting: Sequence[Sequence[int]], number: int, waiting_max: int) -> int:
    """The module itself, or where too many wait for it, one that waits for it and has room."""
    while len(waiting[number]) >= waiting_max:
        number = waiting[number][-1]
    return number


def _title(work: str, path: ModulePath) -> str:
    return _cut(f"{work} {path}", TITLE_CHARACTERS)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


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
    chosen = choose_work(order)
    steps = sum(1 for group in order if not set(chosen.paths).isdisjoint(group))
    assert baseline is not None, "the baseline is measured where there is work"
    report = baseline.run.report
    guard = (
        f"{len(baseline.guards)} tests pass and stand guard; {len(baseline.known_failures)} do not pass "
        "before any edit and are blamed on nobody"
        if report.outcomes
        else f"no test stands guard ({baseline.run.ending.value}): only unobservable changes are taken"
    )
    return (
        f"{counted(len(chosen.paths), 'module')} in {counted(steps, 'step')} along the import graph, "
        f"imported ones first, for Python {minimum.version} and newer ({minimum.origin}). Of the tests, "
        f"{guard}.{_unplanned_text(chosen)}"
    )


def _unplanned_text(chosen: ChosenWork) -> str:
    """What the plan has no room for, as a sentence; empty where all fits."""
    if not chosen.left_alone:
        return ""
    shown = "; ".join(_cut(text, TEXT_CHARACTERS) for text in chosen.left_alone[:UNPLANNED_SHOWN_MAX])
    more = len(chosen.left_alone) - UNPLANNED_SHOWN_MAX
    rest = f"; and {more} more" if more > 0 else ""
    return f" Left alone because the plan cannot hold them: {shown}{rest}."


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


def left_alone_texts(view: RepositoryView, shown_max: int = LEFT_ALONE_SHOWN_MAX) -> list[str]:
    """What is not worked on and why: first what no plan had room for, then what is never touched."""
    texts = [*choose_work(work_order(view)).left_alone]
    texts += [left_alone_text(view, index) for index in range(len(view.left_alone))]
    shown = [_cut(text, TEXT_CHARACTERS) for text in texts[:shown_max]]
    more = len(texts) - len(shown)
    return [*shown, f"and {more} more"] if more else shown
