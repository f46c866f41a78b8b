# SPDX-License-Identifier: Apache-2.0
"""History's records: events with their indexes, and the sealed tree over them.

Every key of the room is written here and nowhere else. Appending is blind, so that no act ever waits for
another's record; whatever needs an order of its own is made later by the one sealer of a log.

Subspaces of a tenant (room 1)::

    event/(log, incarnation, versionstamp)                    what happened
    event_part/(log, event_id, number)                        an event too large for one value
    event_id/(log, event_id)                                  its place
    by_trace|agent|ticket|job/(log, id, incarnation, stamp)   places by id
    by_resource/(log, hmac, incarnation, versionstamp)        places by what was changed or decided upon
    tip/(log)                                                 the newest place, for subscribers
    dirty/(log), dirty_tip                                    work for the sealer, and that there is some
    leaf/(log, index)                                         the tree's leaves
    node/(log, level, index)                                  its perfect subtrees
    tree/(log)                                                how far it is grown
    checkpoint/(log, size)                                    its signed heads
    sealed_time/(log, time, index)                            places by time

The module is longer than most because it is the one place that touches the room's keys.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import fdb
import fdb.tuple
from google.protobuf.message import DecodeError

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.generated.history.v1.events_pb2 import SwarmEvent
from enchanted.generated.history.v1.history_pb2 import RecordedEvent
from enchanted.history import merkle
from enchanted.history.model import (
    EVENT_BYTES_MAX,
    BeforeHistoryError,
    CheckpointNotFoundError,
    EventTooLargeError,
    Growth,
    Place,
    SealingBehindError,
    Selection,
    StoredRow,
    TreeBrokenError,
    check_event,
    check_log,
    claimed_time_us,
    incarnation_prefix,
    resource_of,
    stored_event,
)
from enchanted.keyspace import (
    KeyElement,
    KeyRange,
    Room,
    SealBrokenError,
    Sealing,
    Subspace,
    TenantSpace,
    Transaction,
    chunks,
    declare,
)

PAGE_BYTES_MAX: Final = 4 << 20
TAIL_EVENTS_MAX: Final = 1000
DIRTY_LOGS_MAX: Final = 100
_INLINE_BYTES_MAX: Final = 90_000
_VALUES_TOGETHER: Final = 50


def _declared(
    code: int, name: str, key: tuple[str, ...], value: str, why: str, sealing: Sealing = Sealing.PLAIN
) -> Subspace:
    return declare(Room.HISTORY, code, name, key=key, value=value, sealing=sealing, why=why)


_PLACES: Final = ("incarnation", "versionstamp")
_PLACE_VALUE: Final = "incarnation (8 bytes) and versionstamp (12 bytes)"
EVENT = _declared(
    0,
    "event",
    ("log", *_PLACES),
    "StoredEvent",
    "What happened, in the order of commits; id and claimed time are open, so that sealing needs no key.",
    Sealing.CONTENT,
)
EVENT_PART = _declared(
    1,
    "event_part",
    ("log", "event_id", "number"),
    "part of a sealed SwarmEvent",
    "Events over the limit of one value, which large diffs are.",
    Sealing.CONTENT,
)
EVENT_ID = _declared(
    2, "event_id", ("log", "event_id"), _PLACE_VALUE, "Finds an event by its id; a place is no text."
)
BY_TRACE = _declared(
    3, "by_trace", ("log", "trace_id", *_PLACES), "empty", "Finds what a trace did; ids only."
)
BY_AGENT = _declared(
    4, "by_agent", ("log", "agent_id", *_PLACES), "empty", "Finds what an agent did; ids only."
)
BY_TICKET = _declared(
    5, "by_ticket", ("log", "ticket_id", *_PLACES), "empty", "Finds a ticket's events; ids only."
)
BY_JOB = _declared(6, "by_job", ("log", "job_id", *_PLACES), "empty", "Finds a job's events; ids only.")
BY_RESOURCE = _declared(
    7,
    "by_resource",
    ("log", "resource_hmac", *_PLACES),
    "empty",
    "Finds what happened to a path; paths are HMACs under the tenant's search key.",
)
TIP = _declared(8, "tip", ("log",), _PLACE_VALUE, "Moves with each event, for subscribers to watch; a place.")
DIRTY = _declared(9, "dirty", ("log",), "empty", "Logs with unsealed events; ids only.")
DIRTY_TIP = _declared(
    10, "dirty_tip", (), _PLACE_VALUE, "The one key of a tenant that its sealer watches; a place."
)
LEAF = _declared(
    11,
    "leaf",
    ("log", "index"),
    "Leaf",
    "What the tree commits to; ids, times and hashes, to outlive erased keys.",
)
NODE = _declared(
    12,
    "node",
    ("log", "level", "index"),
    "SHA-256",
    "Perfect subtrees, so that proofs read log n keys; hashes.",
)
TREE = _declared(13, "tree", ("log",), "TreeHead", "How far the log is sealed; hashes and a place.")
CHECKPOINT = _declared(
    14,
    "checkpoint",
    ("log", "size"),
    "Checkpoint",
    "Signed tree heads, as they were handed out; made to be public.",
)
SEALED_TIME = _declared(
    15,
    "sealed_time",
    ("log", "sealed_time_us", "index"),
    _PLACE_VALUE,
    "Finds the last event of a moment; places.",
)
INDEXES: Final = (BY_TRACE, BY_AGENT, BY_TICKET, BY_JOB, BY_RESOURCE)


@dataclass(frozen=True, slots=True)
class DirtyLogs:
    """Logs with unsealed events, and the tip to wait on for more."""

    tip: bytes
    logs: tuple[str, ...]


def append(tr: Transaction, space: TenantSpace, log: str, event: SwarmEvent) -> int:
    """Record an event in the transaction of its effect.

    Transactional and blind: it reads nothing, so it conflicts with nobody. Called again it records again: the
    caller's idempotency record guards a repeated act, and an ``event_id`` is used once in a log.

    Args:
        tr: The transaction of the effect.
        space: The tenant's space; its id is written into the event.
        log: The project's id.
        event: With id, timestamp and payload; it is not changed.

    Returns:
        The user version: the last two bytes of the event's versionstamp.

    Raises:
        InvalidLogError: If ``log`` cannot name a log.
        InvalidEventError: If the event lacks what every event has.
        EventTooLargeError: If it is over 4 MiB.
    """
    check_log(log)
    check_event(event)
    recorded = SwarmEvent()
    recorded.CopyFrom(event)
    recorded.tenant_id = space.tenant
    recorded.project_id = event.project_id or log
    key, user_version = space.stamped_key(tr, EVENT, log)
    tr.set_versionstamped_key(key, _stored(tr, space, log, recorded))
    for subspace, element in index_entries(space, recorded):
        tr.set_versionstamped_key(space.stamped_key_again(user_version, subspace, log, element), b"")
    place = space.stamped_value(user_version, incarnation_prefix(space.incarnation))
    for place_key in (space.key(EVENT_ID, log, recorded.event_id), space.key(TIP, log), space.key(DIRTY_TIP)):
        tr.set_versionstamped_value(place_key, place)
    tr[space.key(DIRTY, log)] = b""
    return user_version


def index_entries(space: TenantSpace, event: SwarmEvent) -> list[tuple[Subspace, str | bytes]]:
    """In which indexes an event stands, and under what."""
    resource = resource_of(event)
    entries: tuple[tuple[Subspace, str | bytes], ...] = (
        (BY_TRACE, event.trace_id),
        (BY_AGENT, event.agent_id),
        (BY_TICKET, event.ticket_id),
        (BY_JOB, event.job_id),
        (BY_RESOURCE, space.index_key("resource", resource) if resource else b""),
    )
    return [(subspace, element) for subspace, element in entries if element]


def events_after(
    tr: Transaction,
    space: TenantSpace,
    log: str,
    after: Place | None,
    *,
    limit: int,
    newest_first: bool = False,
    job_id: str = "",
    ticket_id: str = "",
) -> list[RecordedEvent]:
    """Events of a log from a place on. By snapshot: it conflicts with nothing.

    Args:
        tr: Any transaction.
        space: The tenant's space.
        log: The project's id.
        after: The last event that the caller has; ``None`` to begin.
        limit: At most so many events; and never more than about 4 MiB.
        newest_first: Go from the newest to the oldest; ``after`` is then the oldest that the caller has.
        job_id: Only of this job.
        ticket_id: Only of this ticket.

    Returns:
        The next events; an empty list, and only that, says that there are no more.

    Raises:
        SealBrokenError: If an event was changed or its key is gone.
    """
    found: list[RecordedEvent] = []
    size_bytes = 0
    for row in rows(tr, space, Selection(log, job_id, ticket_id, newest_first), after):
        recorded = open_row(tr, space, log, row)
        if job_id and recorded.event.job_id != job_id:
            continue
        size_bytes += recorded.ByteSize()
        if found and size_bytes > PAGE_BYTES_MAX:
            break
        found.append(recorded)
        if len(found) >= limit:
            break
    return found


def place_of_event(tr: Transaction, space: TenantSpace, log: str, event_id: str) -> Place | None:
    """Where an event stands, or ``None`` if the log has none of this id. By snapshot."""
    stored = tr.snapshot[space.key(EVENT_ID, log, event_id)]
    return Place.from_bytes(bytes(stored)) if stored.present() else None


def place_at(tr: Transaction, space: TenantSpace, log: str, time_us: int) -> Place:
    """The last event at or before a moment. By snapshot.

    Sealed events are found by their sealed time. The few that are not sealed yet come under the time that
    their writers claim, lifted to their predecessors' as sealing will lift it.

    Args:
        tr: Any transaction.
        space: The tenant's space.
        log: The project's id.
        time_us: UTC microseconds.

    Raises:
        BeforeHistoryError: If the log begins later, or is empty.
        SealingBehindError: If more than 1,000 events would have to be scanned.
    """
    head = read_head(tr.snapshot, space, log)
    if head is not None and time_us < head.sealed_time_us:
        return _sealed_place_at(tr, space, log, time_us)
    found = None if head is None else Place.of(head)
    last_us = 0 if head is None else head.sealed_time_us
    for number, row in enumerate(rows(tr, space, Selection(log), found)):
        if number == TAIL_EVENTS_MAX:
            raise SealingBehindError(log)
        last_us = max(last_us, stored_event(row).claimed_time_us)
        if last_us > time_us:
            break
        found = row.place
    if found is None:
        raise BeforeHistoryError(log)
    return found


def read_tip(tr: Transaction, space: TenantSpace, log: str) -> bytes:
    """The tip's value, for ``TipWatcher.wait``; empty for a log without events. By snapshot."""
    stored = tr.snapshot[space.key(TIP, log)]
    return bytes(stored) if stored.present() else b""


