# SPDX-License-Identifier: Apache-2.0
"""Workspace's records: projects, Git objects, heads and states. Its keys are written here and nowhere else.

Subspaces of a tenant (room 4)::

    project/(project)                                       what a project is, sealed
    name/(hmac)                                             project of a name
    project_order/(incarnation, versionstamp)               projects by creation
    object/(project, sha1)                                  a Git object, or where its sealed bytes are
    object_chunk/(project, sha1, number)                    sealed bytes past one value
    head/(project, timeline)                                the newest state
    root/(project, timeline, incarnation, versionstamp)     the state from a place on
    commit_place/(project, sha1)                            the place of a state's commit

Objects never change, so they are read by snapshot and written ahead of the transaction that names them.

The module is longer than most because the room has one table of keys and one place that touches them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import fdb
import fdb.tuple
from google.protobuf.message import DecodeError

from enchanted.generated.workspace.store.v1 import records_pb2 as store
from enchanted.history import Place
from enchanted.keyspace import KeyElement, Room, Sealing, Subspace, TenantSpace, Transaction, chunks, declare
from enchanted.workspace.model import (
    MAIN,
    Head,
    HeadMovedError,
    ObjectId,
    PreparedCommit,
    Project,
    ProjectNotFoundError,
    State,
    StoredStateBrokenError,
)

INLINE_BYTES_MAX: Final = 64 << 10
CHUNKED_BYTES_MAX: Final = 1 << 20
READ_BYTES_MAX: Final = 4 << 20
_STAMP_SHARED_BYTES: Final = 10
_PAST_EVERY_COMMIT: Final = b"\xff" * _STAMP_SHARED_BYTES
_SHA1_DIGITS: Final = 40
_PROJECT_CHARACTERS_MAX: Final = 100
_PLACE_BYTES: Final = 20

PROJECT = declare(
    Room.WORKSPACE,
    0,
    "project",
    key=("project",),
    value="Project",
    sealing=Sealing.CONTENT,
    why="What a project is and where it came from; names are what people wrote.",
)
NAME = declare(
    Room.WORKSPACE,
    1,
    "name",
    key=("hmac",),
    value="project id",
    sealing=Sealing.PLAIN,
    why="Finds a project by its name without storing the name in a key; holds an id.",
)
PROJECT_ORDER = declare(
    Room.WORKSPACE,
    2,
    "project_order",
    key=("incarnation", "versionstamp"),
    value="project id",
    sealing=Sealing.PLAIN,
    why="Lists projects in the order of their creation; holds ids only.",
)
OBJECT = declare(
    Room.WORKSPACE,
    3,
    "object",
    key=("project", "sha1"),
    value="StoredObject",
    sealing=Sealing.CONTENT,
    why="Every blob, tree and commit once; sealed inside the message that says where its bytes are.",
)
OBJECT_CHUNK = declare(
    Room.WORKSPACE,
    4,
    "object_chunk",
    key=("project", "sha1", "number"),
    value="sealed bytes",
    sealing=Sealing.CONTENT,
    why="Objects past one value, up to 1 MiB sealed; larger ones are blobs.",
)
HEAD = declare(
    Room.WORKSPACE,
    5,
    "head",
    key=("project", "timeline"),
    value="Head",
    sealing=Sealing.PLAIN,
    why="The one key on which state changes contend; holds object ids only.",
)
ROOT = declare(
    Room.WORKSPACE,
    6,
    "root",
    key=("project", "timeline", "incarnation", "versionstamp"),
    value="Root",
    sealing=Sealing.PLAIN,
    why="The state at any moment is one reverse range read; holds ids and a time.",
)
COMMIT_PLACE = declare(
    Room.WORKSPACE,
    7,
    "commit_place",
    key=("project", "sha1"),
    value="place, 20 bytes, and the timeline",
    sealing=Sealing.PLAIN,
    why="Lets a moment be named by the commit of its state; holds a stamp.",
)


@dataclass(frozen=True, slots=True)
class SealedObject:
    """A stored object, still sealed: its bytes, or the name of the blob that has them."""

    sealed: bytes
    blob: str = ""


@dataclass(frozen=True, slots=True)
class PlacedState:
    """A state and the timeline that it stands on."""

    timeline: str
    state: State


def read_head(tr: Transaction, space: TenantSpace, project_id: str, timeline: str = MAIN) -> Head | None:
    """The newest state of a timeline, or ``None`` if there is none. Transactional, with a conflict.

    Raises:
        StoredStateBrokenError: If what is stored is no head.
    """
    stored = tr[space.key(HEAD, project_id, timeline)]
    if not stored.present():
        return None
    try:
        head = store.Head.FromString(bytes(stored))
    except DecodeError as error:
        raise StoredStateBrokenError("head", timeline) from error
    return Head(head.commit, head.tree)


def advance(
    tr: Transaction,
    space: TenantSpace,
    project_id: str,
    prepared: PreparedCommit,
    *,
    event_id: str,
    timeline: str = MAIN,
) -> None:
    """Move a timeline's head to a prepared commit and write the new state. Transactional.

    It appends no event: the caller appends the TIMELINE event of id ``event_id`` in the same transaction, and
    an idempotency record, for a transaction repeated because its outcome was unknown finds the head moved.

    Raises:
        HeadMovedError: If the head is not the one that the commit was prepared on.
    """
    head = read_head(tr, space, project_id, timeline)
    if head != prepared.base:
        raise HeadMovedError(project_id, head.commit if head else "")
    root = store.Root(
        tree=prepared.head.tree,
        commit=prepared.head.commit,
        event_id=event_id,
        previous_tree=prepared.base.tree,
        time_us=prepared.time_us,
    )
    write_state(tr, space, project_id, timeline, root)


def write_state(
    tr: Transaction, space: TenantSpace, project_id: str, timeline: str, root: store.Root
) -> None:
    """Set head and state without looking at what was. Transactional."""
    head = store.Head(commit=root.commit, tree=root.tree)
    tr[space.key(HEAD, project_id, timeline)] = head.SerializeToString(deterministic=True)
    key, user_version = space.stamped_key(tr, ROOT, project_id, timeline)
    tr.set_versionstamped_key(key, root.SerializeToString(deterministic=True))
    place = space.stamped_value(
        user_version, before=Place(space.incarnation, b"").to_bytes(), after=timeline.encode()
    )
    commit = bytes.fromhex(root.commit)
    tr.set_versionstamped_value(space.key(COMMIT_PLACE, project_id, commit), place)


def state_at(
    tr: Transaction, space: TenantSpace, project_id: str, place: Place, timeline: str = MAIN
) -> State | None:
    """The state in effect at a place, or ``None`` before the first. By snapshot.

    A transaction takes effect as a whole: at the place of any of its events, its state is in effect.
    """
    whole_commit = Place(place.incarnation, place.versionstamp[:_STAMP_SHARED_BYTES] + b"\xff\xff")
    keys = space.range(ROOT, project_id, timeline)
    end = _placed_key(space, ROOT, (project_id, timeline), whole_commit) + b"\x00"
    found = tr.snapshot.get_range(keys.begin, end, limit=1, reverse=True)
    return next((_state(space, pair) for pair in found), None)


def states(
    tr: Transaction,
    space: TenantSpace,
    project_id: str,
    *,
    beyond: Place | None,
    limit: int,
    newest_first: bool = True,
    timeline: str = MAIN,
) -> list[State]:
    """States of a timeline. By snapshot.

    Args:
        tr: Any transaction.
        space: The tenant's space.
        project_id: The project.
        beyond: The last that the caller has; ``None`` to begin.
        limit: At most so many.
        newest_first: From the newest to the oldest, or the other way.
        timeline: Which.
    """
    keys = space.range(ROOT, project_id, timeline)
    begin, end = keys.begin, keys.end
    if beyond is not None:
        last = _placed_key(space, ROOT, (project_id, timeline), beyond)
        begin, end = (begin, last) if newest_first else (last + b"\x00", end)
    found = tr.snapshot.get_range(begin, end, limit=limit, reverse=newest_first)
    return [_state(space, pair) for pair in found]


def states_of_commit(
    tr: Transaction, space: TenantSpace, project_id: str, digits: str, *, limit: int
) -> list[PlacedState]:
    """States whose commits begin with some hexadecimal digits, at most ``limit``. By snapshot."""
    low, high = (bytes.fromhex(digits.ljust(_SHA1_DIGITS, fill)) for fill in "0f")
    begin, end = space.key(COMMIT_PLACE, project_id, low), space.key(COMMIT_PLACE, project_id, high) + b"\x00"
    found = []
    for pair in list(tr.snapshot.get_range(begin, end, limit=limit)):
        place = Place.from_bytes(bytes(pair.value)[:_PLACE_BYTES])
        timeline = bytes(pair.value)[_PLACE_BYTES:].decode()
        state = state_at(tr, space, project_id, place, timeline)
        if state is not None:
            found.append(PlacedState(timeline, state))
    return found


def are_states(
    tr: Transaction, space: TenantSpace, project_id: str, commits: Iterable[ObjectId]
) -> set[ObjectId]:
    """Which of some commits are those of states. By snapshot."""
    reads = [(commit, tr.snapshot[space.key(COMMIT_PLACE, project_id, commit)]) for commit in commits]
    return {commit for commit, stored in reads if stored.present()}


def write_project(tr: Transaction, space: TenantSpace, project: Project) -> None:
    """Add a project with its name and its place in the list. Transactional."""
    stored = store.Project(
        project_id=project.project_id,
        name=project.name,
        created_time_us=project.created_time_us,
        source=project.source,
        imported_commit=project.imported_commit,
        imported_tree=project.imported_tree,
    )
    project_id = project.project_id
    sealed = space.seal(PROJECT, project_id, project_id, stored.SerializeToString(deterministic=True))
    tr[space.key(PROJECT, project_id)] = sealed
    tr[space.key(NAME, _name_key(space, project.name))] = project_id.encode()
    key, _ = space.stamped_key(tr, PROJECT_ORDER)
    tr.set_versionstamped_key(key, project_id.encode())


def get_project(tr: Transaction, space: TenantSpace, project_id: str) -> Project:
    """A project by its id. Transactional, with a conflict.

    Raises:
        ProjectNotFoundError: If there is none.
    """
    sealed = tr[space.key(PROJECT, project_id)]
    if not sealed.present():
        raise ProjectNotFoundError(project_id)
    return _project(space, project_id, bytes(sealed))


def find_project(tr: Transaction, space: TenantSpace, text: str) -> Project:
    """A project by its id or name. Transactional, with a conflict.

    Raises:
        ProjectNotFoundError: If there is none.
    """
    if len(text) > _PROJECT_CHARACTERS_MAX:
        raise ProjectNotFoundError(text)
    by_id, by_name = tr[space.key(PROJECT, text)], tr[space.key(NAME, _name_key(space, text))]
    if by_id.present():
        return _project(space, text, bytes(by_id))
    if by_name.present():
        return get_project(tr, space, bytes(by_name).decode())
    raise ProjectNotFoundError(text)


def projects_after(
    tr: Transaction, space: TenantSpace, after: Place | None, *, limit: int
) -> list[tuple[Place, Project]]:
    """Projects in the order of their creation, with their places in it. By snapshot."""
    keys = space.range(PROJECT_ORDER)
    begin = keys.begin
    if after is not None:
        begin = _placed_key(space, PROJECT_ORDER, (), after) + b"\x00"
    rows = list(tr.snapshot.get_range(begin, keys.end, limit=limit))
    ids = [bytes(row.value).decode() for row in rows]
    reads = [tr.snapshot[space.key(PROJECT, project_id)] for project_id in ids]
    return [
        (_place(space.elements(PROJECT_ORDER, row.key)), _project(space, project_id, bytes(sealed)))
        for row, project_id, sealed in zip(rows, ids, reads, strict=True)
        if sealed.present()
    ]


def present_objects(
    tr: Transaction, space: TenantSpace, project_id: str, ids: Sequence[ObjectId]
) -> set[ObjectId]:
    """Which of some objects are stored; their values are not moved. By snapshot."""
    keys = {space.key(OBJECT, project_id, object_id): object_id for object_id in ids}
    reads = [tr.snapshot.get_key(fdb.KeySelector.first_greater_or_equal(key)) for key in keys]
    return {keys[found] for found in map(bytes, reads) if found in keys}


def read_objects(
    tr: Transaction, space: TenantSpace, project_id: str, ids: Sequence[ObjectId]
) -> dict[ObjectId, SealedObject | None]:
    """Stored objects, their reads issued together. By snapshot.

    Returns:
        For each the object, or ``None`` if it is absent. Past about 4 MiB some are left out: ask again.

    Raises:
        StoredStateBrokenError: If what is stored is no object.
    """
    reads = [(object_id, tr.snapshot[space.key(OBJECT, project_id, object_id)]) for object_id in ids]
    found: dict[ObjectId, SealedObject | None] = {}
    size_bytes = 0
    for object_id, stored in reads:
        if size_bytes > READ_BYTES_MAX:
            break
        taken = found[object_id] = _sealed_object(tr, space, project_id, object_id, stored)
        size_bytes += len(taken.sealed) if taken else 0
    return found


def write_objects(
    tr: Transaction, space: TenantSpace, project_id: str, objects: Iterable[tuple[ObjectId, SealedObject]]
) -> None:
    """Set objects. Transactional and blind; the caller keeps within a transaction's size."""
    for object_id, taken in objects:
        if taken.blob:
            stored = store.StoredObject(blob=taken.blob)
        elif len(taken.sealed) <= INLINE_BYTES_MAX:
            stored = store.StoredObject(sealed=taken.sealed)
        else:
            chunks.write(tr, space, OBJECT_CHUNK, (project_id, object_id), taken.sealed)
            stored = store.StoredObject(chunked=True)
        tr[space.key(OBJECT, project_id, object_id)] = stored.SerializeToString()


