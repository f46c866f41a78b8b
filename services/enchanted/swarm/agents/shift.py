# SPDX-License-Identifier: Apache-2.0
"""An agent's shift: claim a ticket, do it while saying that one lives, and again, until the job has ended.

Whatever goes wrong with a ticket ends with the ticket given back and its reason recorded, or, if the agent is
killed, with the ticket's lease running out. A lost lease ends the work on that ticket at once, since nothing
done under it can take effect any more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import grpc
import structlog

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.client import JobsClient
from enchanted.rpc import CallError
from enchanted.sandbox import SandboxError
from enchanted.swarm.model import SwarmError

CLAIM_WAIT_MILLISECONDS: Final = 5_000
BEATS_PER_TERM: Final = 3
HUB_SILENT_SECONDS_MAX: Final = 30.0
RETRY_SECONDS: Final = 0.5
_WORKING: Final = frozenset({v1.JOB_STATE_QUEUED, v1.JOB_STATE_RUNNING})
_PASSING: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_LOST: Final = frozenset({"LEASE_LOST", "TICKET_NOT_LEASED", "JOB_NOT_RUNNING"})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A ticket and the right to do it."""

    ticket: v1.Ticket
    lease: v1.Lease


Perform = Callable[[Assignment], Awaitable[None]]


class HubLostError(Exception):
    """The hub has not answered for so long that this process is of no use."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One agent at work.

    Attributes:
        jobs: The hub's jobs.
        job_id: The one job.
        agent_id: The agent's name in the history.
        roles: What it can do.
        perform: Does a ticket to its end; whatever it raises gives the ticket back.
        beats_per_term: How often it says that it lives, within the term of a lease.
    """

    jobs: JobsClient
    job_id: str
    agent_id: str
    roles: Sequence[events.AgentRole.ValueType]
    perform: Perform
    beats_per_term: int = BEATS_PER_TERM

    async def work(self) -> None:
        """Work until the job has ended.

        Raises:
            HubLostError: If the hub is gone.
        """
        silent_since: float | None = None
        clock = asyncio.get_running_loop().time
        while True:
            try:
                claimed = await self.jobs.claim_ticket(
                    self.job_id, self.agent_id, self.roles, wait_milliseconds=CLAIM_WAIT_MILLISECONDS
                )
            except CallError as error:
                if error.code not in _PASSING:
                    raise
                silent_since = silent_since or clock()
                if clock() - silent_since > HUB_SILENT_SECONDS_MAX:
                    raise HubLostError from error
                await asyncio.sleep(RETRY_SECONDS)
                continue
            silent_since = None
            if claimed.job_state not in _WORKING:
                return
            if claimed.HasField("ticket"):
                await self._do(Assignment(claimed.ticket, claimed.lease))

    async def _do(self, assignment: Assignment) -> None:
        try:
            async with self._beating(assignment.lease):
                await self.perform(assignment)
        except _LeaseEnded:
            _log.info("the lease ended during the work", ticket=assignment.ticket.ticket_id)
        except CallError as error:
            if error.reason not in _LOST:
                await self._give_back(assignment, f"the hub refused: {error}")
        except (SwarmError, SandboxError, OSError) as error:
            await self._give_back(assignment, str(error))
        except Exception as error:  # noqa: BLE001 - an agent's own fault must not end the other agents
            _log.error("an agent failed", ticket=assignment.ticket.ticket_id, exc_info=error)
            await self._give_back(assignment, f"the agent failed: {type(error).__name__}")

    async def _give_back(self, assignment: Assignment, reason: str) -> None:
        try:
            await self.jobs.return_ticket(assignment.lease, reason)
        except CallError as error:
            # The lease runs out by itself, which gives the ticket back as well.
            _log.warning(
                "a ticket could not be given back", ticket=assignment.ticket.ticket_id, error=str(error)
            )

    @contextlib.asynccontextmanager
    async def _beating(self, lease: v1.Lease) -> AsyncIterator[None]:
        worker = asyncio.current_task()
        assert worker is not None, "agents run in tasks"
        ended = asyncio.Event()

        async def beat() -> None:
            while await self._still_held(lease):  # noqa: ASYNC110 - it asks the hub, not a variable
                await asyncio.sleep(lease.term_seconds / self.beats_per_term)
            ended.set()
            worker.cancel()

        beating = asyncio.create_task(beat())
        try:
            yield
        except asyncio.CancelledError:
            if ended.is_set() and worker.uncancel() == 0:
                raise _LeaseEnded from None
            raise
        finally:
            beating.cancel()

    async def _still_held(self, lease: v1.Lease) -> bool:
        try:
            return await self.jobs.heartbeat(lease) in _WORKING
        except CallError as error:
            return error.reason not in _LOST


class _LeaseEnded(Exception):  # noqa: N818 - not an error: the ticket is another agent's now
    """The lease ended while its ticket was being done."""