def last_place(tr: Transaction, space: TenantSpace, log: str) -> Place | None:
    """Place of the newest event, from the events themselves. By snapshot."""
    return next((row.place for row in rows(tr, space, Selection(log, newest_first=True))), None)


def read_head(tr: Transaction, space: TenantSpace, log: str) -> store.TreeHead | None:
    """How far the log is sealed; ``None`` before anything was. Transactional: whoever builds on it conflicts.

    Raises:
        TreeBrokenError: If what is stored is no tree head.
    """
    stored = tr[space.key(TREE, log)]
    if not stored.present():
        return None
    try:
        return store.TreeHead.FromString(bytes(stored))
    except DecodeError as error:
        raise TreeBrokenError(log) from error


def read_checkpoint(tr: Transaction, space: TenantSpace, log: str, size: int) -> tuple[int, store.Checkpoint]:
    """The checkpoint of a size and its size; of size 0, the newest. By snapshot.

    Raises:
        CheckpointNotFoundError: If there is none.
        TreeBrokenError: If what is stored is no checkpoint.
    """
    if size == 0:
        keys = space.range(CHECKPOINT, log)
        newest = list(tr.snapshot.get_range(keys.begin, keys.end, limit=1, reverse=True))
        found = [(int(space.elements(CHECKPOINT, pair.key)[1]), bytes(pair.value)) for pair in newest]
    else:
        stored = tr.snapshot[space.key(CHECKPOINT, log, size)]
        found = [(size, bytes(stored))] if stored.present() else []
    if not found:
        raise CheckpointNotFoundError(log, size)
    try:
        return found[0][0], store.Checkpoint.FromString(found[0][1])
    except DecodeError as error:
        raise TreeBrokenError(log) from error


