# SPDX-License-Identifier: Apache-2.0
"""Places, moments, what a leaf is and how a log grows; and what can go wrong. Pure.

Every reader and the verifier must agree to the byte on what a leaf commits to and on which sealed time an
event gets. Both rules stand here once, without a database, a clock or a key.

Errors::

    HistoryError
    ├── InvalidPlaceError          a text that names no place in a log
    ├── InvalidLogError            an id that cannot name a log
    ├── InvalidEventError          an event without an id, a time or a payload
    ├── EventTooLargeError         an event past what one record may hold
    ├── LogNotFoundError           no event was ever recorded there
    ├── CheckpointNotFoundError    no checkpoint of that size
    ├── BeforeHistoryError         a moment before the first event
    ├── SealingBehindError         a moment among too many events that are not sealed yet
    ├── PageTokenError             a page token or cursor of another list, or changed
    ├── LogForbiddenError          a job's token asked for another job's log
    ├── CheckpointError            a note that is malformed or not signed by the log
    └── TreeBrokenError            the stored tree contradicts its signed checkpoint
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.generated.history.v1.events_pb2 import SwarmEvent
from enchanted.generated.history.v1.history_pb2 import RecordedEvent
from enchanted.history import merkle
from enchanted.rpc import ErrorRule

VERSIONSTAMP_BYTES: Final = 12
EVENT_BYTES_MAX: Final = 4 << 20
FILE_SYSTEM: Final = "FILE_SYSTEM"
TIMELINE: Final = "TIMELINE"
MAIN_TIMELINE: Final = "main"
_INCARNATION_BYTES: Final = 8
_PLACE: Final = re.compile(r"([1-9][0-9]{0,17})-([0-9a-f]{24})")
# A log's id stands in the origin of its checkpoints, which has neither spaces nor plus signs.
_LOG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SECONDS_MAX: Final = 253_402_300_799
"""Last second of the year 9999, where RFC 3339 ends."""


class HistoryError(Exception):
    """Base of all errors of this room."""


class InvalidPlaceError(HistoryError):
    """The text names no place in a log."""

    def __init__(self, text: str) -> None:
        super().__init__("a place is written as the incarnation, a dash and 24 hexadecimal digits")
        self.text = text


class InvalidLogError(HistoryError):
    """The text cannot be the id of a log."""

    def __init__(self, log: str) -> None:
        super().__init__("a log is named by its project's id: small letters, digits, '_', '.' and '-'")
        self.log = log


class InvalidEventError(HistoryError):
    """An event lacks what every event has."""

    def __init__(self, event_id: str, field: str) -> None:
        super().__init__("an event needs an event_id, a timestamp before the year 10000, and a payload")
        self.event_id = event_id
        self.field = field


class EventTooLargeError(HistoryError):
    """An event is larger than a record may be."""

    def __init__(self, event_id: str, size_bytes: int) -> None:
        super().__init__("the event is too large; record the change in several events")
        self.event_id = event_id
        self.size_bytes = size_bytes
        self.size_bytes_max = EVENT_BYTES_MAX


class LogNotFoundError(HistoryError):
    """Nothing was ever recorded in the log."""

    def __init__(self, log: str) -> None:
        super().__init__("there is no such log; list the projects to see which there are")
        self.log = log


class CheckpointNotFoundError(HistoryError):
    """The log has no checkpoint of this size."""

    def __init__(self, log: str, size: int) -> None:
        super().__init__("there is no checkpoint of that size; ask for size 0 to get the newest")
        self.log = log
        self.size = size


class BeforeHistoryError(HistoryError):
    """The moment lies before the log's first event."""

    def __init__(self, log: str) -> None:
        super().__init__("that moment is before the first recorded event")
        self.log = log


class SealingBehindError(HistoryError):
    """The moment lies among more unsealed events than one transaction looks through."""

    def __init__(self, log: str) -> None:
        super().__init__("too many events are not sealed yet; try again in a moment")
        self.log = log


class PageTokenError(HistoryError):
    """A page token or cursor was not made for this list, or was changed."""

    def __init__(self) -> None:
        super().__init__("the page token is not one of this list; begin again without it")


