# SPDX-License-Identifier: Apache-2.0
"""The gRPC face of history: who may read which log, pages, live streams, checkpoints and verification.

Pages go on where the last one ended, by a token that is bound to tenant, log and filters: a token that is
carried to another list, or changed, is refused rather than misread.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from enchanted.generated.history.v1 import history_pb2 as api
from enchanted.generated.history.v1 import history_pb2_grpc
from enchanted.history import records
from enchanted.history.model import (
    InvalidPlaceError,
    LogForbiddenError,
    LogNotFoundError,
    PageTokenError,
    Place,
    Selection,
)
from enchanted.history.sealer import Sealer
from enchanted.history.verification import verify_log
from enchanted.keyspace import Keyspace, Principal, TenantSpace, TipWatcher, Transaction
from enchanted.rpc import InvalidRequestError, principal

PAGE_EVENTS_DEFAULT: Final = 100
PAGE_EVENTS_MAX: Final = 1000
VERIFICATIONS_MAX: Final = 2
_TOKEN_MAC_BYTES: Final = 16
_Context = Any


class MayRead(Protocol):
    """Decides whether a principal may read a log of its own tenant."""

    async def __call__(self, principal: Principal, log: str) -> bool:
        """Whether it may."""


async def deny_jobs(principal: Principal, log: str) -> bool:  # noqa: ARG001 - the port's shape
    """The default: everyone of the tenant who has the scope, but no agents' process.

    Which project a job works on is known to a room above this one, which gives a port of its own that lets a
    job read its project's log.
    """
    return principal.job is None


class HistoryService(history_pb2_grpc.HistoryServicer):
    """Serves the history of the caller's tenant."""

    def __init__(
        self, keyspace: Keyspace, sealer: Sealer, watcher: TipWatcher, may_read: MayRead = deny_jobs
    ) -> None:
        self._keyspace = keyspace
        self._sealer = sealer
        self._watcher = watcher
        self._may_read = may_read
        self._verifications = asyncio.Semaphore(VERIFICATIONS_MAX)

    async def ListEvents(
        self,
        request: api.ListEventsRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.ListEventsResponse:
        """A page of events: 100 unless asked otherwise, at most 1,000 and about 4 MiB."""
        space = await self._opened(request.log)
        limit = _page_size(request.page_size)
        selection = Selection(request.log, request.job_id, request.ticket_id, request.newest_first)
        after = _place_of_token(space, selection, request.page_token)
        events = await self._keyspace.run(space, _read_page, selection, after, limit)
        if not events and after is None:
            await self._check_exists(space, request.log)
        token = _token(space, selection, Place.of(events[-1])) if events else ""
        return api.ListEventsResponse(events=events, next_page_token=token)

    async def WatchEvents(
        self,
        request: api.WatchEventsRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> AsyncIterator[api.WatchEventsResponse]:
        """Events from the cursor on, then new ones as they are recorded; never ends by itself."""
        space = await self._opened(request.log)
        selection = Selection(request.log, request.job_id)
        after = _place_of_token(space, selection, request.cursor)
        await self._check_exists(space, request.log)
        while True:
            tip, events = await self._keyspace.run(space, _read_on, selection, after)
            if events:
                after = Place.of(events[-1])
                yield api.WatchEventsResponse(events=events, cursor=_token(space, selection, after))
            else:
                await self._watcher.wait(space, records.TIP, (request.log,), tip)

    async def GetCheckpoint(
        self,
        request: api.GetCheckpointRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.GetCheckpointResponse:
        """A signed checkpoint of the log; the newest covers every event that is recorded now."""
        space = await self._opened(request.log)
        await self._check_exists(space, request.log)
        if request.size == 0:
            await self._sealer.seal_now(space, request.log)
        size, found = await self._keyspace.run(space, records.read_checkpoint, request.log, request.size)
        sealed_time = Timestamp()
        sealed_time.FromMicroseconds(found.sealed_time_us)
        return api.GetCheckpointResponse(
            note=found.note,
            size=size,
            sealed_time=sealed_time,
            verifier_key=self._verifier_key(space, request.log),
        )

    async def VerifyLog(
        self,
        request: api.VerifyLogRequest,
        context: _Context,  # noqa: ARG002 - grpc's shape
    ) -> api.VerifyLogResponse:
        """Recompute and check the whole log; two at a time in a process, others wait."""
        space = await self._opened(request.log)
        async with self._verifications:
            report = await verify_log(
                self._keyspace, space, request.log, self._sealer, request.last_seen_note
            )
        return api.VerifyLogResponse(
            checks=report.checks,
            size=report.size,
            note=report.note,
            verifier_key=self._verifier_key(space, request.log),
        )

    async def _opened(self, log: str) -> TenantSpace:
        caller = principal()
        if not log:
            raise InvalidRequestError("'log' is missing: name the project's id")
        if not await self._may_read(caller, log):
            raise LogForbiddenError(log)
        return await self._keyspace.space(caller)

    async def _check_exists(self, space: TenantSpace, log: str) -> None:
        if await self._keyspace.run(space, records.last_place, log) is None:
            raise LogNotFoundError(log)

    def _verifier_key(self, space: TenantSpace, log: str) -> str:
        return self._sealer.signer.verifier(space.tenant, log).verifier_key


def _page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidRequestError("'page_size' is negative: give 1 to 1000, or 0 for 100")
    return min(asked or PAGE_EVENTS_DEFAULT, PAGE_EVENTS_MAX)


def _read_page(
    tr: Transaction, space: TenantSpace, selection: Selection, after: Place | None, limit: int
) -> list[api.RecordedEvent]:
    return records.events_after(
        tr,
        space,
        selection.log,
        after,
        limit=limit,
        newest_first=selection.newest_first,
        job_id=selection.job_id,
        ticket_id=selection.ticket_id,
    )


def _read_on(
    tr: Transaction, space: TenantSpace, selection: Selection, after: Place | None
) -> tuple[bytes, list[api.RecordedEvent]]:
    """The tip and the events up to it, at one read version, so that no event falls between them."""
    tip = records.read_tip(tr, space, selection.log)
    return tip, _read_page(tr, space, selection, after, PAGE_EVENTS_DEFAULT)


def _token(space: TenantSpace, selection: Selection, place: Place) -> str:
    encoded = place.to_bytes()
    return base64.urlsafe_b64encode(encoded + _mac(space, selection, encoded)).decode()


def _place_of_token(space: TenantSpace, selection: Selection, token: str) -> Place | None:
    if not token:
        return None
    try:
        decoded = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        encoded, mac = decoded[:-_TOKEN_MAC_BYTES], decoded[-_TOKEN_MAC_BYTES:]
        place = Place.from_bytes(encoded)
    except (binascii.Error, ValueError, InvalidPlaceError) as error:
        raise PageTokenError from error
    if not hmac.compare_digest(mac, _mac(space, selection, encoded)):
        raise PageTokenError
    return place


def _mac(space: TenantSpace, selection: Selection, encoded: bytes) -> bytes:
    fields = (
        selection.log,
        selection.job_id,
        selection.ticket_id,
        str(selection.newest_first),
        encoded.hex(),
    )
    return space.index_key("page_token", "\x00".join(fields))
