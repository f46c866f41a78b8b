# SPDX-License-Identifier: Apache-2.0
"""Whatever is taken away, put back or changed of a stored project, verification says what and where."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enchanted import history
from enchanted.generated.workspace.store.v1 import records_pb2 as store
from enchanted.keyspace import FileKeyRing, FolderBlobStore, Keyspace, TenantSpace, open_database
from enchanted.workspace import FileChange, prepare_commit, records
from enchanted.workspace.model import State
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import GitObject, ObjectKind, blob_sha256, object_id, parse_id
from enchanted.workspace.verification import verify_project
from tests.integration.workspace.scene import CODER, OWNER, Workspace, timeline_event


class Project:
    """An imported project with three more states, and hands in its store."""

    def __init__(self, workspace: Workspace, project_id: str) -> None:
        self.workspace = workspace
        self.project_id = project_id

    async def faults(self) -> dict[str, str]:
        """Names and details of the checks that failed."""
        checks = await self.workspace.client().verify_project(self.project_id)
        assert [check.name for check in checks] == ["objects", "states", "events", "head"]
        return {check.name: check.detail for check in checks if not check.passed}

    async def tamper(self, body: Callable[..., Any]) -> None:
        await self.workspace.keyspace.run(self.workspace.space, body)

    async def states(self) -> list[State]:
        """Oldest first."""
        return await self.workspace.keyspace.run(
            self.workspace.space, records.states, self.project_id, beyond=None, limit=10, newest_first=False
        )

    async def state_keys(self) -> list[bytes]:
        def read(tr: Any, space: TenantSpace) -> list[bytes]:
            keys = space.range(records.ROOT, self.project_id)
            return [bytes(pair.key) for pair in tr.get_range(keys.begin, keys.end)]

        return await self.workspace.keyspace.run(self.workspace.space, read)

    def objects(self) -> ObjectStore:
        return ObjectStore(self.workspace.keyspace, self.workspace.space, self.project_id)


@pytest.fixture
async def project(workspace: Workspace, repository: Path) -> Project:
    (repository / "large").write_bytes(os.urandom(200_000))
    (repository / "huge").write_bytes(os.urandom(1_500_000))
    project_id = (await workspace.take(repository)).project.project_id
    for number in range(3):
        await workspace.change(project_id, FileChange(f"file-{number}", b"%d\n" % number, ""))
    return Project(workspace, project_id)


@pytest.mark.feature("E-02")
class TestUntouched:
    async def test_a_project_passes_and_says_what_was_looked_at(self, project: Project) -> None:
        checks = {c.name: c for c in await project.workspace.client().verify_project(project.project_id)}
        assert all(check.passed for check in checks.values())
        # Imported: 5 commits, 5 trees, 2 folders, 8 files. Each state adds a commit, a tree and a file.
        assert checks["objects"].detail == "29 objects match their names"
        assert checks["states"].detail == "4 states follow each other"
        assert checks["events"].detail == "4 state changes are told by their events"

    async def test_states_that_come_while_it_runs_are_no_fault(self, project: Project) -> None:
        workspace = project.workspace

        async def live() -> None:
            for number in range(10):
                await workspace.change(project.project_id, FileChange(f"late-{number}", b"x", ""))

        living = asyncio.create_task(live())
        while not living.done():
            assert await project.faults() == {}
        await living

    async def test_events_without_sha256_names_of_states_pass(self, project: Project) -> None:
        workspace = project.workspace
        base = await workspace.head(project.project_id)
        prepared = await prepare_commit(
            workspace.keyspace,
            workspace.space,
            project.project_id,
            base,
            [FileChange("plain", b"x", "")],
            author=CODER,
            message="m",
            now_us=1,
        )
        event = timeline_event(project.project_id, prepared, "evt_plain", 10**15)
        event.state_change.new_state_hash = event.state_change.previous_state_hash = ""

        def move(tr: Any, space: TenantSpace) -> None:
            records.advance(tr, space, project.project_id, prepared, event_id="evt_plain")
            history.append(tr, space, project.project_id, event)

        await project.tamper(move)
        assert await project.faults() == {}


@pytest.mark.feature("E-02")
class TestObjects:
    async def key_of(self, project: Project, path: str) -> tuple[bytes, str]:
        head = await project.workspace.head(project.project_id)
        entry = next(
            e
            for e in await asyncio.to_thread(project.objects().read_tree, parse_id(head.tree))
            if e.name.decode() == path
        )
        return project.workspace.space.key(
            records.OBJECT, project.project_id, entry.object_id
        ), entry.object_id.hex()

    @pytest.mark.parametrize("path", ["file-0", "large", "huge", "src"])
    async def test_a_missing_one_is_named(self, project: Project, path: str) -> None:
        key, name = await self.key_of(project, path)
        await project.tamper(lambda tr, _: tr.clear(key))
        faults = await project.faults()
        assert f"object {name} is missing or was changed" in faults["objects"]

    @pytest.mark.parametrize("path", ["file-0", "large", "huge", "src"])
    async def test_a_changed_byte_is_found_wherever_the_bytes_are(
        self, project: Project, path: str, tmp_path: Path
    ) -> None:
        key, name = await self.key_of(project, path)
        for blob in (tmp_path / "blobs").rglob("*"):
            if path == "huge" and blob.is_file():
                content = bytearray(blob.read_bytes())
                content[1000] ^= 1
                blob.write_bytes(content)

        def flip(tr: Any, space: TenantSpace) -> None:
            keys = space.range(records.OBJECT_CHUNK, project.project_id, bytes.fromhex(name))
            pairs = list(tr.get_range(keys.begin, keys.end)) if path == "large" else []
            place, value = (pairs[1].key, pairs[1].value) if pairs else (key, tr[key])
            changed = bytearray(bytes(value))
            changed[len(changed) // 2] ^= 1
            tr[place] = bytes(changed)

        if path != "huge":
            await project.tamper(flip)
        assert f"object {name} is missing or was changed" in (await project.faults())["objects"]

    async def test_an_object_in_the_place_of_another_does_not_open(self, project: Project) -> None:
        one, name = await self.key_of(project, "file-0")
        other, _ = await self.key_of(project, "file-1")

        def swap(tr: Any, _: TenantSpace) -> None:
            tr[one] = bytes(tr[other])

        await project.tamper(swap)
        assert name in (await project.faults())["objects"]

    async def test_other_content_under_a_name_is_found_even_if_it_is_sealed_properly(
        self, project: Project
    ) -> None:
        key, name = await self.key_of(project, "file-0")

        def forge(tr: Any, space: TenantSpace) -> None:
            content = store.GitObject(kind=ObjectKind.BLOB, content=b"forged\n").SerializeToString()
            sealed = space.seal(records.OBJECT, project.project_id, name, content)
            tr[key] = store.StoredObject(sealed=sealed).SerializeToString()

        await project.tamper(forge)
        assert f"object {name} does not match its name" in (await project.faults())["objects"]

    async def test_a_forged_sha256_name_is_found(self, project: Project) -> None:
        head = await project.workspace.head(project.project_id)
        tree = await asyncio.to_thread(project.objects().read, parse_id(head.tree))
        forged = GitObject(tree.kind, tree.content, blob_sha256(b"x") + tree.entries_sha256[32:])

        def write(tr: Any, space: TenantSpace) -> None:
            content = store.GitObject(kind=2, content=forged.content, entries_sha256=forged.entries_sha256)
            sealed = space.seal(records.OBJECT, project.project_id, head.tree, content.SerializeToString())
            key = space.key(records.OBJECT, project.project_id, bytes.fromhex(head.tree))
            tr[key] = store.StoredObject(sealed=sealed).SerializeToString()

        await project.tamper(write)
        faults = await project.faults()
        assert (
            "does not match its SHA-256 name" in faults["objects"]
            or "two different things" in faults["objects"]
        )
        assert "tells of other content than is stored" in faults["events"]

    async def test_many_faults_are_counted(self, project: Project) -> None:
        def clear(tr: Any, space: TenantSpace) -> None:
            keys = space.range(records.OBJECT, project.project_id)
            tr.clear_range(keys.begin, keys.end)

        await project.tamper(clear)
        assert "and 3 more" in (await project.faults())["objects"]


@pytest.mark.feature("E-02")
class TestStates:
    @pytest.mark.parametrize("number", [0, 1, 2, 3])
    async def test_a_missing_one_is_found(self, project: Project, number: int) -> None:
        key = (await project.state_keys())[number]
        await project.tamper(lambda tr, _: tr.clear(key))
        faults = await project.faults()
        assert "is missing" in faults["events"]
        assert ("states" in faults) == (number < 3)
        assert ("head" in faults) == (number == 3)

    async def test_a_newest_state_taken_back_with_its_head_is_found(self, project: Project) -> None:
        states, keys = await project.states(), await project.state_keys()

        def take_back(tr: Any, space: TenantSpace) -> None:
            tr.clear(keys[-1])
            head = store.Head(commit=states[-2].head.commit, tree=states[-2].head.tree)
            tr[space.key(records.HEAD, project.project_id, "main")] = head.SerializeToString()

        await project.tamper(take_back)
        faults = await project.faults()
        assert set(faults) == {"events"}
        assert f"the state of event {states[-1].event_id} is missing" in faults["events"]

    async def test_all_states_gone_is_found(self, project: Project) -> None:
        def clear(tr: Any, space: TenantSpace) -> None:
            keys = space.range(records.ROOT, project.project_id)
            tr.clear_range(keys.begin, keys.end)

        await project.tamper(clear)
        faults = await project.faults()
        assert faults["states"] == "the project has no state"
        assert "events" in faults

    @pytest.mark.parametrize("field", ["tree", "commit", "event_id", "previous_tree"])
    async def test_a_changed_one_is_found(self, project: Project, field: str) -> None:
        states, key = await project.states(), (await project.state_keys())[2]

        def change(tr: Any, _: TenantSpace) -> None:
            root = store.Root.FromString(bytes(tr[key]))
            other = {
                "tree": states[0].head.tree,
                "commit": states[0].head.commit,
                "event_id": states[0].event_id,
                "previous_tree": states[0].head.tree,
            }
            setattr(root, field, other[field])
            tr[key] = root.SerializeToString()

        await project.tamper(change)
        assert "tells of another state than is stored" in (await project.faults())["events"]

    @pytest.mark.parametrize("value", [b"\xff\xff", b"", b"\x0a\x03abc"])
    async def test_one_that_is_none_is_found(self, project: Project, value: bytes) -> None:
        key = (await project.state_keys())[2]

        def change(tr: Any, _: TenantSpace) -> None:
            tr[key] = value

        await project.tamper(change)
        assert "states" in await project.faults()

    async def test_an_invented_one_is_found(self, project: Project) -> None:
        states = await project.states()

        def invent(tr: Any, space: TenantSpace) -> None:
            root = store.Root(
                tree=states[0].head.tree,
                commit=states[0].head.commit,
                event_id="evt_invented",
                previous_tree=states[-1].head.tree,
            )
            records.write_state(tr, space, project.project_id, "main", root)

        await project.tamper(invent)
        assert "no event tells of the state at" in (await project.faults())["events"]


@pytest.mark.feature("E-02")
class TestHead:
    async def test_a_missing_one_is_found(self, project: Project) -> None:
        await project.tamper(lambda tr, space: tr.clear(space.key(records.HEAD, project.project_id, "main")))
        assert (await project.faults())["head"] == "the head is missing"

    async def test_one_that_points_elsewhere_is_found(self, project: Project) -> None:
        first = (await project.states())[0].head

        def point(tr: Any, space: TenantSpace) -> None:
            head = store.Head(commit=first.commit, tree=first.tree)
            tr[space.key(records.HEAD, project.project_id, "main")] = head.SerializeToString()

        await project.tamper(point)
        assert set(await project.faults()) == {"head"}


@pytest.mark.feature("E-02")
async def test_a_byte_changed_on_the_disk_under_a_closed_store_is_found(
    tmp_path: Path, repository: Path
) -> None:
    # The engine checks whole blocks; in one of the last objects, what opens the store is in other blocks.
    folder, contents = tmp_path / "store", [os.urandom(8_000) for _ in range(30)]
    marker = sorted(contents, key=lambda content: object_id(ObjectKind.BLOB, content))[20]

    def opened() -> Keyspace:
        database = open_database(f"embedded:{folder}")
        return Keyspace(database, FileKeyRing(bytes(32)), FolderBlobStore(tmp_path / "blobs"), os.urandom)

    for number, content in enumerate(contents):
        (repository / f"file-{number}").write_bytes(content)
    first = opened()
    workspace = Workspace(first, await first.space(OWNER), tmp_path)
    project_id = (await workspace.take(repository)).project.project_id
    await first.close()
    name = object_id(ObjectKind.BLOB, marker)
    again = opened()
    space = await again.space(OWNER)
    assert all(check.passed for check in await asyncio.to_thread(verify_project, again, space, project_id))
    sealed = await again.run(space, records.read_objects, project_id, [name])
    await again.close()
    found = sealed[name]
    assert found is not None
    files = [path for path in folder.rglob("*") if path.is_file() and found.sealed[40:] in path.read_bytes()]
    assert files, "the sealed bytes are in some file as they are"
    for path in files:
        changed = bytearray(path.read_bytes())
        changed[changed.index(found.sealed[40:]) + 20] ^= 1
        path.write_bytes(changed)
    again = opened()
    space = await again.space(OWNER)
    checks = await asyncio.to_thread(verify_project, again, space, project_id)
    await again.close()
    faults = {check.name: check.detail for check in checks if not check.passed}
    # The engine refuses the whole block; a tree in the same block hides what is below it.
    assert "is missing or was changed" in faults["objects"]
