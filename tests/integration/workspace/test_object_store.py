# SPDX-License-Identifier: Apache-2.0
"""Objects are written in small transactions, once, and read back in few, whatever their size."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from enchanted.keyspace import TenantSpace
from enchanted.workspace import records
from enchanted.workspace.model import ObjectId, StoredStateBrokenError
from enchanted.workspace.object_store import ObjectCache, ObjectStore
from enchanted.workspace.objects import GitObject, ObjectKind, object_id
from tests.integration.workspace.scene import Workspace

NOISE = random.Random(7)


def blobs(*sizes: int) -> list[tuple[ObjectId, GitObject]]:
    made = [GitObject(ObjectKind.BLOB, NOISE.randbytes(size)) for size in sizes]
    return [(object_id(blob.kind, blob.content), blob) for blob in made]


class Watched:
    """The store of a project, with the sizes of its transactions."""

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workspace = workspace
        self.writes: list[tuple[int, int]] = []
        self.reads: list[int] = []
        write, read = records.write_objects, records.read_objects

        def watched_write(
            tr: object,
            space: TenantSpace,
            project_id: str,
            objects: Sequence[tuple[ObjectId, records.SealedObject]],
        ) -> None:
            self.writes.append((len(objects), sum(len(taken.sealed) for _, taken in objects)))
            write(tr, space, project_id, objects)

        def watched_read(
            tr: object, space: TenantSpace, project_id: str, ids: Sequence[ObjectId]
        ) -> dict[ObjectId, records.SealedObject | None]:
            self.reads.append(len(ids))
            return read(tr, space, project_id, ids)

        monkeypatch.setattr(records, "write_objects", watched_write)
        monkeypatch.setattr(records, "read_objects", watched_read)

    def store(self, project_id: str = "prj_1", cache: ObjectCache | None = None) -> ObjectStore:
        return ObjectStore(self.workspace.keyspace, self.workspace.space, project_id, cache)


@pytest.fixture
def watched(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(workspace, monkeypatch)


@pytest.mark.feature("E-03")
class TestWriting:
    def test_transactions_stay_small(self, watched: Watched) -> None:
        written = blobs(*[100] * 450, *[30_000] * 40, *[200_000] * 3, 900_000, 3_000_000)
        assert watched.store().write_ahead(iter(written)) == len(written)
        assert max(count for count, _ in watched.writes) <= 200
        assert all(size <= 500_000 for count, size in watched.writes if count > 1)
        assert max(size for _, size in watched.writes) <= 1 << 20
        assert dict(watched.store().iterate([found for found, _ in written])) == dict(written)

    def test_what_is_there_is_not_written_again(self, watched: Watched) -> None:
        written = blobs(100, 100_000, 2_000_000)
        assert watched.store().write_ahead(written) == 3
        count = len(watched.writes)
        assert watched.store().write_ahead(written) == 0
        assert watched.store().write_ahead([*written, *blobs(5)]) == 1
        assert len(watched.writes) == count + 1

    def test_the_same_bytes_in_another_project_are_its_own(self, watched: Watched) -> None:
        written = blobs(10)
        watched.store("prj_1").write_ahead(written)
        assert watched.store("prj_2").present([written[0][0]]) == set()
        with pytest.raises(StoredStateBrokenError):
            watched.store("prj_2").read(written[0][0])


@pytest.mark.feature("E-03")
class TestReading:
    def test_reads_are_issued_together(self, watched: Watched) -> None:
        written = blobs(*[100] * 250)
        watched.store().write_ahead(written)
        assert watched.store().read_many(found for found, _ in written) == dict(written)
        assert watched.reads == [100, 100, 50]

    def test_an_order_with_repetitions_is_kept(self, watched: Watched) -> None:
        written = blobs(10, 700_000, 20, 2_000_000)
        watched.store().write_ahead(written)
        ids = [found for found, _ in written]
        order = [ids[3], ids[0], ids[0], ids[2], ids[1], ids[3], ids[0]] * 40
        assert [found for found, _ in watched.store().iterate(order)] == order

    def test_what_is_missing_is_told_by_name_after_what_came_before_it(self, watched: Watched) -> None:
        written, missing = blobs(10, 20), blobs(30)[0][0]
        watched.store().write_ahead(written)
        reading = watched.store().iterate([written[0][0], missing, written[1][0]])
        assert next(reading) == written[0]
        with pytest.raises(StoredStateBrokenError) as broken:
            next(reading)
        assert broken.value.name == missing.hex()

    def test_a_cache_answers_the_second_time_and_forgets_the_oldest(self, watched: Watched) -> None:
        written = blobs(*[1000] * 50)
        cache = ObjectCache(size_bytes_max=40_000)
        watched.store().write_ahead(written)
        store = watched.store(cache=cache)
        ids = [found for found, _ in written]
        assert dict(store.iterate(ids)) == dict(written)
        before = len(watched.reads)
        assert dict(store.iterate(ids[-20:])) == dict(written[-20:])
        assert len(watched.reads) == before, "the newest are remembered"
        assert store.read(ids[0]) == written[0][1]
        assert len(watched.reads) == before + 1, "the oldest were forgotten"

    def test_objects_of_every_size_are_found_or_not_without_reading_them(self, watched: Watched) -> None:
        written = blobs(1, 100_000, 2_000_000)
        watched.store().write_ahead(written)
        ids = [found for found, _ in written]
        assert watched.store().present([*ids, ObjectId(bytes(20)), ObjectId(b"\xff" * 20)]) == set(ids)
        assert watched.reads == []