def read_inclusion_proof(tr: Transaction, space: TenantSpace, log: str, index: int, size: int) -> list[bytes]:
    """The audit path of a leaf in the tree of ``size`` leaves, from the stored nodes. By snapshot.

    A node that is missing makes a proof that does not verify.
    """
    needed: dict[tuple[int, int], fdb.Value] = {}

    def ask(level: int, at: int) -> bytes:
        needed[level, at] = tr.snapshot[space.key(NODE, log, level, at)]
        return b""

    # Once to issue the reads together, once to use them.
    merkle.inclusion_proof(index, size, ask)
    stored = {place: bytes(value) if value.present() else b"" for place, value in needed.items()}
    return merkle.inclusion_proof(index, size, lambda level, at: stored[level, at])


def read_leaf(tr: Transaction, space: TenantSpace, log: str, index: int) -> bytes:
    """The canonical bytes of a leaf; empty if there is none. By snapshot."""
    stored = tr.snapshot[space.key(LEAF, log, index)]
    return bytes(stored) if stored.present() else b""


def read_dirty_logs(tr: Transaction, space: TenantSpace) -> DirtyLogs:
    """At most 100 logs with unsealed events. By snapshot: a hint."""
    tip = tr.snapshot[space.key(DIRTY_TIP)]
    keys = space.range(DIRTY)
    found = tr.snapshot.get_range(keys.begin, keys.end, limit=DIRTY_LOGS_MAX)
    logs = tuple(str(space.elements(DIRTY, pair.key)[0]) for pair in found)
    return DirtyLogs(bytes(tip) if tip.present() else b"", logs)


