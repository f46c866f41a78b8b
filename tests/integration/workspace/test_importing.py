# SPDX-License-Identifier: Apache-2.0
"""An import makes a project whole or not at all, once, and tells history of it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from enchanted import history
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.workspace.v1 import workspace_pb2 as api
from enchanted.generated.workspace.v1 import workspace_pb2_grpc
from enchanted.rpc import CallError
from enchanted.workspace import PackedSource
from enchanted.workspace.model import ObjectId
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import (
    FileMode,
    GitObject,
    ObjectKind,
    TreeEntry,
    make_commit,
    make_tree,
    object_id,
)
from tests.integration.workspace.scene import JOB, RunGit, Workspace


def pack_of(*objects: GitObject) -> bytes:
    """A pack of whole objects."""
    body = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")
    for made in objects:
        size = len(made.content)
        header = bytearray([made.kind << 4 | size & 15])
        size >>= 4
        while size:
            header[-1] |= 0x80
            header.append(size & 0x7F)
            size >>= 7
        body += bytes(header) + zlib.compress(made.content)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def name_of(made: GitObject) -> ObjectId:
    return object_id(made.kind, made.content)


def blob(content: bytes) -> GitObject:
    return GitObject(ObjectKind.BLOB, content)


def tree(*entries: tuple[bytes, int, GitObject]) -> GitObject:
    return make_tree(TreeEntry(name, mode, name_of(made), b"") for name, mode, made in entries)


def commit(top: GitObject, *parents: GitObject) -> GitObject:
    return make_commit(
        name_of(top),
        [name_of(parent) for parent in parents],
        author="A <a@b>",
        committer="A <a@b>",
        message="m",
        time_us=0,
    )


async def send(
    workspace: Workspace, folder: Path, *objects: GitObject, head: GitObject, name: str = "made"
) -> api.ImportProjectResponse:
    path = folder / "made.pack"
    path.write_bytes(pack_of(*objects))
    packed = PackedSource(path, name_of(head).hex(), "", name, "a test", "")
    request_id = hashlib.sha256(path.read_bytes() + name.encode()).hexdigest()
    return await workspace.client().import_project(packed, request_id=request_id)


async def refusal(workspace: Workspace, folder: Path, *objects: GitObject, head: GitObject) -> CallError:
    """The error of an import that is refused, after making sure that nothing of it is left."""
    with pytest.raises(CallError) as refused:
        await send(workspace, folder, *objects, head=head)
    assert [project async for project in workspace.client().list_projects()] == []
    return refused.value


@pytest.mark.feature("E-03")
class TestOnce:
    async def test_a_project_is_what_was_imported(
        self, workspace: Workspace, repository: Path, git: RunGit
    ) -> None:
        answered = await workspace.take(repository)
        project = answered.project
        assert not answered.existed
        assert (project.name, project.source) == ("sample", str(repository))
        assert project.imported_commit == project.head_commit == git(repository, "rev-parse", "HEAD")
        assert project.imported_tree == project.head_tree == git(repository, "rev-parse", "HEAD^{tree}")
        assert project.created_time.ToMicroseconds() == workspace.clock()
        for text in ("sample", project.project_id):
            assert await workspace.client().get_project(text) == project

    @pytest.mark.feature("E-01")
    async def test_history_tells_of_it_with_the_whole_state_named_by_sha256(
        self, workspace: Workspace, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        project = (await workspace.take(repository)).project
        recorded = await workspace.keyspace.run(
            workspace.space, history.events_after, project.project_id, None, limit=10
        )
        event = recorded[0].event
        assert len(recorded) == 1
        assert event.agent_role == events.AGENT_ROLE_OPERATOR
        assert (event.agent_id, event.user_id, event.project_id) == ("owner", "owner", project.project_id)
        change = event.state_change
        assert (change.target_type, change.target_resource) == ("TIMELINE", "main")
        assert (change.previous_tree, change.new_tree) == ("", project.head_tree)
        assert change.commit_id == project.head_commit
        # The same files in a repository of Git's SHA-256 format have that name.
        git(tmp_path, "init", "--quiet", "--object-format=sha256", "other")
        git(tmp_path / "other", f"--work-tree={repository}", "add", "--all", ".")
        assert change.new_state_hash == "sha256:" + git(tmp_path / "other", "write-tree")

    async def test_the_same_request_again_answers_the_same(
        self, workspace: Workspace, repository: Path
    ) -> None:
        first = await workspace.take(repository, request_id="again")
        second = await workspace.take(repository, request_id="again")
        assert second.existed
        assert second.project == first.project

    async def test_the_same_content_under_the_same_name_is_the_same_project(
        self, workspace: Workspace, repository: Path, git: RunGit
    ) -> None:
        first = await workspace.take(repository)
        git(repository, "commit", "--quiet", "--allow-empty", "--message=Another commit, the same tree")
        second = await workspace.take(repository)
        assert second.existed
        assert second.project == first.project

    async def test_other_content_under_the_same_name_is_refused_and_says_what_to_do(
        self, workspace: Workspace, repository: Path
    ) -> None:
        await workspace.take(repository)
        (repository / "new").write_text("new\n")
        with pytest.raises(CallError, match="--name") as refused:
            await workspace.take(repository)
        assert refused.value.code == grpc.StatusCode.ALREADY_EXISTS
        assert (await workspace.take(repository, name="sample-2")).project.name == "sample-2"

    async def test_a_request_id_with_other_content_is_refused(
        self, workspace: Workspace, repository: Path
    ) -> None:
        await workspace.take(repository, request_id="same")
        with pytest.raises(CallError) as refused:
            await workspace.take(repository, name="other", request_id="same")
        assert refused.value.reason == "REQUEST_REUSED"

    async def test_projects_are_listed_in_the_order_of_their_creation_page_by_page(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        names = ["c", "a", "d", "b", "e"]
        for name in names:
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(name)
            await workspace.take(tmp_path / name)
        client = workspace.client()
        assert [project.name async for project in client.list_projects(page_size=2)] == names
        assert [project.name async for project in client.list_projects()] == names


@pytest.mark.feature("E-03")
class TestWhole:
    async def test_objects_that_the_commit_does_not_reach_are_not_stored(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        file, stray = blob(b"a"), blob(b"stray")
        top = tree((b"a", FileMode.FILE, file))
        head = commit(top)
        project = (await send(workspace, tmp_path, file, stray, top, head, head=head)).project
        store = ObjectStore(workspace.keyspace, workspace.space, project.project_id)
        assert store.present([name_of(file), name_of(stray)]) == {name_of(file)}

    async def test_what_lacks_something_is_refused(self, workspace: Workspace, tmp_path: Path) -> None:
        file = blob(b"a")
        below = tree((b"a", FileMode.FILE, file))
        top = tree((b"below", FileMode.TREE, below))
        first, objects = commit(top), (file, below, top)
        head = commit(top, first)
        whole = (*objects, first, head)
        for missing in whole:
            left = [made for made in whole if made is not missing]
            refused = await refusal(workspace, tmp_path, *left, head=head)
            assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PACK_INVALID")
        assert (await send(workspace, tmp_path, *whole, head=head)).project.name == "made"

    async def test_a_submodules_commit_need_not_be_there(self, workspace: Workspace, tmp_path: Path) -> None:
        top = tree((b"inner", FileMode.SUBMODULE, blob(b"elsewhere")))
        head = commit(top)
        await send(workspace, tmp_path, top, head, head=head)
        pieces = [piece async for piece in workspace.client().checkout("made")]
        assert [(piece.path, piece.mode, piece.data) for piece in pieces] == [
            ("inner", FileMode.SUBMODULE, b"")
        ]

    async def test_an_object_in_the_place_of_another_kind_is_refused(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        file = blob(b"a")
        top = tree((b"a", FileMode.TREE, file))
        head = commit(top)
        assert (await refusal(workspace, tmp_path, file, top, head, head=head)).reason == "PACK_INVALID"
        assert (await refusal(workspace, tmp_path, file, head=file)).reason == "PACK_INVALID"

    async def test_a_damaged_pack_is_refused(self, workspace: Workspace, tmp_path: Path) -> None:
        file = blob(b"a")
        path = tmp_path / "damaged"
        path.write_bytes(pack_of(file)[:-1] + b"x")
        with pytest.raises(CallError, match="damaged") as refused:
            await workspace.client().import_project(
                PackedSource(path, "0" * 40, "", "made", "", ""), request_id="damaged"
            )
        assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.feature("E-03")
class TestHostile:
    @pytest.mark.parametrize("name", [b".git", b".GIT", b"..", b".", b"a\nb", b"git~1"])
    async def test_a_name_that_must_not_reach_a_disk_is_refused_wherever_it_is(
        self, workspace: Workspace, tmp_path: Path, name: bytes
    ) -> None:
        file = blob(b"a")
        bad = GitObject(ObjectKind.TREE, b"100644 " + name + b"\x00" + name_of(file))
        top = tree((b"below", FileMode.TREE, bad))
        old = commit(top)
        good = tree((b"a", FileMode.FILE, file))
        head = commit(good, old)
        refused = await refusal(workspace, tmp_path, file, bad, top, good, old, head, head=head)
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TREE_HOSTILE")
        assert refused.message.startswith("the repository cannot be imported: ")
        assert refused.metadata["tree"] == name_of(bad).hex()

    async def test_folders_nested_too_deep_are_refused(self, workspace: Workspace, tmp_path: Path) -> None:
        file = blob(b"a")
        trees = [tree((b"a", FileMode.FILE, file))]
        for _ in range(200):
            trees.append(tree((b"d", FileMode.TREE, trees[-1])))
        head = commit(trees[-1])
        assert (
            "nested too deep" in (await refusal(workspace, tmp_path, file, *trees, head, head=head)).message
        )
        head = commit(trees[-2])
        await send(workspace, tmp_path, file, *trees, head, head=head)

    async def test_a_small_tree_that_unfolds_to_millions_of_files_is_refused(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        file = blob(b"a")
        trees = [tree(*((b"%d" % number, FileMode.FILE, file) for number in range(10)))]
        for _ in range(9):
            trees.append(tree(*((b"%d" % number, FileMode.TREE, trees[-1]) for number in range(10))))
        head = commit(trees[-1])
        refused = await refusal(workspace, tmp_path, file, *trees, head, head=head)
        assert "more than a million files" in refused.message


async def messages(*parts: api.ImportProjectRequest) -> AsyncIterator[api.ImportProjectRequest]:
    for part in parts:
        yield part


HEADER = api.ImportHeader(request_id="r", name="made", commit="0" * 40)


@pytest.mark.feature("E-03")
class TestRequests:
    @pytest.mark.parametrize(
        ("parts", "says"),
        [
            ([], "first message"),
            ([api.ImportProjectRequest(pack=b"x")], "first message"),
            ([api.ImportProjectRequest(header=HEADER)], "no pack"),
            ([api.ImportProjectRequest(header=HEADER)] * 2, "part of the pack"),
            ([api.ImportProjectRequest(header=api.ImportHeader(name="A"))], "project's name"),
            ([api.ImportProjectRequest(header=api.ImportHeader(name="a"))], "request_id"),
            ([api.ImportProjectRequest(header=api.ImportHeader(name="a", request_id="r"))], "commit"),
        ],
        ids=["nothing", "no header", "no pack", "two headers", "name", "request id", "commit"],
    )
    async def test_what_means_nothing_is_refused_by_name(
        self, workspace: Workspace, parts: list[api.ImportProjectRequest], says: str
    ) -> None:
        stub = workspace_pb2_grpc.WorkspaceStub(workspace.channel())
        with pytest.raises(CallError, match=says) as refused:
            await stub.ImportProject(messages(*parts))
        assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_job_imports_nothing_and_reads_nothing_that_it_was_not_given(
        self, workspace: Workspace, repository: Path
    ) -> None:
        assert JOB.job
        project = (await workspace.take(repository)).project
        client = workspace.client("job")
        assert [found async for found in client.list_projects()] == []
        for call in (
            client.get_project("sample"),
            client.resolve_moment(project.project_id),
            client.verify_project("sample"),
        ):
            with pytest.raises(CallError) as refused:
                await call
            assert refused.value.code == grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(CallError):
            [piece async for piece in client.checkout("sample")]

    async def test_another_tenant_sees_none_of_it(self, workspace: Workspace, repository: Path) -> None:
        project = (await workspace.take(repository)).project
        stranger = workspace.client("stranger")
        assert [found async for found in stranger.list_projects()] == []
        for text in ("sample", project.project_id):
            with pytest.raises(CallError) as refused:
                await stranger.get_project(text)
            assert refused.value.reason == "PROJECT_NOT_FOUND"
