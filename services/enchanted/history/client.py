# SPDX-License-Identifier: Apache-2.0
"""The typed client of history, the same over a socket and inside the process.

It hides page tokens and cursors behind iterators, so that no caller forgets to go on, and nothing else: the
messages are the API's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import grpc

from enchanted.generated.history.v1 import history_pb2 as api
from enchanted.generated.history.v1 import history_pb2_grpc

VERIFY_SECONDS_MAX: Final = 900.0


class HistoryClient:
    """Calls history over a channel of :mod:`enchanted.rpc`; refused calls raise ``CallError``."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = history_pb2_grpc.HistoryStub(channel)

    async def list_events(
        self,
        log: str,
        *,
        job_id: str = "",
        ticket_id: str = "",
        newest_first: bool = False,
        page_size: int = 0,
    ) -> AsyncIterator[api.RecordedEvent]:
        """All events that the log has now, a page at a time as they are asked for.

        Args:
            log: The project's id.
            job_id: Only of this job.
            ticket_id: Only of this ticket.
            newest_first: From the newest to the oldest.
            page_size: Events a call; 0 for the service's choice.
        """
        request = api.ListEventsRequest(
            log=log, page_size=page_size, newest_first=newest_first, job_id=job_id, ticket_id=ticket_id
        )
        while True:
            response: api.ListEventsResponse = await self._stub.ListEvents(request)
            for event in response.events:
                yield event
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def watch_events(
        self, log: str, *, cursor: str = "", job_id: str = ""
    ) -> AsyncIterator[api.WatchEventsResponse]:
        """Events as they are recorded, a few at a time; each answer has the cursor to go on from later.

        Args:
            log: The project's id.
            cursor: Where to begin; empty for the beginning.
            job_id: Only of this job.
        """
        request = api.WatchEventsRequest(log=log, cursor=cursor, job_id=job_id)
        async for response in self._stub.WatchEvents(request):
            yield response

    async def get_checkpoint(self, log: str, size: int = 0) -> api.GetCheckpointResponse:
        """The log's signed checkpoint of a size; the newest for size 0."""
        response: api.GetCheckpointResponse = await self._stub.GetCheckpoint(
            api.GetCheckpointRequest(log=log, size=size)
        )
        return response

    async def verify_log(self, log: str, last_seen_note: str = "") -> api.VerifyLogResponse:
        """Have the whole log recomputed and checked; at most 15 minutes.

        Args:
            log: The project's id.
            last_seen_note: The last checkpoint that the caller kept; empty for none.
        """
        request = api.VerifyLogRequest(log=log, last_seen_note=last_seen_note)
        response: api.VerifyLogResponse = await self._stub.VerifyLog(request, timeout=VERIFY_SECONDS_MAX)
        return response