def write_growth(
    tr: Transaction, space: TenantSpace, log: str, growth: Growth, previous_size: int, note: str
) -> None:
    """Write what sealing a batch made, with its signed checkpoint. Transactional.

    Args:
        tr: A transaction that read the tree head with a conflict.
        space: The tenant's space.
        log: The project's id.
        growth: Leaves, nodes and the new head.
        previous_size: Number of leaves before.
        note: The signed note over the new head.
    """
    for leaf, encoded in growth.leaves:
        tr[space.key(LEAF, log, leaf.index)] = encoded
        tr[space.key(SEALED_TIME, log, leaf.sealed_time_us, leaf.index)] = Place.of(leaf).to_bytes()
    for node in growth.nodes:
        tr[space.key(NODE, log, node.level, node.index)] = node.hash
    head = growth.head
    tr[space.key(TREE, log)] = head.SerializeToString(deterministic=True)
    checkpoint = store.Checkpoint(note=note, sealed_time_us=head.sealed_time_us, previous_size=previous_size)
    tr[space.key(CHECKPOINT, log, head.size)] = checkpoint.SerializeToString(deterministic=True)


def clear_dirty(tr: Transaction, space: TenantSpace, log: str) -> bool:
    """Take a log out of the dirty set, unless it has unsealed events. Transactional.

    Returns:
        Whether it had none. An event that commits meanwhile moves the tip, which is read with a conflict.
    """
    tr[space.key(TIP, log)].wait()
    head = read_head(tr, space, log)
    after = None if head is None else Place.of(head)
    if next(rows(tr, space, Selection(log), after), None) is not None:
        return False
    tr.clear(space.key(DIRTY, log))
    return True


def open_row(tr: Transaction, space: TenantSpace, log: str, row: StoredRow) -> RecordedEvent:
    """The event that stands in a row. By snapshot, where it stands in parts.

    Raises:
        SealBrokenError: If it was changed, or its key is gone.
    """
    stored = stored_event(row)
    sealed = stored.sealed
    if stored.WhichOneof("body") == "parts_sha256":
        sealed = _parts(tr, space, log, stored)
    try:
        event = SwarmEvent.FromString(space.unseal(EVENT, log, stored.event_id, sealed))
    except DecodeError as error:
        raise SealBrokenError(EVENT.name, stored.event_id) from error
    return RecordedEvent(incarnation=row.place.incarnation, versionstamp=row.place.versionstamp, event=event)


