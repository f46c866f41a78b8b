# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ARG002 - names and signatures of the methods are gRPC's
"""The gRPC servicer of jobs: authorise, bound, call the records, answer.

An agents' token is good for one job. Every method asks :func:`_admit` first, so that a token taken from one
sandboxed process opens nothing of another job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from enchanted import workspace
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.generated.jobs.v1 import jobs_pb2_grpc
from enchanted.jobs import artifacts, claims, lifecycle, model, outcomes, plans, records, requests, tickets
from enchanted.jobs.outcomes import Report
from enchanted.keyspace import (
    BeatObserver,
    Keyspace,
    Principal,
    TenantSpace,
    TipWatcher,
    Transaction,
    derived_id,
    new_id,
)
from enchanted.rpc import InvalidRequestError, PermissionRefusedError, principal

_LOOK_AGAIN_SECONDS: Final = 1.0
_PAGE_SIZE: Final = 100
_TRACE_BYTES: Final = 16
# grpc's stubs make the context generic, which at run time it is not.
_Context = Any


class JobsService(jobs_pb2_grpc.JobsServicer):
    """Jobs, tickets, and the agents' side of both."""

    def __init__(
        self,
        keyspace: Keyspace,
        watcher: TipWatcher,
        now_us: Callable[[], int],
        monotonic_seconds: Callable[[], float],
    ) -> None:
        """Serve jobs.

        Args:
            keyspace: The database.
            watcher: Shared by all rooms of the process.
            now_us: UTC microseconds since 1970.
            monotonic_seconds: This process's own clock, by which leases expire.
        """
        self._keyspace = keyspace
        self._watcher = watcher
        self._now_us = now_us
        self._observer = BeatObserver(monotonic_seconds)

    async def RunJob(self, request: v1.RunJobRequest, context: _Context) -> v1.RunJobResponse:
        """Queue a job for a project that has none."""
        space = await self._space_of_owner()
        call = requests.call_of(request.request_id, request, self._now_us())
        new = lifecycle.NewJob(
            job_id=new_id("job", call.now_us, space.random_bytes),
            trace_id=space.random_bytes(_TRACE_BYTES).hex(),
            project_id=request.project_id,
            playbook=request.playbook,
        )
        return v1.RunJobResponse(job=await self._keyspace.run(space, lifecycle.run_job, call, new))

    async def GetJob(self, request: v1.GetJobRequest, context: _Context) -> v1.GetJobResponse:
        """One job."""
        space = await self._space_for_job(request.job_id)
        job = await self._keyspace.run(space, records.read_job_in_full, request.job_id)
        return v1.GetJobResponse(job=job)

    async def ListJobs(self, request: v1.ListJobsRequest, context: _Context) -> v1.ListJobsResponse:
        """Jobs, newest first, with the headline of their summaries; an agents' token sees its own alone."""
        caller = principal()
        if caller.job is not None:
            space = await self._space_for_job(caller.job)
            own = (await self._keyspace.run(space, records.read_job, caller.job)).job
            wanted = request.project_id in {"", own.project_id}
            return v1.ListJobsResponse(jobs=[own] if wanted else [])
        space = await self._keyspace.space(caller)
        limit = _page_size(request.page_size)
        found = await self._keyspace.run(
            space, records.list_jobs, project_id=request.project_id, before=request.page_token, limit=limit
        )
        jobs = [record.job for record in found]
        more = jobs[-1].job_id if len(jobs) == limit else ""
        return v1.ListJobsResponse(jobs=jobs, next_page_token=more)

    async def CancelJob(self, request: v1.CancelJobRequest, context: _Context) -> v1.CancelJobResponse:
        """End a job before its time."""
        space = await self._space_of_owner()
        requests.check_text("reason", request.reason)
        job = await self._keyspace.run(
            space, lifecycle.cancel_job, request.job_id, request.reason, self._now_us()
        )
        return v1.CancelJobResponse(job=job)

    async def ListTickets(self, request: v1.ListTicketsRequest, context: _Context) -> v1.ListTicketsResponse:
        """Tickets of a job in the order of its plan."""
        space = await self._space_for_job(request.job_id)
        first, limit = _place(request.page_token), _page_size(request.page_size)
        found = await self._keyspace.run(space, _tickets_as_seen, request.job_id, first, limit)
        more = str(first + limit) if len(found) == limit else ""
        return v1.ListTicketsResponse(tickets=found, next_page_token=more)

    async def ClaimTicket(self, request: v1.ClaimTicketRequest, context: _Context) -> v1.ClaimTicketResponse:
        """Lease a ticket; wait for one if there is none."""
        space = await self._space_for_job(request.job_id)
        _check_claim(request)
        wait_seconds = request.wait_milliseconds / 1000
        request.wait_milliseconds = 0
        call = requests.call_of(request.request_id, request, self._now_us())
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        while True:
            found = await self._keyspace.run(space, claims.claim, call, request, self._observer)
            remaining = deadline - loop.time()
            if found.ticket is not None or found.job_state in model.ENDED_JOBS or remaining <= 0:
                return v1.ClaimTicketResponse(
                    ticket=found.ticket, lease=found.lease, job_state=found.job_state
                )
            # Someone else's lease may run out without any change to wake us.
            pause = min(remaining, _LOOK_AGAIN_SECONDS) if found.others_hold else remaining
            await self._watcher.wait(space, records.JOB_TIP, (request.job_id,), found.tip, pause)

    async def Heartbeat(self, request: v1.HeartbeatRequest, context: _Context) -> v1.HeartbeatResponse:
        """Hear that an agent lives, and tell it how its job is."""
        space = await self._space_for_job(request.lease.job_id)
        return v1.HeartbeatResponse(job_state=await self._keyspace.run(space, claims.beat, request.lease))

    async def RecordDecisions(
        self, request: v1.RecordDecisionsRequest, context: _Context
    ) -> v1.RecordDecisionsResponse:
        """Add decisions to the history while their ticket goes on."""
        space = await self._space_for_job(request.lease.job_id)
        requests.check_words(request, request.decisions)
        for decision in request.decisions:
            requests.check_id("event_id", decision.event_id)
        request_id = derived_id("req", *(decision.event_id for decision in request.decisions))
        call = requests.call_of(request_id, request, self._now_us())
        await self._keyspace.run(space, outcomes.record_decisions, call, request.lease, request.decisions)
        return v1.RecordDecisionsResponse()

    async def PlanTickets(self, request: v1.PlanTicketsRequest, context: _Context) -> v1.PlanTicketsResponse:
        """Make the tickets of a plan."""
        space = await self._space_for_job(request.lease.job_id)
        model.check_plan(request.tickets)
        plan_bytes = sum(ticket.ByteSize() for ticket in request.tickets)
        apart_bytes = plan_bytes + requests.check_artifacts(request.artifacts)
        words_max = model.PLAN_WORDS_BYTES_MAX
        requests.check_words(request, request.decisions, apart_bytes=apart_bytes, bytes_max=words_max)
        call = requests.call_of(request.request_id, request, self._now_us())
        planned = plans.tickets_of_plan(request)
        report = Report(request.decisions)
        if await self._keyspace.run(space, requests.answered, call) is None:
            for batch in plans.batches(planned):
                await self._keyspace.run(space, plans.write_ahead, request.lease, batch)
            report = await self._report(space, request.lease, request.decisions, request.artifacts)
        await self._keyspace.run(space, outcomes.plan_tickets, call, request.lease, report, planned)
        return v1.PlanTicketsResponse(tickets=[record.ticket for record in planned])

    async def CompleteTicket(
        self, request: v1.CompleteTicketRequest, context: _Context
    ) -> v1.CompleteTicketResponse:
        """Finish a ticket."""
        space = await self._space_for_job(request.lease.job_id)
        if request.state not in {v1.TICKET_STATE_DONE, v1.TICKET_STATE_REJECTED}:
            raise InvalidRequestError("a ticket is completed as DONE or REJECTED; return it otherwise")
        requests.check_text("outcome", request.outcome)
        apart_bytes = requests.check_artifacts(request.artifacts)
        requests.check_words(request, request.decisions, apart_bytes=apart_bytes)
        call = requests.call_of(request.request_id, request, self._now_us())
        report = await self._report(space, request.lease, request.decisions, request.artifacts)
        ticket = await self._keyspace.run(space, outcomes.complete_ticket, call, request, report)
        self._forget(space, request.lease)
        return v1.CompleteTicketResponse(ticket=ticket)

    async def AcceptEdit(self, request: v1.AcceptEditRequest, context: _Context) -> v1.AcceptEditResponse:
        """Move the head to what was checked, and finish the ticket."""
        space = await self._space_for_job(request.lease.job_id)
        _check_edit(request)
        call = requests.call_of(request.request_id, request, self._now_us())
        earlier = await self._keyspace.run(space, outcomes.edit_accepted_before, call, request.lease)
        if earlier is not None:
            return earlier
        base = await self._keyspace.run(space, outcomes.base_of_edit, request)
        report = await self._report(space, request.lease, request.decisions, request.artifacts)
        prepared = await workspace.prepare_commit(
            self._keyspace,
            space,
            base.project_id,
            base.head,
            [_file_change(change) for change in request.files],
            author=base.author,
            message=request.message,
            now_us=call.now_us,
        )
        response = await self._keyspace.run(space, outcomes.accept_edit, call, request, report, prepared)
        self._forget(space, request.lease)
        return response

    async def ReturnTicket(
        self, request: v1.ReturnTicketRequest, context: _Context
    ) -> v1.ReturnTicketResponse:
        """Give a ticket back."""
        space = await self._space_for_job(request.lease.job_id)
        requests.check_text("reason", request.reason)
        lease = request.lease
        request_id = derived_id("req", "return", lease.ticket_id, lease.holder, str(lease.fencing_token))
        call = requests.call_of(request_id, request, self._now_us())
        ticket = await self._keyspace.run(space, outcomes.return_ticket, call, lease, request.reason)
        self._forget(space, lease)
        return v1.ReturnTicketResponse(ticket=ticket)

    async def FinishJob(self, request: v1.FinishJobRequest, context: _Context) -> v1.FinishJobResponse:
        """End a job with its summary."""
        space = await self._space_for_job(request.lease.job_id)
        if request.state not in {v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED}:
            raise InvalidRequestError("a job is finished as SUCCEEDED or FAILED")
        requests.check_text("reason", request.reason)
        requests.check_text("headline", request.summary.headline)
        requests.check_words(request, request.decisions, apart_bytes=request.summary.ByteSize())
        if request.summary.ByteSize() > model.SUMMARY_BYTES_MAX:
            raise InvalidRequestError(f"a job's summary may have {model.SUMMARY_BYTES_MAX} bytes")
        call = requests.call_of(request.request_id, request, self._now_us())
        report = Report(request.decisions)
        job = await self._keyspace.run(space, outcomes.finish_job, call, request, report)
        return v1.FinishJobResponse(job=job)

    async def GetArtifact(self, request: v1.GetArtifactRequest, context: _Context) -> v1.GetArtifactResponse:
        """What a ticket left under a name."""
        space = await self._space_for_job(request.job_id)
        project_id, record = await self._keyspace.run(
            space, _artifact, request.job_id, request.ticket_id, request.name
        )
        content = await artifacts.read(self._keyspace, space, project_id, record)
        return v1.GetArtifactResponse(artifact=v1.Artifact(name=record.name, content=content))

    async def _space_for_job(self, job_id: str) -> TenantSpace:
        caller = principal()
        _admit(caller, job_id)
        return await self._keyspace.space(caller)

    async def _space_of_owner(self) -> TenantSpace:
        caller = principal()
        if caller.job is not None:
            raise PermissionRefusedError("an agents' token cannot run or cancel jobs")
        return await self._keyspace.space(caller)

    async def _report(
        self,
        space: TenantSpace,
        lease: v1.Lease,
        decisions: Sequence[v1.Decision],
        found: Sequence[v1.Artifact],
    ) -> Report:
        if not found:
            return Report(decisions)
        project_id = await self._keyspace.run(space, records.project_of, lease.job_id)
        return Report(decisions, await artifacts.write_ahead(self._keyspace, space, project_id, found))

    def _forget(self, space: TenantSpace, lease: v1.Lease) -> None:
        self._observer.forget(space, tickets.lease_name(lease.ticket_id))


