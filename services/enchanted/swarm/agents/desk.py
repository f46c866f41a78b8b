# SPDX-License-Identifier: Apache-2.0
"""What every role has on its desk: the job, the hub, the terrain, and a way to report."""

from __future__ import annotations

from dataclasses import dataclass

from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.client import JobsClient
from enchanted.swarm.agents.reporting import Reporter
from enchanted.swarm.agents.terrain import Terrain

PACK = "pack"
EDIT = "edit"
EXPECTATION = "expectation"
REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Desk:
    """Shared by all agents of the process.

    Attributes:
        job: The job as it was when the process started.
        jobs: The hub's jobs.
        terrain: The repository.
        report: Makes decisions.
    """

    job: v1.Job
    jobs: JobsClient
    terrain: Terrain
    report: Reporter

    async def artifact_of_dependency(self, ticket: v1.Ticket, name: str) -> bytes | None:
        """What the ticket before this one left under a name, or ``None`` if it left nothing."""
        for ticket_id in ticket.depends_on:
            found = await self.jobs.find_artifact(self.job.job_id, ticket_id, name)
            if found is not None:
                return found
        return None
