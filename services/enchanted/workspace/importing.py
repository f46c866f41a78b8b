# SPDX-License-Identifier: Apache-2.0
"""Import: a stranger's pack becomes a project, whole or not at all.

Nothing is stored before everything was looked at: every object of the pack has been hashed, every tree's
names and modes are harmless, and everything that the commit reaches is there. Then the objects are written
ahead, and one small transaction makes the project, its head, its first state and the event that tells of it.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from enchanted import history
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.workspace.store.v1 import records_pb2 as store
from enchanted.ids import derived_id
from enchanted.keyspace import Keyspace, TenantSpace, Transaction, idempotency
from enchanted.workspace import records
from enchanted.workspace.model import (
    DEPTH_MAX,
    FILES_MAX,
    MAIN,
    HostileTreeError,
    InvalidPackError,
    ObjectId,
    PackTooLargeError,
    Project,
    ProjectExistsError,
    ProjectNotFoundError,
)
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import (
    CommitLinks,
    FileMode,
    GitObject,
    ObjectKind,
    TreeEntry,
    blob_sha256,
    checked_tree,
    commit_links,
    parse_id,
    state_hash,
    submodule_sha256,
    tree_sha256,
    unnamed_entries,
)
from enchanted.workspace.pack_reading import PackReader

_TREE_DEFLATE_LEVEL: Final = 1
_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_INCOMPLETE: Final = "the pack is not complete: it lacks objects that the commit needs"


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What a person asked to be imported.

    Attributes:
        request_id: Made by the caller; the same again answers the same.
        name: For the project.
        source: Where it came from, without credentials.
        commit: Git id of the commit in the pack that becomes the head.
        user_id: Who asked.
        now_us: UTC microseconds.
    """

    request_id: str
    name: str
    source: str
    commit: str
    user_id: str
    now_us: int

    @property
    def project_id(self) -> str:
        """Follows from the request, so that a repeated one finds what it made."""
        return derived_id("prj", self.request_id)

    @property
    def content(self) -> bytes:
        """What tells this request from another with the same id."""
        return f"{self.name}\x00{self.source}\x00{self.commit}".encode()


@dataclass(frozen=True, slots=True)
class Imported:
    """A project, and whether it was there before."""

    project: Project
    existed: bool


@dataclass(frozen=True, slots=True)
class _Measure:
    files: int
    depth: int


@dataclass(slots=True)
class PackContent:
    """What a pack holds, as far as it must be known to decide whether to take it.

    Trees are kept deflated: there may be hundreds of thousands.
    """

    kinds: dict[ObjectId, ObjectKind] = field(default_factory=dict)
    commits: dict[ObjectId, CommitLinks] = field(default_factory=dict)
    trees: dict[ObjectId, bytes] = field(default_factory=dict)
    sha256: dict[ObjectId, bytes] = field(default_factory=dict)
    measures: dict[ObjectId, _Measure] = field(default_factory=dict)

    @classmethod
    def of(cls, reader: PackReader) -> PackContent:
        """Look at every object of a pack.

        Raises:
            HostileTreeError: If a tree holds what must never reach a disk.
            InvalidPackError: If an object cannot be read.
        """
        content = cls()
        for packed in reader.objects():
            content.kinds[packed.object_id] = packed.kind
            if packed.kind is ObjectKind.BLOB:
                content.sha256[packed.object_id] = blob_sha256(packed.content)
            elif packed.kind is ObjectKind.TREE:
                checked_tree(packed.content)
                content.trees[packed.object_id] = zlib.compress(packed.content, _TREE_DEFLATE_LEVEL)
            elif packed.kind is ObjectKind.COMMIT:
                content.commits[packed.object_id] = _links(packed.content)
        return content

    def entries(self, tree: ObjectId) -> list[TreeEntry]:
        """Entries of a tree, without SHA-256 names."""
        return unnamed_entries(zlib.decompress(self.trees[tree]))

    def reach(self, commit: ObjectId) -> set[ObjectId]:
        """Everything that a commit reaches, after making sure that it is all here and of the right kind.

        Raises:
            InvalidPackError: If something is missing or of another kind.
            HostileTreeError: If folders are nested too deep.
            PackTooLargeError: If a state has too many files.
        """
        reached: set[ObjectId] = set()
        pending = [commit]
        while pending:
            taken = pending.pop()
            if taken in reached:
                continue
            if taken not in self.commits:
                raise InvalidPackError(_INCOMPLETE)
            reached.add(taken)
            pending.extend(self.commits[taken].parents)
            self._reach_tree(self.commits[taken].tree, reached)
        return reached

    def stored(self, packed_kind: ObjectKind, content: bytes) -> GitObject:
        """An object as it is stored; a tree with the SHA-256 names of its entries."""
        if packed_kind is not ObjectKind.TREE:
            return GitObject(packed_kind, content)
        named = b"".join(self._sha256_of(entry) for entry in unnamed_entries(content))
        return GitObject(packed_kind, content, named)

    def _reach_tree(self, root: ObjectId, reached: set[ObjectId]) -> None:
        # Depth first, without recursion: a tree is named by SHA-256 once all that is below it is.
        pending: list[tuple[ObjectId, list[TreeEntry] | None]] = [(root, None)]
        while pending:
            tree, entries = pending.pop()
            if tree in self.measures:
                continue
            if entries is not None:
                self._finish_tree(tree, entries)
                continue
            if tree not in self.trees:
                raise InvalidPackError(_INCOMPLETE)
            entries = self.entries(tree)
            reached.add(tree)
            reached.update(self._blobs(entries))
            pending.append((tree, entries))
            pending.extend((entry.object_id, None) for entry in entries if entry.is_tree)

    def _blobs(self, entries: list[TreeEntry]) -> Iterator[ObjectId]:
        for entry in entries:
            if not entry.is_tree and not entry.is_submodule:
                if self.kinds.get(entry.object_id) is not ObjectKind.BLOB:
                    raise InvalidPackError(_INCOMPLETE)
                yield entry.object_id

    def _finish_tree(self, tree: ObjectId, entries: list[TreeEntry]) -> None:
        below = [self.measures[entry.object_id] for entry in entries if entry.is_tree]
        measure = _Measure(
            sum(found.files for found in below) + len(entries) - len(below),
            1 + max((found.depth for found in below), default=0),
        )
        if measure.depth > DEPTH_MAX:
            raise HostileTreeError("its folders are nested too deep", tree.hex(), "")
        if measure.files > FILES_MAX:
            raise PackTooLargeError("the repository has more than a million files", FILES_MAX)
        self.measures[tree] = measure
        self.sha256[tree] = tree_sha256(
            TreeEntry(entry.name, entry.mode, entry.object_id, self._sha256_of(entry)) for entry in entries
        )

    def _sha256_of(self, entry: TreeEntry) -> bytes:
        if entry.mode == FileMode.SUBMODULE:
            return submodule_sha256(entry.object_id)
        return self.sha256[entry.object_id]


