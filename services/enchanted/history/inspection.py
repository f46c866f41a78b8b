# SPDX-License-Identifier: Apache-2.0
"""What the verifier reads: raw rows in pages, and whether anything stands where nothing may.

The readers that serve requests trust keys and indexes; a verifier that used them would miss what they skip.
These see every stored row, in bounded pages, and nothing but what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.generated.history.v1.history_pb2 import RecordedEvent
from enchanted.history import records
from enchanted.history.model import Place, StoredRow
from enchanted.history.records import CHECKPOINT, EVENT_ID, LEAF, NODE, SEALED_TIME, TIP
from enchanted.keyspace import KeyElement, Keyspace, SealBrokenError, Subspace, TenantSpace, Transaction

PAGE_ROWS_MAX: Final = 500
PAGE_EVENTS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class ScannedRow:
    """A stored row.

    Attributes:
        elements: Of the key, after the subspace's code, stamps as 12 bytes; none for a malformed key.
        value: As stored.
        key: To go on after.
    """

    elements: tuple[str | int | bytes, ...]
    value: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class OpenedEvents:
    """What opening some rows gave.

    Attributes:
        events: The event of each row, ``None`` where it does not open.
        misplaced: Place and id of an event, and the name of an index that does not point at it.
    """

    events: list[RecordedEvent | None]
    misplaced: list[tuple[Place, str, str]]


@dataclass(slots=True)
class Stream:
    """All rows within some elements of a subspace, read in bounded pages, a transaction each."""

    keyspace: Keyspace
    space: TenantSpace
    subspace: Subspace
    within: tuple[KeyElement, ...]
    rows_max: int = PAGE_ROWS_MAX
    _page: list[ScannedRow] = field(default_factory=list)
    _read: int = 0
    _last: bytes = b""
    _ended: bool = False

    async def peek(self) -> ScannedRow | None:
        """The row that :meth:`next` gives next."""
        if self._read == len(self._page) and not self._ended:
            arguments = (self.subspace, self.within, self._last, self.rows_max)
            self._page = await self.keyspace.run(self.space, scan, *arguments)
            self._read = 0
            self._ended = not self._page
        if self._ended:
            return None
        self._last = self._page[-1].key
        return self._page[self._read]

    async def next(self) -> ScannedRow | None:
        """The next row, or ``None`` after the last."""
        row = await self.peek()
        if row is not None:
            self._read += 1
        return row


def scan(
    tr: Transaction,
    space: TenantSpace,
    subspace: Subspace,
    within: tuple[KeyElement, ...],
    after: bytes,
    limit: int,
) -> list[ScannedRow]:
    """A page of rows; an empty list, and only that, says that there are no more. By snapshot.

    Args:
        tr: Any transaction.
        space: The tenant's space.
        subspace: One of this room's.
        within: First elements of the keys.
        after: Key of the last row that the caller has; empty to begin.
        limit: At most so many rows; and never more than about 4 MiB.
    """
    keys = space.range(subspace, *within)
    begin = after + b"\x00" if after else keys.begin
    rows: list[ScannedRow] = []
    size_bytes = 0
    for pair in tr.snapshot.get_range(begin, keys.end, limit=limit):
        elements = records.plain_elements(space, subspace, pair.key)
        rows.append(ScannedRow(elements, bytes(pair.value), bytes(pair.key)))
        size_bytes += len(pair.value)
        if size_bytes > records.PAGE_BYTES_MAX:
            break
    return rows


def read_head_and_strays(
    tr: Transaction, space: TenantSpace, log: str
) -> tuple[store.TreeHead | None, list[str]]:
    """The stored tree head, and the subspaces that do not end where it does. By snapshot.

    Both at one read version: sealing goes on, and another moment's head has other ends.

    Returns:
        The head, if there is one, and the names of the subspaces whose last row is not the head's last.

    Raises:
        TreeBrokenError: If what is stored is no tree head.
    """
    head = records.read_head(tr.snapshot, space, log)
    newest = records.last_place(tr, space, log)
    strays = [
        subspace.name
        for subspace, within, expected in ([] if head is None else _ends(log, head))
        if _last_key(tr, space, subspace, within) != space.key(subspace, *expected)
    ]
    if records.read_tip(tr, space, log) != (b"" if newest is None else newest.to_bytes()):
        strays.append(TIP.name)
    return head, strays


def open_events(tr: Transaction, space: TenantSpace, log: str, rows: Sequence[StoredRow]) -> OpenedEvents:
    """Open some rows, and look their events up in the indexes. By snapshot."""
    events = [_opened(tr, space, log, row) for row in rows]
    return OpenedEvents(events, _misplaced(tr, space, log, [event for event in events if event is not None]))


def _opened(tr: Transaction, space: TenantSpace, log: str, row: StoredRow) -> RecordedEvent | None:
    try:
        return records.open_row(tr, space, log, row)
    except SealBrokenError:
        return None


def _misplaced(
    tr: Transaction, space: TenantSpace, log: str, events: Sequence[RecordedEvent]
) -> list[tuple[Place, str, str]]:
    reads = []
    for recorded in events:
        place, event_id = Place.of(recorded), recorded.event.event_id
        reads.append((place, event_id, EVENT_ID, tr.snapshot[space.key(EVENT_ID, log, event_id)]))
        for subspace, element in records.index_entries(space, recorded.event):
            key = space.key(subspace, log, element, *records.key_elements(place))
            reads.append((place, event_id, subspace, tr.snapshot[key]))
    return [
        (place, event_id, subspace.name)
        for place, event_id, subspace, entry in reads
        if not entry.present() or bytes(entry) != (place.to_bytes() if subspace is EVENT_ID else b"")
    ]


_End = tuple[Subspace, tuple[KeyElement, ...], tuple[KeyElement, ...]]


def _ends(log: str, head: store.TreeHead) -> list[_End]:
    """For each subspace of the tree: within which elements, and which elements its last key has."""
    top = head.size.bit_length() - 1
    return [
        (LEAF, (log,), (log, head.size - 1)),
        (CHECKPOINT, (log,), (log, head.size)),
        (SEALED_TIME, (log,), (log, head.sealed_time_us, head.size - 1)),
        (NODE, (log,), (log, top, 0)),
        *((NODE, (log, level), (log, level, (head.size >> level) - 1)) for level in range(top)),
    ]


def _last_key(
    tr: Transaction, space: TenantSpace, subspace: Subspace, within: tuple[KeyElement, ...]
) -> bytes:
    keys = space.range(subspace, *within)
    return next(
        (bytes(pair.key) for pair in tr.snapshot.get_range(keys.begin, keys.end, limit=1, reverse=True)), b""
    )
