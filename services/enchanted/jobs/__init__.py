# SPDX-License-Identifier: Apache-2.0
"""Jobs: work on a project, as tickets that agents do under leases.

A person runs a job; the supervisor starts its agents' process; the Orchestrator plans tickets; agents claim
them, hand in what they found with their reasons, and the accepted edits move the project's head. Each change
is one transaction with its lease, its ticket and its events, so that whatever dies costs only time.
"""

from enchanted.jobs.launcher import AgentsProcess, Assignment, Launcher, LaunchError, LocalLauncher
from enchanted.jobs.model import (
    ERRORS,
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    PLANNED_TICKETS_MAX,
    PLAYBOOKS,
    RESOURCE_CHARACTERS_MAX,
    ArtifactNotFoundError,
    InvalidPlanError,
    JobNotFoundError,
    JobNotRunningError,
    JobsError,
    ProjectBusyError,
    TicketNotFoundError,
    TicketNotLeasedError,
    TicketsUnfinishedError,
    UnknownPlaybookError,
    WrongTicketError,
)
from enchanted.jobs.service import JobsService, project_of_job
from enchanted.jobs.supervisor import JobTokens, Supervisor, Surroundings

__all__ = [
    "ERRORS",
    "HEARTBEAT_SECONDS",
    "LEASE_SECONDS",
    "PLANNED_TICKETS_MAX",
    "PLAYBOOKS",
    "RESOURCE_CHARACTERS_MAX",
    "AgentsProcess",
    "ArtifactNotFoundError",
    "Assignment",
    "InvalidPlanError",
    "JobNotFoundError",
    "JobNotRunningError",
    "JobTokens",
    "JobsError",
    "JobsService",
    "LaunchError",
    "Launcher",
    "LocalLauncher",
    "ProjectBusyError",
    "Supervisor",
    "Surroundings",
    "TicketNotFoundError",
    "TicketNotLeasedError",
    "TicketsUnfinishedError",
    "UnknownPlaybookError",
    "WrongTicketError",
    "project_of_job",
]
