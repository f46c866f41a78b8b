# SPDX-License-Identifier: Apache-2.0
"""A typed client of jobs, over either transport.

Every changing call carries a request id, so that a caller who lost an answer may ask again with the same id
and change nothing; callers who never repeat a call need not think of one.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Sequence

import grpc

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.generated.jobs.v1 import jobs_pb2_grpc
from enchanted.ids import new_id
from enchanted.rpc import CallError


def _new_request_id() -> str:
    return new_id("req", time.time_ns() // 1000, os.urandom)


class JobsClient:
    """Jobs, their tickets, and the agents' side of both; all calls raise ``CallError``."""

    def __init__(
        self, channel: grpc.aio.Channel, new_request_id: Callable[[], str] = _new_request_id
    ) -> None:
        """Speak to jobs over a channel.

        Args:
            channel: From ``rpc.connect``, or ``rpc.InProcessChannel``.
            new_request_id: Makes an id for calls that are given none.
        """
        self._stub = jobs_pb2_grpc.JobsStub(channel)
        self._new_request_id = new_request_id

    async def run_job(self, project_id: str, playbook: str, *, request_id: str = "") -> v1.Job:
        """Queue a job."""
        request = v1.RunJobRequest(
            request_id=request_id or self._new_request_id(), project_id=project_id, playbook=playbook
        )
        return (await self._stub.RunJob(request)).job

    async def get_job(self, job_id: str) -> v1.Job:
        """One job."""
        return (await self._stub.GetJob(v1.GetJobRequest(job_id=job_id))).job

    async def list_jobs(self, project_id: str = "") -> AsyncIterator[v1.Job]:
        """Jobs of a project, or of all, newest first."""
        token = ""
        while True:
            page = await self._stub.ListJobs(v1.ListJobsRequest(project_id=project_id, page_token=token))
            for job in page.jobs:
                yield job
            token = page.next_page_token
            if not token:
                return

    async def cancel_job(self, job_id: str, reason: str) -> v1.Job:
        """End a job before its time."""
        return (await self._stub.CancelJob(v1.CancelJobRequest(job_id=job_id, reason=reason))).job

    async def list_tickets(self, job_id: str) -> AsyncIterator[v1.Ticket]:
        """Tickets of a job in the order of its plan."""
        token = ""
        while True:
            page = await self._stub.ListTickets(v1.ListTicketsRequest(job_id=job_id, page_token=token))
            for ticket in page.tickets:
                yield ticket
            token = page.next_page_token
            if not token:
                return

    async def claim_ticket(
        self,
        job_id: str,
        agent_id: str,
        roles: Sequence[events.AgentRole.ValueType],
        *,
        wait_milliseconds: int = 0,
        request_id: str = "",
    ) -> v1.ClaimTicketResponse:
        """Lease a ticket of one of the roles; without ``ticket`` if there is none in the time."""
        request = v1.ClaimTicketRequest(
            request_id=request_id or self._new_request_id(),
            job_id=job_id,
            agent_id=agent_id,
            roles=roles,
            wait_milliseconds=wait_milliseconds,
        )
        return await self._stub.ClaimTicket(request)

    async def heartbeat(self, lease: v1.Lease) -> v1.JobState.ValueType:
        """Say that the holder lives; anything but RUNNING means: stop."""
        return (await self._stub.Heartbeat(v1.HeartbeatRequest(lease=lease))).job_state

    async def record_decisions(self, lease: v1.Lease, decisions: Sequence[v1.Decision]) -> None:
        """Add decisions to the history while the ticket goes on; each needs its event id."""
        await self._stub.RecordDecisions(v1.RecordDecisionsRequest(lease=lease, decisions=decisions))

    async def plan_tickets(
        self,
        lease: v1.Lease,
        tickets: Sequence[v1.PlannedTicket],
        *,
        decisions: Sequence[v1.Decision] = (),
        artifacts: Sequence[v1.Artifact] = (),
        request_id: str = "",
    ) -> Sequence[v1.Ticket]:
        """Complete the planning ticket, and make the tickets of the plan."""
        request = v1.PlanTicketsRequest(
            request_id=request_id or self._new_request_id(),
            lease=lease,
            tickets=tickets,
            decisions=decisions,
            artifacts=artifacts,
        )
        return (await self._stub.PlanTickets(request)).tickets

    async def complete_ticket(
        self,
        lease: v1.Lease,
        state: v1.TicketState.ValueType,
        *,
        outcome: str,
        decisions: Sequence[v1.Decision] = (),
        artifacts: Sequence[v1.Artifact] = (),
        request_id: str = "",
    ) -> v1.Ticket:
        """Finish a ticket as DONE or REJECTED."""
        request = v1.CompleteTicketRequest(
            request_id=request_id or self._new_request_id(),
            lease=lease,
            state=state,
            outcome=outcome,
            decisions=decisions,
            artifacts=artifacts,
        )
        return (await self._stub.CompleteTicket(request)).ticket

    async def accept_edit(
        self,
        lease: v1.Lease,
        *,
        expected_tree: str,
        files: Sequence[v1.FileChange],
        message: str,
        outcome: str,
        decisions: Sequence[v1.Decision] = (),
        artifacts: Sequence[v1.Artifact] = (),
        request_id: str = "",
    ) -> v1.AcceptEditResponse:
        """Move the head to what was checked, and finish the ticket; ABORTED if the head has moved."""
        request = v1.AcceptEditRequest(
            request_id=request_id or self._new_request_id(),
            lease=lease,
            expected_tree=expected_tree,
            files=files,
            message=message,
            outcome=outcome,
            decisions=decisions,
            artifacts=artifacts,
        )
        return await self._stub.AcceptEdit(request)

    async def return_ticket(self, lease: v1.Lease, reason: str) -> v1.Ticket:
        """Give a ticket back, for another agent."""
        return (await self._stub.ReturnTicket(v1.ReturnTicketRequest(lease=lease, reason=reason))).ticket

    async def finish_job(
        self,
        lease: v1.Lease,
        state: v1.JobState.ValueType,
        *,
        reason: str = "",
        summary: v1.JobSummary | None = None,
        decisions: Sequence[v1.Decision] = (),
        request_id: str = "",
    ) -> v1.Job:
        """End the job as SUCCEEDED or FAILED."""
        request = v1.FinishJobRequest(
            request_id=request_id or self._new_request_id(),
            lease=lease,
            state=state,
            reason=reason,
            summary=summary,
            decisions=decisions,
        )
        return (await self._stub.FinishJob(request)).job

    async def find_artifact(self, job_id: str, ticket_id: str, name: str) -> bytes | None:
        """What a ticket left under a name, or ``None``."""
        request = v1.GetArtifactRequest(job_id=job_id, ticket_id=ticket_id, name=name)
        try:
            return (await self._stub.GetArtifact(request)).artifact.content
        except CallError as error:
            if error.reason == "ARTIFACT_NOT_FOUND":
                return None
            raise
