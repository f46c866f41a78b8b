# SPDX-License-Identifier: Apache-2.0
"""What a job and its tickets may do, as pure rules: or each call would decide anew what "finished" is.

A ticket::

    BLOCKED ──▶ READY ◀──▶ LEASED ──▶ DONE | REJECTED | FAILED

Finished are DONE, REJECTED and FAILED; each unblocks what waits for it, because a refused edit is an answer
and not an obstacle. One exception: a ticket about the same resource as a FAILED one fails with it, for a
critic has nothing to judge when the coder gave up. Tickets without a resource never fail in this way.
A ticket of a job that has ended, and that was not finished by then, has failed with the job.

A job::

    QUEUED ──▶ RUNNING ──▶ SUCCEEDED | FAILED | CANCELLED

Errors::

    JobsError
    ├── UnknownPlaybookError       there is no such playbook
    ├── JobNotFoundError           no such job in the caller's tenant
    ├── TicketNotFoundError        no such ticket in the job
    ├── ArtifactNotFoundError      the ticket has no artifact of that name
    ├── ProjectBusyError           the project has an unfinished job already
    ├── JobNotRunningError         the job has not begun, or has ended
    ├── TicketNotLeasedError       the ticket was finished or given back
    ├── TicketsUnfinishedError     a job cannot succeed with unfinished tickets
    ├── WrongTicketError           this ticket cannot be ended in this way
    └── InvalidPlanError           a plan whose tickets cannot all be worked on
"""

from __future__ import annotations

import graphlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import grpc

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.rpc import ErrorRule

LEASE_SECONDS: Final = 10
"""How long a ticket's holder may be silent before others may take its ticket."""
HEARTBEAT_SECONDS: Final = 3
CLAIM_WAIT_MILLISECONDS_MAX: Final = 10_000
RETURNS_MAX: Final = 3
"""A ticket that agents gave back this often has failed."""
EXPIRIES_MAX: Final = 10
"""A ticket whose holders fell silent this often in one agents' process fails: it may be what stops them."""
EXITS_WITHOUT_PROGRESS_MAX: Final = 5
"""A job fails when its agents' process ended this often without a ticket finished in between."""
RESTART_SECONDS_MIN: Final = 0.5
RESTART_SECONDS_MAX: Final = 10.0
PLANNED_TICKETS_MAX: Final = 3_000
DEPENDENTS_MAX: Final = 500
DECISIONS_MAX: Final = 200
WORDS_BYTES_MAX: Final = 512 << 10
"""Everything written in one call except artifacts and files, so that its transaction stays under 1 MB."""
PLAN_WORDS_BYTES_MAX: Final = 192 << 10
"""As above for the call that plans, whose transaction also makes thousands of tickets visible."""
ARTIFACTS_MAX: Final = 16
ARTIFACT_BYTES_MAX: Final = 8 << 20
FILES_MAX: Final = 100
NAME_CHARACTERS_MAX: Final = 200
TITLE_CHARACTERS_MAX: Final = 500
RESOURCE_CHARACTERS_MAX: Final = 4_096
TEXT_CHARACTERS_MAX: Final = 4_000
"""An outcome, a reason, a headline."""
SUMMARY_BYTES_MAX: Final = 384 << 10
PAGE_SIZE_MAX: Final = 500

FIRST_TITLE: Final = "Plan"

FINISHED_TICKETS: Final = frozenset({v1.TICKET_STATE_DONE, v1.TICKET_STATE_REJECTED, v1.TICKET_STATE_FAILED})
ENDED_JOBS: Final = frozenset({v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED})
WORKING_ROLES: Final = frozenset(
    {
        events.AGENT_ROLE_ARCHITECT,
        events.AGENT_ROLE_CODER,
        events.AGENT_ROLE_REVIEWER,
        events.AGENT_ROLE_ORCHESTRATOR,
        events.AGENT_ROLE_SCOUT,
        events.AGENT_ROLE_CRITIC,
    }
)

PLAYBOOKS: Final[Mapping[str, str]] = {
    "modernize": "Bring Python code to the newest syntax that its versions allow, module by module.",
}


class JobsError(Exception):
    """Base of all errors of this room."""