async def project_of_job(keyspace: Keyspace, caller: Principal) -> str | None:
    """The one project that a caller's token is for, or ``None`` for who is not bound to a job.

    Raises:
        JobNotFoundError: If the token is for a job that does not exist.
    """
    if caller.job is None:
        return None
    return await keyspace.run(await keyspace.space(caller), records.project_of, caller.job)


def _admit(caller: Principal, job_id: str) -> None:
    if caller.job is not None and caller.job != job_id:
        raise PermissionRefusedError("this token is for another job")


def _check_claim(request: v1.ClaimTicketRequest) -> None:
    requests.check_agent_id(request.agent_id)
    requests.check_id("request_id", request.request_id)
    if not request.roles or not set(request.roles) <= model.WORKING_ROLES:
        names = ", ".join(events.AgentRole.Name(role) for role in sorted(model.WORKING_ROLES))
        raise InvalidRequestError(f"roles must name one or more of {names}")
    if not 0 <= request.wait_milliseconds <= model.CLAIM_WAIT_MILLISECONDS_MAX:
        raise InvalidRequestError(f"wait_milliseconds must be 0 to {model.CLAIM_WAIT_MILLISECONDS_MAX}")


def _check_edit(request: v1.AcceptEditRequest) -> None:
    apart_bytes = requests.check_artifacts(request.artifacts) + requests.check_files(request.files)
    requests.check_words(request, request.decisions, apart_bytes=apart_bytes)
    requests.check_text("outcome", request.outcome)
    if not request.expected_tree:
        raise InvalidRequestError("expected_tree must name the tree on which the edit was checked")


def _file_change(change: v1.FileChange) -> workspace.FileChange:
    content = change.content if change.HasField("content") else None
    return workspace.FileChange(change.path, content, change.previous_hash)


def _page_size(asked: int) -> int:
    return min(asked, model.PAGE_SIZE_MAX) if asked > 0 else _PAGE_SIZE


def _place(token: str) -> int:
    if token and not (token.isascii() and token.isdecimal() and len(token) <= len(str(1 << 31))):
        raise InvalidRequestError("page_token must be one that an earlier page gave")
    return int(token or 0)


def _tickets_as_seen(
    tr: Transaction, space: TenantSpace, job_id: str, first: int, limit: int
) -> list[v1.Ticket]:
    job = records.read_job(tr, space, job_id)
    found = records.list_tickets(tr, space, job, first=first, limit=limit)
    return [model.as_seen(record.ticket, job.job) for record in found]


def _artifact(
    tr: Transaction, space: TenantSpace, job_id: str, ticket_id: str, name: str
) -> tuple[str, store.ArtifactRecord]:
    job = records.read_job(tr, space, job_id)
    return job.job.project_id, records.read_artifact(tr, space, job, ticket_id, name)