class LogForbiddenError(HistoryError):
    """The token of a job reads the log of its own project only."""

    def __init__(self, log: str) -> None:
        super().__init__("this token may read only the history of its own job's project")
        self.log = log


class CheckpointError(HistoryError):
    """A checkpoint is malformed, of another log, or not validly signed; the text says which."""


class TreeBrokenError(HistoryError):
    """The stored tree head contradicts the newest signed checkpoint: something changed them."""

    def __init__(self, log: str) -> None:
        super().__init__("the stored tree head and the newest signed checkpoint differ; run verify")
        self.log = log


ERRORS: Final[Mapping[type[Exception], ErrorRule]] = {
    InvalidPlaceError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "PLACE_INVALID"),
    InvalidLogError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "LOG_INVALID"),
    InvalidEventError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "EVENT_INVALID"),
    EventTooLargeError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "EVENT_TOO_LARGE"),
    LogNotFoundError: ErrorRule(grpc.StatusCode.NOT_FOUND, "LOG_NOT_FOUND"),
    CheckpointNotFoundError: ErrorRule(grpc.StatusCode.NOT_FOUND, "CHECKPOINT_NOT_FOUND"),
    BeforeHistoryError: ErrorRule(grpc.StatusCode.NOT_FOUND, "BEFORE_HISTORY"),
    SealingBehindError: ErrorRule(grpc.StatusCode.UNAVAILABLE, "SEALING_BEHIND"),
    PageTokenError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    LogForbiddenError: ErrorRule(grpc.StatusCode.PERMISSION_DENIED, "LOG_FORBIDDEN"),
    CheckpointError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "CHECKPOINT_INVALID"),
    TreeBrokenError: ErrorRule(grpc.StatusCode.DATA_LOSS, "TREE_BROKEN"),
}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stands in the order of its log; places compare as the log is ordered.

    Attributes:
        incarnation: Of the tenant when the event was recorded; from 1.
        versionstamp: 12 bytes: commit version, order in the commit's batch, order in the transaction.
    """

    incarnation: int
    versionstamp: bytes

    def __str__(self) -> str:
        return f"{self.incarnation}-{self.versionstamp.hex()}"

    @staticmethod
    def parse(text: str) -> Place:
        """Read what ``str`` of a place makes.

        Raises:
            InvalidPlaceError: If the text is anything else.
        """
        matched = _PLACE.fullmatch(text)
        if matched is None:
            raise InvalidPlaceError(text)
        return Place(int(matched[1]), bytes.fromhex(matched[2]))

    @staticmethod
    def of(recorded: RecordedEvent | store.Leaf | store.TreeHead) -> Place:
        """Place of a recorded event, a leaf, or the last event of a tree head."""
        return Place(recorded.incarnation, recorded.versionstamp)

    @staticmethod
    def of_elements(elements: tuple[str | int | bytes, ...]) -> Place | None:
        """The place that the last elements of a key name; ``None`` if they name none."""
        match elements:
            case (int(incarnation), bytes(stamp)) if len(stamp) == VERSIONSTAMP_BYTES:
                return Place(incarnation, stamp)
            case _:
                return None

    def to_bytes(self) -> bytes:
        """20 bytes that sort as places do."""
        return self.incarnation.to_bytes(_INCARNATION_BYTES, "big") + self.versionstamp

    @staticmethod
    def from_bytes(encoded: bytes) -> Place:
        """Read what :meth:`to_bytes` makes.

        Raises:
            InvalidPlaceError: If it does not have 20 bytes.
        """
        if len(encoded) != _INCARNATION_BYTES + VERSIONSTAMP_BYTES:
            raise InvalidPlaceError(encoded.hex())
        return Place(int.from_bytes(encoded[:_INCARNATION_BYTES], "big"), encoded[_INCARNATION_BYTES:])


def incarnation_prefix(incarnation: int) -> bytes:
    """What stands before a stamp that the database fills in, so that :meth:`Place.from_bytes` reads both."""
    return incarnation.to_bytes(_INCARNATION_BYTES, "big")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events of a log, and in which order.

    Attributes:
        log: The project's id.
        job_id: Only of this job; empty for all.
        ticket_id: Only of this ticket; empty for all.
        newest_first: From the newest to the oldest.
    """

    log: str
    job_id: str = ""
    ticket_id: str = ""
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class StoredRow:
    """An event as it stands in the database."""

    place: Place
    value: bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """What sealing a batch writes.

    Attributes:
        leaves: New leaves with their canonical bytes, in order.
        nodes: Perfect subtrees that they completed.
        head: The tree after them.
    """

    leaves: tuple[tuple[store.Leaf, bytes], ...]
    nodes: tuple[merkle.Node, ...]
    head: store.TreeHead