def _stored(tr: Transaction, space: TenantSpace, log: str, event: SwarmEvent) -> bytes:
    plain = event.SerializeToString()
    if len(plain) > EVENT_BYTES_MAX:
        raise EventTooLargeError(event.event_id, len(plain))
    sealed = space.seal(EVENT, log, event.event_id, plain)
    stored = store.StoredEvent(event_id=event.event_id, claimed_time_us=claimed_time_us(event))
    if len(sealed) <= _INLINE_BYTES_MAX:
        stored.sealed = sealed
    else:
        chunks.write(tr, space, EVENT_PART, (log, event.event_id), sealed)
        stored.parts_sha256 = hashlib.sha256(sealed).digest()
    return stored.SerializeToString(deterministic=True)


def _parts(tr: Transaction, space: TenantSpace, log: str, stored: store.StoredEvent) -> bytes:
    try:
        sealed = chunks.read(tr.snapshot, space, EVENT_PART, (log, stored.event_id)) or b""
    except ValueError as error:
        raise SealBrokenError(EVENT_PART.name, stored.event_id) from error
    if hashlib.sha256(sealed).digest() != stored.parts_sha256:
        raise SealBrokenError(EVENT_PART.name, stored.event_id)
    return sealed


def rows(
    tr: Transaction, space: TenantSpace, selection: Selection, after: Place | None = None
) -> Iterator[StoredRow]:
    """The stored events of a selection beyond a place, lazily; the caller sets the limit. By snapshot."""
    log = selection.log
    subspace: Subspace = EVENT
    within: tuple[str, ...] = (log,)
    if selection.ticket_id:
        subspace, within = BY_TICKET, (log, selection.ticket_id)
    elif selection.job_id:
        subspace, within = BY_JOB, (log, selection.job_id)
    keys = _beyond(space, subspace, within, after, newest_first=selection.newest_first)
    pairs = tr.snapshot.get_range(keys.begin, keys.end, reverse=selection.newest_first)
    placed = ((_place_in(space, subspace, pair.key), bytes(pair.value)) for pair in pairs)
    if subspace is EVENT:
        return (StoredRow(place, value) for place, value in placed if place is not None)
    return _fetched(tr, space, log, (place for place, _ in placed if place is not None))


def _fetched(tr: Transaction, space: TenantSpace, log: str, places: Iterator[Place]) -> Iterator[StoredRow]:
    """The events at some places, their reads issued together."""
    while together := list(itertools.islice(places, _VALUES_TOGETHER)):
        values = [tr.snapshot[space.key(EVENT, log, *key_elements(place))] for place in together]
        for place, value in zip(together, values, strict=True):
            yield StoredRow(place, bytes(value) if value.present() else b"")


def _beyond(
    space: TenantSpace,
    subspace: Subspace,
    within: tuple[str, ...],
    after: Place | None,
    *,
    newest_first: bool,
) -> KeyRange:
    keys = space.range(subspace, *within)
    if after is None:
        return keys
    last = space.key(subspace, *within, *key_elements(after))
    return KeyRange(keys.begin, last) if newest_first else KeyRange(last + b"\x00", keys.end)


def plain_elements(space: TenantSpace, subspace: Subspace, key: bytes) -> tuple[str | int | bytes, ...]:
    """A stored key's elements, stamps as their 12 bytes; none for a key that no writer of ours makes."""
    try:
        elements = space.elements(subspace, key)
    except (ValueError, IndexError, struct.error):
        return ()
    return tuple(
        bytes(element.to_bytes()) if isinstance(element, fdb.tuple.Versionstamp) else element
        for element in elements
    )


def _place_in(space: TenantSpace, subspace: Subspace, key: bytes) -> Place | None:
    """The place at the end of a key; ``None`` for a malformed key: no event, and verify tells it."""
    return Place.of_elements(plain_elements(space, subspace, key)[len(subspace.key) - len(_PLACES) :])


def key_elements(place: Place) -> tuple[KeyElement, KeyElement]:
    """A place as the end of a key."""
    return place.incarnation, fdb.tuple.Versionstamp.from_bytes(place.versionstamp)


def _sealed_place_at(tr: Transaction, space: TenantSpace, log: str, time_us: int) -> Place:
    keys = space.range(SEALED_TIME, log)
    end = space.key(SEALED_TIME, log, time_us + 1)
    found = list(tr.snapshot.get_range(keys.begin, max(keys.begin, end), limit=1, reverse=True))
    if not found:
        raise BeforeHistoryError(log)
    return Place.from_bytes(bytes(found[0].value))
