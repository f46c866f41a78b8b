# SPDX-License-Identifier: Apache-2.0
"""Verification: read everything a project is made of again, and name the first things that do not fit.

Encryption already refuses bytes that were changed in place; it does not notice what is gone, what was put
back from an older backup, or a head that points elsewhere. So objects are hashed, with SHA-1 and SHA-256,
from the states down; states are compared with each other, with the head, and one by one with the events that
tell of them; and every event of a state change must have its state. Nothing is taken from a cache.

Blocks: call it in a thread. Many small transactions: states that come while it runs may or may not be seen.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from enchanted import history
from enchanted.generated.history.v1.events_pb2 import Check, SwarmEvent
from enchanted.generated.history.v1.history_pb2 import RecordedEvent
from enchanted.history import Place
from enchanted.keyspace import Keyspace, SealBrokenError, StoreDamagedError, TenantSpace, Transaction
from enchanted.workspace import records
from enchanted.workspace.commit_walk import links_of
from enchanted.workspace.model import (
    MAIN,
    Head,
    ObjectId,
    State,
    StoredStateBrokenError,
)
from enchanted.workspace.object_store import READ_OBJECTS_MAX, ObjectStore
from enchanted.workspace.objects import (
    GitObject,
    ObjectKind,
    blob_sha256,
    object_id,
    parse_id,
    state_hash,
    tree_entries,
    tree_sha256,
)

FAULTS_SHOWN_MAX: Final = 5
_PAGE: Final = 200
_STAMP_SHARED_BYTES: Final = 10
_UNREADABLE: Final = "a part of the store cannot be read: its checksum is wrong"


class CheckName(enum.StrEnum):
    """What is checked."""

    OBJECTS = "objects"
    STATES = "states"
    EVENTS = "events"
    HEAD = "head"


@dataclass(slots=True)
class _Findings:
    faults: dict[CheckName, list[str]] = field(default_factory=dict)

    def report(self, check: CheckName, fault: str) -> None:
        self.faults.setdefault(check, []).append(fault)

    def check(self, check: CheckName, looked_at: str) -> Check:
        faults = self.faults.get(check, [])
        shown = "; ".join(faults[:FAULTS_SHOWN_MAX])
        more = f"; and {len(faults) - FAULTS_SHOWN_MAX} more" if len(faults) > FAULTS_SHOWN_MAX else ""
        return Check(name=check, passed=not faults, detail=shown + more if faults else looked_at)


def verify_project(keyspace: Keyspace, space: TenantSpace, project_id: str) -> list[Check]:
    """Check everything that is stored of a project.

    Returns:
        One check each for objects, states, events and head, with what was looked at or what is wrong.
    """
    findings = _Findings()
    log = _Log(keyspace, space, project_id, findings)
    # Agents go on while this runs. Events that were there before the states were read must have a state, and
    # states must have an event once those are read that came meanwhile.
    before = log.state_changes()
    states, head = _read_states(keyspace, space, project_id, findings)
    _check_chain(states, head, findings)
    walk = _ObjectWalk(ObjectStore(keyspace, space, project_id), findings)
    walk.run(states)
    events = _EventWalk(states, walk.sha256, findings)
    events.compare(before, log.state_changes())
    return [
        findings.check(CheckName.OBJECTS, f"{walk.count} objects match their names"),
        findings.check(CheckName.STATES, f"{len(states)} states follow each other"),
        findings.check(CheckName.EVENTS, f"{events.count} state changes are told by their events"),
        findings.check(CheckName.HEAD, "the head is the newest state"),
    ]


def _read_states(
    keyspace: Keyspace, space: TenantSpace, project_id: str, findings: _Findings
) -> tuple[list[State], Head | None]:
    """All states, oldest first, and the head as it was with the last of them."""
    states: list[State] = []
    head: Head | None = None
    complete = False
    try:
        while not complete:
            last = states[-1].place if states else None
            page, head = keyspace.transact(space, _states_and_head, project_id, last)
            states += page
            complete = len(page) < _PAGE
    except StoredStateBrokenError as error:
        findings.report(CheckName.STATES, f"a stored {error.what} cannot be read ({error.name})")
    except StoreDamagedError:
        findings.report(CheckName.STATES, _UNREADABLE)
    return states, head


def _states_and_head(
    tr: Transaction, space: TenantSpace, project_id: str, last: Place | None
) -> tuple[list[State], Head | None]:
    page = records.states(tr, space, project_id, beyond=last, limit=_PAGE, newest_first=False)
    return page, records.read_head(tr, space, project_id)


def _check_chain(states: list[State], head: Head | None, findings: _Findings) -> None:
    if not states:
        findings.report(CheckName.STATES, "the project has no state")
    previous_tree = ""
    for state in states:
        if state.previous_tree != previous_tree:
            findings.report(CheckName.STATES, f"the state at {state.place} does not follow the one before it")
        previous_tree = state.head.tree
    if head is None:
        findings.report(CheckName.HEAD, "the head is missing")
    elif states and head != states[-1].head:
        findings.report(CheckName.HEAD, f"the head is commit {head.commit}, the newest state is not")


class _ObjectWalk:
    """Reads every object that states reach, once, and names those that are missing or changed.

    Attributes:
        count: How many were read and match their names.
        sha256: SHA-256 names of the states' trees, by their SHA-1 names.
    """

    def __init__(self, store: ObjectStore, findings: _Findings) -> None:
        self.count = 0
        self.sha256: dict[str, bytes] = {}
        self._store = store
        self._findings = findings
        # What each object must be: its kind, and its SHA-256 name where a tree told it.
        self._expected: dict[ObjectId, tuple[ObjectKind, bytes]] = {}
        self._pending: list[ObjectId] = []

    def run(self, states: Iterable[State]) -> None:
        """Walk from the states down."""
        for state in states:
            try:
                self._expect(parse_id(state.head.commit), ObjectKind.COMMIT)
                self._expect(parse_id(state.head.tree), ObjectKind.TREE)
            except ValueError:
                self._findings.report(CheckName.STATES, f"the state at {state.place} names no commit or tree")
        while self._pending:
            batch, self._pending = self._pending[:READ_OBJECTS_MAX], self._pending[READ_OBJECTS_MAX:]
            for found, opened in self._read(batch):
                self._check(found, opened)

    def _expect(self, wanted: ObjectId, kind: ObjectKind, sha256: bytes = b"") -> None:
        present = self._expected.get(wanted)
        if present is None:
            self._pending.append(wanted)
        elif present[0] is not kind or (present[1] and sha256 and present[1] != sha256):
            self._fault(wanted, "is named as two different things")
        if present is None or (not present[1] and sha256):
            self._expected[wanted] = (kind, sha256)

    def _read(self, batch: list[ObjectId]) -> Iterator[tuple[ObjectId, GitObject]]:
        rest = list(batch)
        try:
            for found, opened in self._store.iterate(batch):
                rest.pop(0)
                yield found, opened
        except (StoredStateBrokenError, StoreDamagedError):
            if len(rest) == 1:
                self._fault(rest[0], "is missing or was changed")
                return
            middle = len(rest) // 2
            yield from self._read(rest[:middle])
            yield from self._read(rest[middle:])

    def _check(self, found: ObjectId, opened: GitObject) -> None:
        kind, sha256 = self._expected[found]
        if opened.kind is not kind or object_id(opened.kind, opened.content) != found:
            self._fault(found, "does not match its name")
            return
        try:
            named = self._descend(found, opened)
        except (ValueError, StoredStateBrokenError):
            self._fault(found, "cannot be read")
            return
        if sha256 and named != sha256:
            self._fault(found, "does not match its SHA-256 name")
        self.count += 1

    def _descend(self, found: ObjectId, opened: GitObject) -> bytes:
        """Expect what an object names; its own SHA-256 name, if it has one."""
        if opened.kind is ObjectKind.COMMIT:
            links = links_of(found, opened)
            self._expect(links.tree, ObjectKind.TREE)
            for parent in links.parents:
                self._expect(parent, ObjectKind.COMMIT)
            return b""
        if opened.kind is ObjectKind.BLOB:
            return blob_sha256(opened.content)
        entries = tree_entries(opened)
        for entry in entries:
            if not entry.is_submodule:
                kind = ObjectKind.TREE if entry.is_tree else ObjectKind.BLOB
                self._expect(entry.object_id, kind, entry.sha256)
        named = self.sha256[found.hex()] = tree_sha256(entries)
        return named

    def _fault(self, found: ObjectId, what: str) -> None:
        self._findings.report(CheckName.OBJECTS, f"object {found.hex()} {what}")


class _EventWalk:
    """Compares states and the events that tell of them, both ways.

    Attributes:
        count: How many pairs agree.
    """

    def __init__(self, states: Iterable[State], sha256: dict[str, bytes], findings: _Findings) -> None:
        self.count = 0
        self._sha256 = sha256
        self._findings = findings
        self._untold = {_commit_of(state.place): state for state in states}

    def compare(self, before: Iterable[RecordedEvent], meanwhile: Iterable[RecordedEvent]) -> None:
        """Find each event's state, and each state's event.

        Args:
            before: State changes that were recorded when the states were read.
            meanwhile: Those that came later, whose states may not have been read.
        """
        for recorded in before:
            if not self._found(recorded):
                self._fault(f"the state of event {recorded.event.event_id} is missing")
        for recorded in meanwhile:
            self._found(recorded)
        for state in self._untold.values():
            self._fault(f"no event tells of the state at {state.place}")

    def _found(self, recorded: RecordedEvent) -> bool:
        place = Place(recorded.incarnation, recorded.versionstamp)
        state = self._untold.pop(_commit_of(place), None)
        if state is not None:
            self._compare(recorded.event, state)
        return state is not None

    def _compare(self, event: SwarmEvent, state: State) -> None:
        change = event.state_change
        told = (event.event_id, change.previous_tree, change.new_tree, change.commit_id)
        hashes = (
            (change.previous_tree, change.previous_state_hash),
            (change.new_tree, change.new_state_hash),
        )
        if told != (state.event_id, state.previous_tree, state.head.tree, state.head.commit):
            self._fault(f"event {event.event_id} tells of another state than is stored")
        elif not all(self._matches(tree, told_hash) for tree, told_hash in hashes):
            self._fault(f"event {event.event_id} tells of other content than is stored")
        else:
            self.count += 1

    def _matches(self, tree: str, told_hash: str) -> bool:
        """Whether a state's SHA-256 in an event is the tree's; one that was not told matches."""
        return not told_hash or tree not in self._sha256 or told_hash == state_hash(self._sha256[tree])

    def _fault(self, fault: str) -> None:
        self._findings.report(CheckName.EVENTS, fault)


class _Log:
    """The project's log, read on from where the last reading ended."""

    def __init__(self, keyspace: Keyspace, space: TenantSpace, log: str, findings: _Findings) -> None:
        self._keyspace = keyspace
        self._space = space
        self._log = log
        self._findings = findings
        self._after: Place | None = None

    def state_changes(self) -> list[RecordedEvent]:
        """The events, not returned before, that tell of new states of the timeline."""
        found: list[RecordedEvent] = []
        try:
            while page := self._keyspace.transact(
                self._space, history.events_after, self._log, self._after, limit=_PAGE
            ):
                self._after = Place(page[-1].incarnation, page[-1].versionstamp)
                found += [recorded for recorded in page if _is_state_change(recorded.event)]
        except (SealBrokenError, StoreDamagedError):
            self._findings.report(CheckName.EVENTS, "the history cannot be read to its end")
        return found


def _is_state_change(event: SwarmEvent) -> bool:
    change = event.state_change
    return change.target_type == history.TIMELINE and change.target_resource == MAIN


def _commit_of(place: Place) -> tuple[int, bytes]:
    """What a state and the events of its transaction share."""
    return place.incarnation, place.versionstamp[:_STAMP_SHARED_BYTES]