def _sealed_object(
    tr: Transaction, space: TenantSpace, project_id: str, object_id: ObjectId, stored: fdb.Value
) -> SealedObject | None:
    if not stored.present():
        return None
    try:
        message = store.StoredObject.FromString(bytes(stored))
        if not message.chunked:
            return SealedObject(message.sealed, message.blob)
        sealed = chunks.read(tr.snapshot, space, OBJECT_CHUNK, (project_id, object_id))
    except (DecodeError, ValueError) as error:
        raise StoredStateBrokenError("object", object_id.hex()) from error
    if sealed is None:
        raise StoredStateBrokenError("object", object_id.hex())
    return SealedObject(sealed)


def _project(space: TenantSpace, project_id: str, sealed: bytes) -> Project:
    stored = store.Project.FromString(space.unseal(PROJECT, project_id, project_id, sealed))
    return Project(
        stored.project_id,
        stored.name,
        stored.created_time_us,
        stored.source,
        stored.imported_commit,
        stored.imported_tree,
    )


def _name_key(space: TenantSpace, name: str) -> bytes:
    return space.index_key("project name", name)


def _placed_key(space: TenantSpace, subspace: Subspace, before: tuple[str, ...], place: Place) -> bytes:
    """The key of a record at a place; for a place past every commit, the end of its incarnation."""
    if place.versionstamp.startswith(_PAST_EVERY_COMMIT):
        # The tuple layer takes these bytes for a stamp that the database is still to fill in.
        return space.range(subspace, *before, place.incarnation).end
    stamp = fdb.tuple.Versionstamp.from_bytes(place.versionstamp)
    return space.key(subspace, *before, place.incarnation, stamp)


def _state(space: TenantSpace, pair: fdb.KeyValue) -> State:
    place = _place(space.elements(ROOT, bytes(pair.key)))
    try:
        root = store.Root.FromString(bytes(pair.value))
    except DecodeError as error:
        raise StoredStateBrokenError("state", str(place)) from error
    return State(place, Head(root.commit, root.tree), root.event_id, root.previous_tree, root.time_us)


def _place(elements: tuple[KeyElement, ...]) -> Place:
    """The place at the end of a key."""
    incarnation, stamp = elements[-2:]
    assert isinstance(incarnation, int), "an incarnation stands before a stamp"
    assert isinstance(stamp, fdb.tuple.Versionstamp), "a place ends with a stamp"
    return Place(incarnation, bytes(stamp.to_bytes()))
