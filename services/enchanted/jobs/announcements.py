# SPDX-License-Identifier: Apache-2.0
"""Events about jobs and tickets: every change here tells the project's history why, in its own transaction.

Who, where and when are added in one place, so that no event can leave them out or claim another agent's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from enchanted import history
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.model import Actor
from enchanted.keyspace import TenantSpace, Transaction, derived_id
from enchanted.workspace import MAIN, PreparedCommit

_SPAN_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Scene:
    """Where events happen: whose job, who acts, when, about which ticket."""

    job: store.JobRecord
    actor: Actor
    now_us: int
    ticket_id: str = ""

    def by(self, actor: Actor) -> Scene:
        """The same scene with another actor."""
        return replace(self, actor=actor)

    def about(self, ticket_id: str) -> Scene:
        """The same scene with another ticket."""
        return replace(self, ticket_id=ticket_id)


def signal(tr: Transaction, space: TenantSpace, scene: Scene, status: str, detail: str, *cause: str) -> None:
    """Record a job's or ticket's new state. Transactional; blind.

    Args:
        tr: The transaction.
        space: The tenant's.
        scene: Where it happened.
        status: The new state.
        detail: For people.
        cause: With job, ticket and status, what makes this event different from every other.
    """
    event_id = derived_id("evt", scene.job.job.job_id, scene.ticket_id, status, *cause)
    event = _envelope(scene, event_id)
    event.system_signal.CopyFrom(events.SystemSignal(status=status, detail=detail))
    _append(tr, space, event)


def decide(
    tr: Transaction, space: TenantSpace, scene: Scene, request_id: str, decisions: Iterable[v1.Decision]
) -> None:
    """Record what an agent decided. Transactional; blind."""
    for number, reported in enumerate(decisions):
        event_id = reported.event_id or derived_id("evt", request_id, "decision", str(number))
        event = _envelope(scene, event_id, reported.span_id)
        event.decision.CopyFrom(reported.decision)
        _append(tr, space, event)


def change_file(
    tr: Transaction, space: TenantSpace, scene: Scene, request_id: str, change: v1.FileChange
) -> None:
    """Record that a file has another content. Transactional; blind."""
    event = _envelope(scene, derived_id("evt", request_id, "file", change.path))
    after = f"sha256:{hashlib.sha256(change.content).hexdigest()}" if change.HasField("content") else ""
    event.state_change.CopyFrom(
        events.StateChange(
            target_type=history.FILE_SYSTEM,
            target_resource=change.path,
            previous_state_hash=change.previous_hash,
            new_state_hash=after,
            diff_patch=change.diff_patch,
            is_reversible=True,
        )
    )
    _append(tr, space, event)


def move_timeline(
    tr: Transaction, space: TenantSpace, scene: Scene, event_id: str, prepared: PreparedCommit
) -> None:
    """Record that the head of the timeline is another state. Transactional; blind."""
    event = _envelope(scene, event_id)
    event.state_change.CopyFrom(
        events.StateChange(
            target_type=history.TIMELINE,
            target_resource=MAIN,
            previous_state_hash=prepared.previous_state_hash,
            new_state_hash=prepared.new_state_hash,
            is_reversible=True,
            previous_tree=prepared.base.tree,
            new_tree=prepared.head.tree,
            commit_id=prepared.head.commit,
        )
    )
    _append(tr, space, event)


def _append(tr: Transaction, space: TenantSpace, event: events.SwarmEvent) -> None:
    history.append(tr, space, event.project_id, event)


def _envelope(scene: Scene, event_id: str, span_id: str = "") -> events.SwarmEvent:
    event = events.SwarmEvent(
        event_id=event_id,
        trace_id=scene.job.trace_id,
        span_id=span_id or hashlib.sha256(event_id.encode()).hexdigest()[:_SPAN_DIGITS],
        agent_role=scene.actor.role,
        agent_id=scene.actor.agent_id,
        user_id=scene.job.user_id,
        project_id=scene.job.job.project_id,
        timeline=MAIN,
        job_id=scene.job.job.job_id,
        ticket_id=scene.ticket_id,
    )
    event.timestamp.FromMicroseconds(scene.now_us)
    return event
