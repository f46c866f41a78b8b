# SPDX-License-Identifier: Apache-2.0
"""How a job begins and ends: each in one transaction, so that no project is left with half a job.

Ending clears the indexes of what can be claimed and leaves the tickets alone: the job's state fences every
effect (each reads the job's record), and says how its unfinished tickets ended. So cancelling a job of
thousands of tickets is as small a transaction as cancelling one of three.
"""

from __future__ import annotations

from dataclasses import dataclass

from enchanted import workspace
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import announcements, records
from enchanted.jobs.announcements import Scene
from enchanted.jobs.model import (
    ENDED_JOBS,
    FIRST_TITLE,
    Actor,
    JobNotRunningError,
    ProjectBusyError,
    check_playbook,
)
from enchanted.jobs.requests import Call, once
from enchanted.keyspace import TenantSpace, Transaction, derived_id, queue

QUEUE_NAME = "jobs"


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is asked for, and the ids that the caller made for it."""

    job_id: str
    trace_id: str
    project_id: str
    playbook: str


def run_job(tr: Transaction, space: TenantSpace, call: Call, new: NewJob) -> v1.Job:
    """Make a job with its planning ticket, and put it in the queue. Transactional; once per request.

    Raises:
        UnknownPlaybookError: If there is no such playbook.
        ProjectBusyError: If the project has an unfinished job.
        WorkspaceError: If there is no such project.
    """
    check_playbook(new.playbook)

    def effect() -> bytes:
        workspace.get_project(tr, space, new.project_id)
        open_job = records.open_job_of(tr, space, new.project_id)
        if open_job:
            raise ProjectBusyError(new.project_id, open_job)
        _create(tr, space, new, call.now_us)
        return new.job_id.encode()

    return records.read_job(tr, space, once(tr, space, call, effect).decode()).job


def cancel_job(tr: Transaction, space: TenantSpace, job_id: str, reason: str, now_us: int) -> v1.Job:
    """End a job before its time; agents see it by their next heartbeat. Transactional; again is the same.

    Raises:
        JobNotFoundError: If there is no such job.
        JobNotRunningError: If it ended by itself.
    """
    job = records.read_job(tr, space, job_id)
    if job.job.state == v1.JOB_STATE_CANCELLED:
        return job.job
    if job.job.state in ENDED_JOBS:
        raise JobNotRunningError(job_id, job.job.state)
    scene = Scene(job, Actor(events.AGENT_ROLE_OPERATOR, space.principal.subject), now_us)
    end_job(tr, space, scene, v1.JOB_STATE_CANCELLED, reason or "cancelled")
    return job.job


def end_job(
    tr: Transaction, space: TenantSpace, scene: Scene, state: v1.JobState.ValueType, reason: str
) -> None:
    """End a job, and let its project have another. Transactional; the scene's record is changed."""
    job = scene.job
    job.job.state = state
    job.job.reason = reason
    job.job.finished_time.FromMicroseconds(scene.now_us)
    if records.close_job(tr, space, job):
        queue.unpoint(tr, space, QUEUE_NAME)
    announcements.signal(tr, space, scene.about(""), _state_name(state), reason)
    records.move_job_tip(tr, space, job.job.job_id)
    records.move_work_tip(tr, space)


def begin_job(tr: Transaction, space: TenantSpace, scene: Scene) -> None:
    """Let agents claim tickets of a job that waited. Transactional; the scene's record is changed."""
    scene.job.job.state = v1.JOB_STATE_RUNNING
    announcements.signal(tr, space, scene, _state_name(v1.JOB_STATE_RUNNING), "")
    records.move_job_tip(tr, space, scene.job.job.job_id)


def _create(tr: Transaction, space: TenantSpace, new: NewJob, now_us: int) -> None:
    head = workspace.read_head(tr, space, new.project_id)
    job = v1.Job(
        job_id=new.job_id,
        project_id=new.project_id,
        playbook=new.playbook,
        state=v1.JOB_STATE_QUEUED,
        base_commit=head.commit if head is not None else "",
    )
    job.created_time.FromMicroseconds(now_us)
    record = store.JobRecord(job=job, trace_id=new.trace_id, user_id=space.principal.subject)
    records.create_job(tr, space, record)
    first = store.TicketRecord(
        ticket=v1.Ticket(
            ticket_id=derived_id("tkt", new.job_id, FIRST_TITLE),
            job_id=new.job_id,
            role=events.AGENT_ROLE_ORCHESTRATOR,
            title=FIRST_TITLE,
            state=v1.TICKET_STATE_READY,
        )
    )
    records.write_ticket(tr, space, record, first)
    records.place_ticket(tr, space, first)
    records.mark_ready(tr, space, first)
    records.set_planned_count(tr, space, new.job_id, 1)
    queue.point(tr, space, QUEUE_NAME)
    records.move_job_tip(tr, space, new.job_id)
    records.move_work_tip(tr, space)
    scene = Scene(record, Actor(events.AGENT_ROLE_OPERATOR, space.principal.subject), now_us)
    announcements.signal(tr, space, scene, _state_name(v1.JOB_STATE_QUEUED), new.playbook)


def _state_name(state: v1.JobState.ValueType) -> str:
    return v1.JobState.Name(state).removeprefix("JOB_STATE_")