class UnknownPlaybookError(JobsError):
    """There is no such playbook."""

    def __init__(self, playbook: str) -> None:
        super().__init__(f"there is no such playbook; there is: {', '.join(sorted(PLAYBOOKS))}")
        self.playbook = playbook


class JobNotFoundError(JobsError):
    """No such job in the caller's tenant."""

    def __init__(self, job_id: str) -> None:
        super().__init__("there is no such job; list the jobs to see their ids")
        self.job_id = job_id


class TicketNotFoundError(JobsError):
    """No such ticket in the job."""

    def __init__(self, job_id: str, ticket_id: str) -> None:
        super().__init__("the job has no such ticket; list its tickets to see their ids")
        self.job_id = job_id
        self.ticket_id = ticket_id


class ArtifactNotFoundError(JobsError):
    """The ticket has no artifact of that name."""

    def __init__(self, ticket_id: str, name: str) -> None:
        super().__init__("the ticket has no artifact of this name")
        self.ticket_id = ticket_id
        self.name = name


class ProjectBusyError(JobsError):
    """The project has an unfinished job; two would move the same head against each other."""

    def __init__(self, project_id: str, job_id: str) -> None:
        super().__init__(f"the project has an unfinished job, {job_id}: wait until it ends, or cancel it")
        self.project_id = project_id
        self.job_id = job_id


class JobNotRunningError(JobsError):
    """The job has not begun, or has ended; nothing can be changed in its name."""

    def __init__(self, job_id: str, state: v1.JobState.ValueType) -> None:
        super().__init__("the job is not running")
        self.job_id = job_id
        self.state = v1.JobState.Name(state)


class TicketNotLeasedError(JobsError):
    """The ticket was finished or given back; what was done under its lease does not take effect."""

    def __init__(self, ticket_id: str) -> None:
        super().__init__("the ticket is not being worked on; claim one first")
        self.ticket_id = ticket_id


class TicketsUnfinishedError(JobsError):
    """A job cannot succeed while tickets are unfinished."""

    def __init__(self, job_id: str, unfinished: int) -> None:
        super().__init__("the job has unfinished tickets: finish them, or end the job as FAILED")
        self.job_id = job_id
        self.unfinished = unfinished


class WrongTicketError(JobsError):
    """This ticket cannot be ended in this way; the text says which can."""

    def __init__(self, text: str, ticket_id: str) -> None:
        super().__init__(text)
        self.ticket_id = ticket_id


class InvalidPlanError(JobsError):
    """A plan whose tickets cannot all be worked on; the text says why."""

    def __init__(self, text: str, key: str = "") -> None:
        super().__init__(text)
        self.key = key


