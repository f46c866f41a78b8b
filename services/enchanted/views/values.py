# SPDX-License-Identifier: Apache-2.0
"""The values that are shown, field by field; ``--json`` prints exactly these.

A field that is once here keeps its name and meaning, because scripts read it. Times are RFC 3339 in UTC,
empty where there is none yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project.

    Attributes:
        id: Its id, `prj_…`.
        name: The name by which commands find it.
        source: Where it was imported from.
        created_time: When.
        imported_commit: The Git commit that was imported.
        head_commit: The newest commit.
    """

    id: str
    name: str
    source: str
    created_time: str
    imported_commit: str
    head_commit: str


@dataclass(frozen=True, slots=True)
class SuiteView:
    """What the repository's own tests said.

    Attributes:
        ran: Whether there were tests to run.
        passed: How many passed.
        failed: How many failed.
        errors: How many could not run.
        skipped: How many were skipped.
        detail: More, in words.
    """

    ran: bool
    passed: int
    failed: int
    errors: int
    skipped: int
    detail: str


@dataclass(frozen=True, slots=True)
class LeftOutView:
    """A part of an edit that was tried and left out.

    Attributes:
        description: What the part would have changed.
        reason: Why it was left out.
        first_line: Where it begins.
    """

    description: str
    reason: str
    first_line: int


@dataclass(frozen=True, slots=True)
class EditView:
    """What became of one file.

    Attributes:
        path: The file.
        accepted_parts: How many parts of the edit were accepted.
        left_out: The parts that were not.
        rationale: Why the file was changed.
        commit: The commit that changed it, empty if nothing was accepted.
    """

    path: str
    accepted_parts: int
    left_out: tuple[LeftOutView, ...]
    rationale: str
    commit: str


@dataclass(frozen=True, slots=True)
class JobView:
    """A job.

    Attributes:
        id: Its id, `job_…`.
        project_id: The project it works on.
        playbook: What it does.
        state: `queued`, `running`, `succeeded`, `failed` or `cancelled`.
        created_time: When it was asked for.
        finished_time: When it ended.
        reason: Why it failed or was cancelled.
        headline: Its result in one sentence.
        base_commit: The commit it began on.
        starts: How often an agents' process was started for it.
        tests_before: The tests on the base commit; null until there is a summary.
        tests_after: The tests on the result; null until there is a summary.
        edits: What became of each file.
        left_alone: Files that were not touched, each as "path: reason".
    """

    id: str
    project_id: str
    playbook: str
    state: str
    created_time: str
    finished_time: str
    reason: str
    headline: str
    base_commit: str
    starts: int
    tests_before: SuiteView | None
    tests_after: SuiteView | None
    edits: tuple[EditView, ...]
    left_alone: tuple[str, ...]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in _ENDED

    @property
    def accepted_parts(self) -> int:
        """Accepted parts over all files."""
        return sum(edit.accepted_parts for edit in self.edits)

    @property
    def left_out_parts(self) -> int:
        """Left-out parts over all files."""
        return sum(len(edit.left_out) for edit in self.edits)


@dataclass(frozen=True, slots=True)
class TicketView:
    """A ticket of a job.

    Attributes:
        id: Its id, `tkt_…`.
        job_id: The job it belongs to.
        role: Which role works on it, such as `coder`.
        title: What is to be done.
        resource: The file it is about, or empty.
        depends_on: Tickets that must be done before.
        state: `blocked`, `ready`, `leased`, `done`, `rejected` or `failed`.
        agent_id: Who works on it.
        attempts: How often it was tried.
        outcome: What came of it.
    """

    id: str
    job_id: str
    role: str
    title: str
    resource: str
    depends_on: tuple[str, ...]
    state: str
    agent_id: str
    attempts: int
    outcome: str


@dataclass(frozen=True, slots=True)
class CheckView:
    """One thing that was checked.

    Attributes:
        name: What was checked.
        passed: Whether it held.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    """Why: a decision of an agent.

    Attributes:
        kind: `plan`, `scout`, `propose`, `accept`, `reject`, `trial`, `skip` or `finish`.
        subject: What it is about.
        trigger: What called for it.
        rationale: The reasons.
        rejected_alternatives: What was considered and not done.
        confidence: From 0 to 1.
        context_hash: Digest of what the agent was looking at.
        checks: What was checked for it.
    """

    kind: str
    subject: str
    trigger: str
    rationale: str
    rejected_alternatives: tuple[str, ...]
    confidence: float
    context_hash: str
    checks: tuple[CheckView, ...]


@dataclass(frozen=True, slots=True)
class ChangeView:
    """What: a change of state.

    Attributes:
        target_type: `FILE_SYSTEM` or `TIMELINE`.
        target: The file or timeline.
        previous_hash: Digest before.
        new_hash: Digest after.
        diff: A unified diff, for a file.
        commit: The commit, for a timeline.
    """

    target_type: str
    target: str
    previous_hash: str
    new_hash: str
    diff: str
    commit: str


@dataclass(frozen=True, slots=True)
class SignalView:
    """The pulse: a signal of the system.

    Attributes:
        status: The new state.
        detail: More, in words.
    """

    status: str
    detail: str


@dataclass(frozen=True, slots=True)
class EventView:
    """An event of the history; exactly one of decision, change and signal is not null.

    Attributes:
        id: Its id, `evt_…`.
        place: Its place in the order of the history, usable as a moment.
        time: When it happened.
        role: Who speaks, such as `critic`.
        agent_id: Which one.
        job_id: The job it belongs to, or empty.
        ticket_id: The ticket it belongs to, or empty.
        summary: The event in one line.
        decision: Why, for a decision.
        change: What, for a change of state.
        signal: The pulse, for a signal of the system.
    """

    id: str
    place: str
    time: str
    role: str
    agent_id: str
    job_id: str
    ticket_id: str
    summary: str
    decision: DecisionView | None
    change: ChangeView | None
    signal: SignalView | None


@dataclass(frozen=True, slots=True)
class MomentView:
    """A state of a project.

    Attributes:
        place: Its place in the order of the history, usable as a moment.
        time: When the state came to be.
        event_id: The event that made it.
        commit: Its Git commit.
        tree: Its Git tree.
    """

    place: str
    time: str
    event_id: str
    commit: str
    tree: str
