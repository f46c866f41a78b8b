# SPDX-License-Identifier: Apache-2.0
"""What the supervisor writes down: that an agents' process was started, and that it ended by itself.

Without the count, a job whose agents die at once would be started for ever; without knowing which tickets
were finished in between, a long job would fail for a handful of unrelated deaths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import announcements, claims, records
from enchanted.jobs.announcements import Scene
from enchanted.jobs.lifecycle import begin_job, end_job
from enchanted.jobs.model import ENDED_JOBS, EXITS_WITHOUT_PROGRESS_MAX, PLATFORM
from enchanted.jobs.requests import Call, once
from enchanted.keyspace import TenantSpace, Transaction

STARTING: Final = "STARTING"
STOPPED: Final = "STOPPED"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands for its supervisor.

    Attributes:
        project_id: The job's project.
        state: The job's state.
        exits_without_progress: How often its agents' process ended since a ticket was last finished.
        tip: The job's tip at the time, to wait from.
    """

    project_id: str
    state: v1.JobState.ValueType
    exits_without_progress: int
    tip: bytes

    @property
    def ended(self) -> bool:
        """Whether the job needs no process any more."""
        return self.state in ENDED_JOBS


def standing(tr: Transaction, space: TenantSpace, job_id: str) -> Standing:
    """How a job stands. Transactional."""
    record = records.read_job(tr, space, job_id)
    tip = records.job_tip(tr, space, job_id)
    return Standing(record.job.project_id, record.job.state, record.exits_without_progress, tip)


def process_starts(tr: Transaction, space: TenantSpace, call: Call, job_id: str) -> Standing:
    """Record that an agents' process is about to start; the job runs from now on.

    Transactional; once per call. The tickets that an earlier process held are free again.
    """

    def effect() -> bytes:
        record = records.read_job(tr, space, job_id)
        if record.job.state in ENDED_JOBS:
            return b""
        scene = Scene(record, PLATFORM, call.now_us)
        record.job.starts += 1
        detail = f"agents' process, start {record.job.starts}"
        announcements.signal(tr, space, scene, STARTING, detail, str(record.job.starts))
        if record.job.state == v1.JOB_STATE_QUEUED:
            begin_job(tr, space, scene)
        claims.reclaim(tr, space, scene)
        records.write_job(tr, space, record)
        return b""

    once(tr, space, call, effect)
    return standing(tr, space, job_id)


def process_exited(tr: Transaction, space: TenantSpace, call: Call, job_id: str, detail: str) -> Standing:
    """Record that an agents' process ended by itself; the fifth time without progress the job fails.

    Transactional; once per call. Nothing is recorded of a job that has ended.

    Args:
        tr: The transaction.
        space: The tenant's.
        call: With an id of its own for each exit.
        job_id: Whose process.
        detail: How it ended, for people.
    """

    def effect() -> bytes:
        record = records.read_job(tr, space, job_id)
        if record.job.state in ENDED_JOBS:
            return b""
        finished = records.finished_count(tr, space, job_id)
        progress = finished > record.finished_at_exit
        record.exits_without_progress = 1 if progress else record.exits_without_progress + 1
        record.finished_at_exit = finished
        scene = Scene(record, PLATFORM, call.now_us)
        announcements.signal(tr, space, scene, STOPPED, detail, str(record.job.starts))
        if record.exits_without_progress < EXITS_WITHOUT_PROGRESS_MAX:
            records.write_job(tr, space, record)
        else:
            count = record.exits_without_progress
            reason = f"its agents' process ended {count} times without finishing a ticket, last: {detail}"
            end_job(tr, space, scene, v1.JOB_STATE_FAILED, reason)
        return b""

    once(tr, space, call, effect)
    return standing(tr, space, job_id)