ERRORS: Final[Mapping[type[Exception], ErrorRule]] = {
    UnknownPlaybookError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_PLAYBOOK"),
    JobNotFoundError: ErrorRule(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"),
    TicketNotFoundError: ErrorRule(grpc.StatusCode.NOT_FOUND, "TICKET_NOT_FOUND"),
    ArtifactNotFoundError: ErrorRule(grpc.StatusCode.NOT_FOUND, "ARTIFACT_NOT_FOUND"),
    ProjectBusyError: ErrorRule(grpc.StatusCode.FAILED_PRECONDITION, "PROJECT_BUSY"),
    JobNotRunningError: ErrorRule(grpc.StatusCode.FAILED_PRECONDITION, "JOB_NOT_RUNNING"),
    TicketNotLeasedError: ErrorRule(grpc.StatusCode.FAILED_PRECONDITION, "TICKET_NOT_LEASED"),
    TicketsUnfinishedError: ErrorRule(grpc.StatusCode.FAILED_PRECONDITION, "TICKETS_UNFINISHED"),
    WrongTicketError: ErrorRule(grpc.StatusCode.FAILED_PRECONDITION, "WRONG_TICKET"),
    InvalidPlanError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PLAN"),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """In whose name an event is recorded."""

    role: events.AgentRole.ValueType
    agent_id: str


PLATFORM: Final = Actor(events.AGENT_ROLE_PLATFORM, "platform")


def check_playbook(playbook: str) -> None:
    """Refuse a playbook that does not exist.

    Raises:
        UnknownPlaybookError: Naming those that do.
    """
    if playbook not in PLAYBOOKS:
        raise UnknownPlaybookError(playbook)


def fails_with(dependent: v1.Ticket, failed: v1.Ticket) -> bool:
    """Whether a ticket fails because the one it waits for failed."""
    return bool(failed.resource) and dependent.resource == failed.resource


def as_seen(ticket: v1.Ticket, job: v1.Job) -> v1.Ticket:
    """A ticket as people and agents see it: unfinished ones have failed with a job that ended."""
    if job.state not in ENDED_JOBS or ticket.state in FINISHED_TICKETS:
        return ticket
    seen = v1.Ticket()
    seen.CopyFrom(ticket)
    seen.state = v1.TICKET_STATE_FAILED
    seen.outcome = f"the job ended: {job.reason}" if job.reason else "the job ended"
    return seen


def check_plan(planned: Sequence[v1.PlannedTicket]) -> None:
    """Refuse a plan that cannot be worked through.

    A plan's last ticket, and no other, is the Orchestrator's: it ends the job.

    Args:
        planned: In the order in which tickets of one role are to be claimed.

    Raises:
        InvalidPlanError: With what to change.
    """
    if not planned or planned[-1].role != events.AGENT_ROLE_ORCHESTRATOR:
        raise InvalidPlanError("the last ticket of a plan must be the Orchestrator's, which ends the job")
    if len(planned) > PLANNED_TICKETS_MAX:
        raise InvalidPlanError(f"a plan may have at most {PLANNED_TICKETS_MAX} tickets: plan larger ones")
    for ticket in planned:
        _check_planned(ticket, is_last=ticket is planned[-1])
    _check_dependencies(planned)


def _check_planned(ticket: v1.PlannedTicket, *, is_last: bool) -> None:
    if not 0 < len(ticket.key) <= NAME_CHARACTERS_MAX:
        raise InvalidPlanError(f"a ticket's key must have 1 to {NAME_CHARACTERS_MAX} characters", ticket.key)
    if not 0 < len(ticket.title) <= TITLE_CHARACTERS_MAX:
        raise InvalidPlanError(
            f"a ticket's title must have 1 to {TITLE_CHARACTERS_MAX} characters", ticket.key
        )
    if len(ticket.resource) > RESOURCE_CHARACTERS_MAX:
        raise InvalidPlanError(
            f"a resource may have at most {RESOURCE_CHARACTERS_MAX} characters", ticket.key
        )
    if ticket.role not in WORKING_ROLES:
        raise InvalidPlanError("a ticket needs the role of an agent that works on tickets", ticket.key)
    if (ticket.role == events.AGENT_ROLE_ORCHESTRATOR) != is_last:
        raise InvalidPlanError("only the last ticket of a plan may be the Orchestrator's", ticket.key)
    if is_last and ticket.resource:
        raise InvalidPlanError(
            "the Orchestrator's last ticket is about the whole job: leave its resource empty"
        )


def _check_dependencies(planned: Sequence[v1.PlannedTicket]) -> None:
    graph = {ticket.key: set(ticket.depends_on) for ticket in planned}
    if len(graph) != len(planned):
        raise InvalidPlanError("two tickets of the plan have the same key")
    dependents = dict.fromkeys(graph, 0)
    for key, needed in graph.items():
        for other in needed:
            if other not in graph:
                raise InvalidPlanError("a ticket depends on a key that is not in the plan", key)
            dependents[other] += 1
    for key, count in dependents.items():
        if count > DEPENDENTS_MAX:
            raise InvalidPlanError(f"at most {DEPENDENTS_MAX} tickets may depend on one", key)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        raise InvalidPlanError(
            "tickets of the plan wait for each other in a circle", error.args[1][0]
        ) from error


def restart_delay_seconds(exits_without_progress: int) -> float:
    """How long to wait before an agents' process is started again: half a second, doubling to ten."""
    doublings = max(0, exits_without_progress - 1)
    return min(RESTART_SECONDS_MAX, math.ldexp(RESTART_SECONDS_MIN, doublings))
