# SPDX-License-Identifier: Apache-2.0
"""The second half of verification: each stored event against its leaf, and against what it says of itself.

The tree proves that the leaves are the signed ones; this proves that the events are the leaves'. Both are
sorted by place, so one merging pass over the two tells changed, removed and inserted events apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.generated.history.v1.events_pb2 import SwarmEvent
from enchanted.generated.history.v1.history_pb2 import RecordedEvent
from enchanted.history import inspection, records
from enchanted.history.findings import CheckName, Findings
from enchanted.history.inspection import PAGE_EVENTS_MAX, ScannedRow, Stream
from enchanted.history.model import (
    MAIN_TIMELINE,
    TIMELINE,
    InvalidPlaceError,
    Place,
    StoredRow,
    claimed_time_us,
    leaf_bytes,
    leaf_of,
    stored_event,
)
from enchanted.keyspace import Keyspace, TenantSpace


class EventWalk:
    """One pass over a log's events and leaves, up to a tree head."""

    def __init__(
        self, keyspace: Keyspace, space: TenantSpace, log: str, head: store.TreeHead, findings: Findings
    ) -> None:
        self._keyspace = keyspace
        self._space = space
        self._log = log
        self._size = head.size
        self._findings = findings
        self._last: Place | None = None
        self._sealed_time_us = 0
        self._indexed: Counter[str] = Counter()
        self._trees: dict[str, str] = {}

    async def run(self) -> None:
        """Walk, and report what is wrong."""
        events = self._stored_events()
        event = await anext(events, None)
        batch: list[tuple[StoredRow, store.Leaf]] = []
        async for leaf, encoded in self._stored_leaves():
            self._last = Place.of(leaf)
            while event is not None and event.place < self._last:
                self._report(CheckName.EVENTS, f"event {_named(event)} has no leaf: it was inserted")
                event = await anext(events, None)
            if event is None or event.place != self._last:
                self._report(CheckName.EVENTS, f"event {leaf.event_id} at {self._last} is missing")
                continue
            if encoded != leaf_bytes(leaf_of(event, leaf.index, leaf.sealed_time_us)):
                self._report(
                    CheckName.EVENTS, f"event {leaf.event_id} at {self._last} is not what was sealed"
                )
            batch.append((event, leaf))
            if len(batch) == PAGE_EVENTS_MAX or stored_event(event).parts_sha256:
                await self._open(batch)
                batch = []
            event = await anext(events, None)
        await self._open(batch)
        while event is not None:
            # What is not sealed yet is not compared, but malformed keys are told wherever they stand.
            event = await anext(events, None)
        await self._count_indexed()

    async def _stored_events(self) -> AsyncIterator[StoredRow]:
        stream = Stream(self._keyspace, self._space, records.EVENT, (self._log,), PAGE_EVENTS_MAX)
        while (row := await stream.next()) is not None:
            place = Place.of_elements(row.elements[1:])
            if place is None:
                self._report(
                    CheckName.EVENTS, "a row stands under a key that no writer makes: it was inserted"
                )
            else:
                yield StoredRow(place, row.value)

    async def _stored_leaves(self) -> AsyncIterator[tuple[store.Leaf, bytes]]:
        stream = Stream(self._keyspace, self._space, records.LEAF, (self._log,))
        for _ in range(self._size):
            row = await stream.next()
            if row is None:
                return
            try:
                yield store.Leaf.FromString(row.value), row.value
            except DecodeError:
                self._report(CheckName.EVENTS, "a leaf cannot be read, so its event cannot be compared")

    async def _open(self, batch: list[tuple[StoredRow, store.Leaf]]) -> None:
        rows = [row for row, _ in batch]
        opened = await self._keyspace.run(self._space, inspection.open_events, self._log, rows)
        for (row, leaf), recorded in zip(batch, opened.events, strict=True):
            if recorded is None:
                self._report(CheckName.CONTENT, f"event {_named(row)} does not open")
            else:
                self._content(row, leaf, recorded.event)
                self._chain(recorded)
                self._indexed[records.EVENT_ID.name] += 1
                for subspace, _ in records.index_entries(self._space, recorded.event):
                    self._indexed[subspace.name] += 1
            self._sealed_time_us = leaf.sealed_time_us
        for place, event_id, index in opened.misplaced:
            self._report(CheckName.INDEXES, f"'{index}' does not point at event {event_id} at {place}")

    def _content(self, row: StoredRow, leaf: store.Leaf, event: SwarmEvent) -> None:
        stored = stored_event(row)
        said = (event.event_id, claimed_time_us(event), event.tenant_id)
        if said != (stored.event_id, stored.claimed_time_us, self._space.tenant):
            self._report(
                CheckName.CONTENT, f"event {_named(row)} says another id, time or tenant than its row"
            )
        if leaf.sealed_time_us > max(self._sealed_time_us, stored.claimed_time_us):
            self._report(
                CheckName.SEALED_TIMES, f"event {_named(row)} is sealed under a later time than needed"
            )

    def _chain(self, recorded: RecordedEvent) -> None:
        change = recorded.event.state_change
        if change.target_type != TIMELINE:
            return
        timeline = recorded.event.timeline or MAIN_TIMELINE
        before = self._trees.get(timeline)
        if before is not None and before != change.previous_tree:
            place = Place.of(recorded)
            detail = f"event {recorded.event.event_id} at {place} does not begin where '{timeline}' stood"
            self._report(CheckName.TIMELINES, detail)
        self._trees[timeline] = change.new_tree

    async def _count_indexed(self) -> None:
        """Every event was found in its indexes; equal counts then say that nothing else is in them."""
        if self._findings.faults.keys() & {CheckName.CONTENT, CheckName.EVENTS}:
            because = "events are missing, inserted, or do not open"
            self._findings.give_up((CheckName.INDEXES, CheckName.TIMELINES), because)
            return
        for subspace in (records.EVENT_ID, *records.INDEXES):
            stream, count = Stream(self._keyspace, self._space, subspace, (self._log,)), 0
            while (row := await stream.next()) is not None:
                place = _indexed_place(row)
                count += place is None or (self._last is not None and place <= self._last)
            if count > self._indexed[subspace.name]:
                self._report(CheckName.INDEXES, f"'{subspace.name}' has entries that no event made")

    def _report(self, check: CheckName, detail: str) -> None:
        self._findings.report(check, detail)


def _named(row: StoredRow) -> str:
    event_id = stored_event(row).event_id
    return f"{event_id} at {row.place}" if event_id else f"at {row.place}"


def _indexed_place(row: ScannedRow) -> Place | None:
    """The place that an entry of an index points at: in its key, or as its value."""
    if not row.value:
        return Place.of_elements(row.elements[2:])
    try:
        return Place.from_bytes(row.value)
    except InvalidPlaceError:
        return None
