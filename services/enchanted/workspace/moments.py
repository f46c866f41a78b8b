# SPDX-License-Identifier: Apache-2.0
"""From what a person writes to a place in a project's history, and the state in effect there.

There are many ways to name a moment and one meaning: the state that was in effect once a certain
transaction had been committed. Every reader of the past goes through here, so that ``replay``, a diff and a
clone of the same text are the same bytes.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from enchanted.history import HistoryError, Place, place_at, place_of_event
from enchanted.keyspace import TenantSpace, Transaction
from enchanted.workspace import records
from enchanted.workspace.model import (
    AmbiguousCommitError,
    InvalidMomentError,
    Moment,
    MomentNotFoundError,
    State,
)
from enchanted.workspace.records import PlacedState

NOW: Final = "now"
_LAST_STAMP: Final = b"\xff" * 12
_EVENT: Final = re.compile(r"evt_[0-9a-z]{1,60}")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,40}")
_STAMP: Final = re.compile(r"[0-9a-f]{24}")
_AGO: Final = re.compile(r"-([0-9]{1,9})([smhdw])")
_UNITS_US: Final = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6, "w": 604_800 * 10**6}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NO_STATE: Final = "the project had no state yet at that moment; its first state is the import"


@dataclass(frozen=True, slots=True)
class AtTime:
    """The last event at or before a time, UTC microseconds."""

    time_us: int


@dataclass(frozen=True, slots=True)
class AtEvent:
    """The place of an event."""

    event_id: str


@dataclass(frozen=True, slots=True)
class AtDigits:
    """The state of a commit that begins so, or, with 24 digits, a versionstamp of this incarnation."""

    digits: str


Named: TypeAlias = Place | AtTime | AtEvent | AtDigits | None
"""What a text names; ``None`` is now."""


def parse_moment(text: str, now_us: int) -> Named:
    """Read what a person wrote.

    Args:
        text: See :class:`InvalidMomentError` for what is understood.
        now_us: UTC microseconds, for ``-5m`` and the like.

    Raises:
        InvalidMomentError: If it is anything else.
    """
    text = text.strip()
    if text in {"", NOW}:
        return None
    ago = _AGO.fullmatch(text)
    if ago:
        return AtTime(now_us - int(ago[1]) * _UNITS_US[ago[2]])
    if _EVENT.fullmatch(text):
        return AtEvent(text)
    if _COMMIT.fullmatch(text.lower()):
        return AtDigits(text.lower())
    try:
        return Place.parse(text)
    except HistoryError:
        return AtTime(_time_us(text))


def resolve(tr: Transaction, space: TenantSpace, project_id: str, named: Named, *, text: str) -> Moment:
    """The place and state of what was named. Transactional, by snapshot.

    Raises:
        MomentNotFoundError: If the project has no such event or commit, or no state yet there.
        AmbiguousCommitError: If several states have commits that begin so.
    """
    if isinstance(named, AtDigits):
        return _of_digits(tr, space, project_id, named.digits)
    place = _place(tr, space, project_id, named, text)
    state = records.state_at(tr, space, project_id, place)
    if state is None:
        raise MomentNotFoundError(_NO_STATE, text)
    return Moment(place, state)


def first_state(tr: Transaction, space: TenantSpace, project_id: str) -> State:
    """The imported state. Transactional, by snapshot.

    Raises:
        MomentNotFoundError: If there is none.
    """
    found = records.states(tr, space, project_id, beyond=None, limit=1, newest_first=False)
    if not found:
        raise MomentNotFoundError(_NO_STATE, "")
    return found[0]


def _place(tr: Transaction, space: TenantSpace, project_id: str, named: Named, text: str) -> Place:
    match named:
        case AtTime(time_us):
            try:
                return place_at(tr, space, project_id, time_us)
            except HistoryError as error:
                raise MomentNotFoundError(_NO_STATE, text) from error
        case AtEvent(event_id):
            place = place_of_event(tr, space, project_id, event_id)
            if place is None:
                raise MomentNotFoundError("the project's history has no event of this id", text)
            return place
        case Place():
            return named
        case _:
            return Place(space.incarnation, _LAST_STAMP)


def _of_digits(tr: Transaction, space: TenantSpace, project_id: str, digits: str) -> Moment:
    found = records.states_of_commit(tr, space, project_id, digits, limit=2)
    if len(found) > 1:
        raise AmbiguousCommitError(digits)
    if found:
        return _moment(found[0])
    state = None
    if _STAMP.fullmatch(digits):
        place = Place(space.incarnation, bytes.fromhex(digits))
        state = records.state_at(tr, space, project_id, place)
        if state is not None:
            return Moment(place, state)
    raise MomentNotFoundError("no state of the project has a commit that begins so", digits)


def _moment(found: PlacedState) -> Moment:
    return Moment(found.state.place, found.state)


def _time_us(text: str) -> int:
    try:
        time = dt.datetime.fromisoformat(text.replace("z", "Z"))
    except ValueError as error:
        raise InvalidMomentError(text) from error
    aware = time if time.tzinfo else time.replace(tzinfo=dt.UTC)
    try:
        return (aware - _EPOCH) // dt.timedelta(microseconds=1)
    except OverflowError as error:
        raise InvalidMomentError(text) from error
