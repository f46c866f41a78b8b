# SPDX-License-Identifier: Apache-2.0
"""A project's Git objects in the keyspace: read in batches, written ahead in bounded transactions.

One read an object would cost a round trip each, and a tree has thousands; one transaction for an import would
never commit. So reads are issued together, at most 100 a transaction, and writes go out in transactions of at
most 500 kB and 200 objects (an object of up to 1 MiB takes one of its own, a larger one is a blob). Objects
are immutable and named by their content, so writing one twice is harmless and a half-written import is only
garbage.

Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from google.protobuf.message import DecodeError

from enchanted.generated.workspace.store.v1 import records_pb2 as store
from enchanted.keyspace import Keyspace, SealBrokenError, TenantSpace
from enchanted.workspace import records
from enchanted.workspace.model import ObjectId, StoredStateBrokenError
from enchanted.workspace.objects import GitObject, ObjectKind, TreeEntry, tree_entries
from enchanted.workspace.records import SealedObject

READ_OBJECTS_MAX: Final = 100
WRITE_OBJECTS_MAX: Final = 200
WRITE_BYTES_MAX: Final = 500_000
GATHERED_BYTES_MAX: Final = 8 << 20
CACHE_BYTES_MAX: Final = 64 << 20
CACHED_OBJECT_BYTES_MAX: Final = 256 << 10
_RECORD_OVERHEAD_BYTES: Final = 128

_CacheKey = tuple[bytes, str, ObjectId]


class ObjectCache:
    """Opened objects of this process, the least recently used leaving first. Safe from many threads."""

    def __init__(self, size_bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        self._size_bytes = 0
        self._objects: OrderedDict[_CacheKey, GitObject] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _CacheKey) -> GitObject | None:
        """The object, if it is here."""
        with self._lock:
            found = self._objects.get(key)
            if found is not None:
                self._objects.move_to_end(key)
            return found

    def put(self, key: _CacheKey, opened: GitObject) -> None:
        """Keep an object; large ones are not kept, they would push out many."""
        if _size_bytes(opened) > CACHED_OBJECT_BYTES_MAX:
            return
        with self._lock:
            if key not in self._objects:
                self._size_bytes += _size_bytes(opened)
            self._objects[key] = opened
            while self._size_bytes > self._size_bytes_max:
                _, dropped = self._objects.popitem(last=False)
                self._size_bytes -= _size_bytes(dropped)


class ObjectStore:
    """The objects of one project. Cheap to make; everything in it blocks."""

    def __init__(
        self, keyspace: Keyspace, space: TenantSpace, project_id: str, cache: ObjectCache | None = None
    ) -> None:
        self._keyspace = keyspace
        self._space = space
        self._project_id = project_id
        self._cache = cache

    def read_many(self, ids: Iterable[ObjectId]) -> dict[ObjectId, GitObject]:
        """Objects by their ids, in batches and all in memory: for trees and commits, which are small.

        Raises:
            StoredStateBrokenError: If one is missing or does not open.
        """
        found: dict[ObjectId, GitObject] = {}
        wanted = []
        for object_id in dict.fromkeys(ids):
            cached = self._cached(object_id)
            if cached is None:
                wanted.append(object_id)
            else:
                found[object_id] = cached
        while wanted:
            taken = self._take(wanted[:READ_OBJECTS_MAX])
            for object_id, sealed in taken.items():
                found[object_id] = self._keep(object_id, self._open(object_id, sealed))
            wanted = wanted[len(taken) :]
        return found

    def read(self, object_id: ObjectId) -> GitObject:
        """One object; raises as :meth:`read_many`."""
        return self.read_many((object_id,))[object_id]

    def read_tree(self, tree: ObjectId) -> list[TreeEntry]:
        """Entries of a tree; raises as :meth:`read_many`."""
        return self.read_trees((tree,))[tree]

    def read_trees(self, trees: Iterable[ObjectId]) -> dict[ObjectId, list[TreeEntry]]:
        """Entries of trees, in batches; raises as :meth:`read_many`, also if one is not a tree."""
        return {tree: _entries(tree, opened) for tree, opened in self.read_many(trees).items()}

    def iterate(self, ids: Sequence[ObjectId]) -> Iterator[tuple[ObjectId, GitObject]]:
        """Objects in the order given, read a batch ahead and opened one by one; raises as :meth:`read_many`.

        What is held in memory is a few MiB of sealed objects and one opened.
        """
        position = 0
        while position < len(ids):
            cached = self._cached(ids[position])
            if cached is not None:
                yield ids[position], cached
                position += 1
                continue
            batch = ids[position : position + READ_OBJECTS_MAX]
            taken = self._take(list(dict.fromkeys(batch)))
            for object_id in batch:
                if object_id not in taken:
                    break
                yield object_id, self._keep(object_id, self._open(object_id, taken[object_id]))
                position += 1

    def present(self, ids: Iterable[ObjectId]) -> set[ObjectId]:
        """Which of the objects are stored."""
        pending = iter(ids)
        found: set[ObjectId] = set()
        while batch := list(islice(pending, WRITE_OBJECTS_MAX)):
            found |= self._keyspace.transact(self._space, records.present_objects, self._project_id, batch)
        return found

    def write_ahead(self, objects: Iterable[tuple[ObjectId, GitObject]]) -> int:
        """Store objects that are not stored yet; durable on return.

        Args:
            objects: With the ids that the caller made from their bytes.

        Returns:
            How many were new.
        """
        new_count = 0
        for gathered in _gather(objects):
            present = self.present(object_id for object_id, _ in gathered)
            new = [(object_id, opened) for object_id, opened in gathered if object_id not in present]
            new_count += len(new)
            sealed = ((object_id, self._seal(object_id, opened)) for object_id, opened in new)
            for batch in _transactions(sealed):
                self._keyspace.transact(self._space, records.write_objects, self._project_id, batch)
        return new_count

    def _take(self, ids: Sequence[ObjectId]) -> dict[ObjectId, SealedObject | None]:
        """The first of some objects, as many as one transaction gives, still sealed."""
        return self._keyspace.transact(self._space, records.read_objects, self._project_id, ids)

    def _cached(self, object_id: ObjectId) -> GitObject | None:
        return self._cache.get(self._cache_key(object_id)) if self._cache else None

    def _keep(self, object_id: ObjectId, opened: GitObject) -> GitObject:
        if self._cache:
            self._cache.put(self._cache_key(object_id), opened)
        return opened

    def _cache_key(self, object_id: ObjectId) -> _CacheKey:
        return self._space.prefix, self._project_id, object_id

    def _seal(self, object_id: ObjectId, opened: GitObject) -> SealedObject:
        message = store.GitObject(
            kind=opened.kind, content=opened.content, entries_sha256=opened.entries_sha256
        )
        plain = message.SerializeToString()
        sealed = self._space.seal(records.OBJECT, self._project_id, object_id.hex(), plain)
        if len(sealed) <= records.CHUNKED_BYTES_MAX:
            return SealedObject(sealed)
        return SealedObject(b"", self._keyspace.blobs.put(self._space.tenant, sealed))

    def _open(self, object_id: ObjectId, taken: SealedObject | None) -> GitObject:
        if taken is None:
            raise StoredStateBrokenError("object", object_id.hex())
        try:
            sealed = taken.sealed
            if taken.blob:
                sealed = self._keyspace.blobs.get(self._space.tenant, taken.blob)
            plain = self._space.unseal(records.OBJECT, self._project_id, object_id.hex(), sealed)
            message = store.GitObject.FromString(plain)
            return GitObject(ObjectKind(message.kind), message.content, message.entries_sha256)
        except (SealBrokenError, DecodeError, KeyError, ValueError) as error:
            raise StoredStateBrokenError("object", object_id.hex()) from error


def _entries(tree: ObjectId, opened: GitObject) -> list[TreeEntry]:
    try:
        return tree_entries(opened)
    except ValueError as error:
        raise StoredStateBrokenError("object", tree.hex()) from error


def _size_bytes(opened: GitObject) -> int:
    return len(opened.content) + len(opened.entries_sha256) + _RECORD_OVERHEAD_BYTES


def _gather(
    objects: Iterable[tuple[ObjectId, GitObject]],
) -> Iterator[list[tuple[ObjectId, GitObject]]]:
    """Batches small enough for memory, before it is known which of them are new and how small they seal."""
    batch: list[tuple[ObjectId, GitObject]] = []
    size_bytes = 0
    for object_id, opened in objects:
        batch.append((object_id, opened))
        size_bytes += _size_bytes(opened)
        if len(batch) == WRITE_OBJECTS_MAX or size_bytes >= GATHERED_BYTES_MAX:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _transactions(
    objects: Iterable[tuple[ObjectId, SealedObject]],
) -> Iterator[list[tuple[ObjectId, SealedObject]]]:
    batch: list[tuple[ObjectId, SealedObject]] = []
    size_bytes = 0
    for object_id, taken in objects:
        taken_bytes = len(taken.sealed) + _RECORD_OVERHEAD_BYTES
        if batch and size_bytes + taken_bytes > WRITE_BYTES_MAX:
            yield batch
            batch, size_bytes = [], 0
        batch.append((object_id, taken))
        size_bytes += taken_bytes
    if batch:
        yield batch