def check_log(log: str) -> None:
    """Make sure that an id can name a log.

    Raises:
        InvalidLogError: If it cannot.
    """
    if not _LOG.fullmatch(log):
        raise InvalidLogError(log)


def check_event(event: SwarmEvent) -> None:
    """Make sure that an event has what every event has.

    Raises:
        InvalidEventError: If it lacks an id, a sensible time or a payload.
    """
    if not event.event_id:
        raise InvalidEventError("", "event_id")
    if not event.HasField("timestamp") or not 0 < event.timestamp.seconds <= _SECONDS_MAX:
        raise InvalidEventError(event.event_id, "timestamp")
    if event.WhichOneof("payload") is None:
        raise InvalidEventError(event.event_id, "payload")


def claimed_time_us(event: SwarmEvent) -> int:
    """When the writer says it happened, in UTC microseconds."""
    return event.timestamp.seconds * 1_000_000 + event.timestamp.nanos // 1000


def resource_of(event: SwarmEvent) -> str:
    """What the event is about: the target of a change, the subject of a decision, else nothing."""
    return event.state_change.target_resource or event.decision.subject


def sealed_time_us(previous_us: int, claimed_us: int, now_us: int) -> int:
    """Time under which an event is found: never before its predecessor's, never after the sealer's clock.

    A writer's clock that is ahead is cut to the sealer's, and one that is behind is lifted to the
    predecessor's, so that the order of times is the order of commits.
    """
    return max(previous_us, min(claimed_us, now_us))


def stored_event(row: StoredRow) -> store.StoredEvent:
    """What stands in a row; an empty message where that cannot be read.

    Sealing does not stop at a damaged event: it commits to what is stored; verification says what is wrong.
    """
    try:
        return store.StoredEvent.FromString(row.value)
    except DecodeError:
        return store.StoredEvent()


def leaf_bytes(leaf: store.Leaf) -> bytes:
    """The canonical bytes of a leaf, which the tree hashes: fields in order of number, defaults left out."""
    return leaf.SerializeToString(deterministic=True)


def leaf_of(row: StoredRow, index: int, sealed_us: int) -> store.Leaf:
    """The leaf that stands for a stored event."""
    return store.Leaf(
        index=index,
        incarnation=row.place.incarnation,
        versionstamp=row.place.versionstamp,
        sealed_time_us=sealed_us,
        event_id=stored_event(row).event_id,
        stored_sha256=hashlib.sha256(row.value).digest(),
    )


def grow(head: store.TreeHead, rows: Sequence[StoredRow], now_us: int) -> Growth:
    """Extend a log by the events that follow its last leaf.

    Args:
        head: The tree so far; an empty message for none.
        rows: Events after the head's place, in order; at least one.
        now_us: The sealer's clock, in UTC microseconds.
    """
    frontier = merkle.Frontier(head.size, tuple(head.frontier))
    sealed_us, leaves, nodes = head.sealed_time_us, [], []
    for row in rows:
        sealed_us = sealed_time_us(sealed_us, stored_event(row).claimed_time_us, now_us)
        leaf = leaf_of(row, frontier.size, sealed_us)
        encoded = leaf_bytes(leaf)
        leaves.append((leaf, encoded))
        frontier, completed = frontier.grow(merkle.leaf_hash(encoded))
        nodes.extend(completed)
    last = rows[-1].place
    grown = store.TreeHead(
        size=frontier.size,
        root_sha256=frontier.root(),
        incarnation=last.incarnation,
        versionstamp=last.versionstamp,
        sealed_time_us=sealed_us,
        frontier=frontier.hashes,
    )
    return Growth(tuple(leaves), tuple(nodes), grown)