def earlier_import(tr: Transaction, space: TenantSpace, order: ImportOrder) -> Imported | None:
    """What there is already: of this request, or of this name with the same commit. Transactional.

    Raises:
        RequestReusedError: If the request's id came before with other content.
    """
    result = idempotency.earlier_result(tr, space, order.request_id, order.content)
    if result is not None:
        return Imported(records.get_project(tr, space, result.decode()), existed=True)
    try:
        present = records.find_project(tr, space, order.name)
    except ProjectNotFoundError:
        return None
    return Imported(present, existed=True) if present.imported_commit == order.commit else None


def import_pack(keyspace: Keyspace, space: TenantSpace, order: ImportOrder, pack: Path) -> Imported:
    """Make a project of a pack. Blocks: call it in a thread. Many transactions, of which the last decides.

    Raises:
        InvalidPackError: If the pack is damaged or lacks something.
        PackTooLargeError: If it is past a limit.
        HostileTreeError: If it holds what must never reach a disk.
        ProjectExistsError: If the name belongs to a project with other content.
        RequestReusedError: If the request's id came before with other content.
    """
    reader = PackReader(pack)
    try:
        content = PackContent.of(reader)
        commit = parse_id(order.commit)
        reached = content.reach(commit)
        tree = content.commits[commit].tree
        existing = keyspace.transact(space, _existing, order, tree.hex())
        if existing is None:
            objects = (
                (packed.object_id, content.stored(packed.kind, packed.content))
                for packed in reader.objects()
                if packed.object_id in reached
            )
            ObjectStore(keyspace, space, order.project_id).write_ahead(objects)
    finally:
        reader.close()
    state = state_hash(content.sha256[tree])
    return keyspace.transact(space, _create, order, tree.hex(), state)


def _existing(tr: Transaction, space: TenantSpace, order: ImportOrder, tree: str) -> Imported | None:
    """The project that has the name, if it has the same content. Transactional."""
    try:
        present = records.find_project(tr, space, order.name)
    except ProjectNotFoundError:
        return None
    if present.imported_tree != tree:
        raise ProjectExistsError(order.name, present.project_id)
    return Imported(present, existed=True)


def _create(tr: Transaction, space: TenantSpace, order: ImportOrder, tree: str, state: str) -> Imported:
    earlier = earlier_import(tr, space, order) or _existing(tr, space, order, tree)
    if earlier is not None:
        return earlier
    project = Project(order.project_id, order.name, order.now_us, order.source, order.commit, tree)
    event = _import_event(order, tree, state)
    root = store.Root(tree=tree, commit=order.commit, event_id=event.event_id, time_us=order.now_us)
    records.write_project(tr, space, project)
    records.write_state(tr, space, project.project_id, MAIN, root)
    history.append(tr, space, project.project_id, event)
    idempotency.remember(
        tr, space, order.request_id, order.content, project.project_id.encode(), order.now_us
    )
    return Imported(project, existed=False)


def _import_event(order: ImportOrder, tree: str, state: str) -> events.SwarmEvent:
    trace = hashlib.sha256(order.content + order.request_id.encode()).hexdigest()
    event = events.SwarmEvent(
        event_id=derived_id("evt", order.request_id, "import"),
        trace_id=trace[:_TRACE_DIGITS],
        span_id=trace[-_SPAN_DIGITS:],
        agent_role=events.AGENT_ROLE_OPERATOR,
        agent_id=order.user_id,
        user_id=order.user_id,
        project_id=order.project_id,
        timeline=MAIN,
        state_change=events.StateChange(
            target_type=history.TIMELINE,
            target_resource=MAIN,
            new_state_hash=state,
            new_tree=tree,
            commit_id=order.commit,
        ),
    )
    event.timestamp.FromMicroseconds(order.now_us)
    return event


def _links(content: bytes) -> CommitLinks:
    try:
        return commit_links(content)
    except ValueError as error:
        raise InvalidPackError("the pack holds a commit that cannot be read") from error
