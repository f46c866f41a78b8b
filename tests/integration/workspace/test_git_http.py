# SPDX-License-Identifier: Apache-2.0
"""The real git program against a hub on this machine: clone, fetch, shallow, the past, and who may not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from a2wsgi import WSGIMiddleware

from enchanted.keyspace import LOCAL_TENANT, Principal
from enchanted.workspace import FileChange, git_application
from enchanted.workspace.client import materialise
from tests.integration.workspace.scene import JOB, MINUTE_US, PRINCIPALS, RunGit, Workspace


def authenticate(environ: Any) -> Principal | None:
    """Basic authentication whose password is the token."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    user_and_token = base64.b64decode(header.removeprefix("Basic ")).decode()
    return PRINCIPALS.get(user_and_token.partition(":")[2])


@contextlib.asynccontextmanager
async def serving(application: Any) -> AsyncIterator[int]:
    """Serve a WSGI application on a free port of this machine, in this loop."""
    listening = socket.create_server(("127.0.0.1", 0))
    mounted = WSGIMiddleware(application, workers=4)
    config = uvicorn.Config(mounted, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        mounted.executor.shutdown()
        listening.close()


async def may_read_all(principal: Principal, project_id: str) -> bool:
    return principal.job in {None, "job_1"} and bool(project_id)


class Hub:
    """Addresses on the served hub, and git run without blocking the loop that serves it."""

    def __init__(self, port: int, git: RunGit, folder: Path) -> None:
        self.port = port
        self._git = git
        self._folder = folder

    def url(self, project: str, who: str = "owner") -> str:
        credentials = f"agent:{who}@" if who else ""
        return f"http://{credentials}127.0.0.1:{self.port}/local/{quote(project)}"

    async def git(self, *arguments: str, folder: Path | None = None, check: bool = True) -> str:
        return await asyncio.to_thread(self._git, folder or self._folder, *arguments, check=check)

    async def clone(self, project: str, into: str, *options: str) -> Path:
        await self.git("clone", "--quiet", *options, self.url(project), into)
        return self._folder / into


@pytest.fixture
async def hub(workspace: Workspace, git: RunGit, tmp_path: Path) -> AsyncIterator[Hub]:
    application = git_application(
        workspace.keyspace, authenticate, now_us=workspace.clock, may_read=may_read_all, cache=workspace.cache
    )
    async with serving(application) as port:
        yield Hub(port, git, tmp_path)


def files_of(folder: Path) -> Iterator[tuple[str, bytes, bool]]:
    """Paths, contents (targets of links) and whether executable, without Git's own files."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".git" or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            yield name, str(path.readlink()).encode(), False
        else:
            yield name, path.read_bytes(), bool(path.stat().st_mode & 0o100)


@pytest.mark.feature("X-02")
class TestClone:
    async def test_a_clone_has_the_whole_history_and_passes_fsck(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit
    ) -> None:
        await workspace.take(repository)
        clone = await hub.clone("sample", "clone")
        assert git(clone, "rev-parse", "HEAD") == git(repository, "rev-parse", "HEAD")
        assert git(clone, "rev-list", "--count", "HEAD") == "4"
        assert git(clone, "symbolic-ref", "HEAD") == "refs/heads/main"
        git(clone, "fsck", "--strict", "--no-dangling")
        assert list(files_of(clone)) == list(files_of(repository))

    async def test_a_project_is_found_by_name_and_id_with_and_without_the_suffix(
        self, workspace: Workspace, hub: Hub, repository: Path
    ) -> None:
        project_id = (await workspace.take(repository)).project.project_id
        heads = {
            (await hub.git("ls-remote", hub.url(name), "HEAD")).split()[0]
            for name in ("sample", "sample.git", project_id, f"{project_id}.git", "sample@now.git")
        }
        assert heads == {(await workspace.head(project_id)).commit}

    async def test_a_file_too_large_for_the_store_comes_back_whole(
        self, workspace: Workspace, hub: Hub, tmp_path: Path
    ) -> None:
        folder = tmp_path / "large"
        folder.mkdir()
        noise = random.Random(1)
        for name, size in (("inline", 60_000), ("chunked", 700_000), ("blob", 3_000_000)):
            (folder / name).write_bytes(noise.randbytes(size))
        await workspace.take(folder)
        clone = await hub.clone("large", "clone")
        assert list(files_of(clone)) == list(files_of(folder))
        assert list((tmp_path / "blobs").rglob("*")), "the largest is in the blob store"


@pytest.mark.feature("X-02")
class TestFetch:
    async def test_a_fetch_brings_only_what_is_new(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit
    ) -> None:
        project_id = (await workspace.take(repository)).project.project_id
        clone = await hub.clone("sample", "clone")
        prepared = await workspace.change(project_id, FileChange("src/new.py", b"NEW = 1\n", ""))
        before = objects_in(git, clone)
        await hub.git("fetch", "--quiet", folder=clone)
        assert git(clone, "rev-parse", "origin/main") == prepared.head.commit
        # The commit, two trees and the blob.
        assert objects_in(git, clone) - before == 4
        git(clone, "fsck", "--strict", "--no-dangling")

    async def test_a_fetch_with_nothing_new_ends_well(
        self, workspace: Workspace, hub: Hub, repository: Path
    ) -> None:
        await workspace.take(repository)
        clone = await hub.clone("sample", "clone")
        assert await hub.git("fetch", folder=clone) == ""

    async def test_a_clone_with_commits_of_its_own_fetches(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit
    ) -> None:
        project_id = (await workspace.take(repository)).project.project_id
        clone = await hub.clone("sample", "clone")
        for number in range(40):
            git(clone, "commit", "--quiet", "--allow-empty", f"--message=Mine {number}")
        for number in range(3):
            await workspace.change(project_id, FileChange(f"new-{number}", b"new\n", ""))
        await hub.git("fetch", "--quiet", folder=clone)
        assert git(clone, "rev-parse", "origin/main") == (await workspace.head(project_id)).commit
        git(clone, "fsck", "--strict", "--no-dangling")

    async def test_a_head_that_moves_between_two_requests_of_a_client_does_not_fail_it(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit
    ) -> None:
        project = (await workspace.take(repository)).project
        await workspace.change(project.project_id, FileChange("new", b"new\n", ""))
        clone = await hub.clone("sample", "clone")
        # What was advertised a moment ago is asked for by its id, as a client in the middle of a fetch does.
        await workspace.change(project.project_id, FileChange("newer", b"newer\n", ""))
        git(clone, "init", "--quiet", "--bare", "late")
        await hub.git("fetch", "--quiet", hub.url("sample"), project.imported_commit, folder=clone / "late")

    async def test_a_commit_that_is_no_state_cannot_be_asked_for(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        await workspace.take(repository)
        inner = git(repository, "rev-parse", "HEAD~1")
        git(tmp_path, "init", "--quiet", "--bare", "late")
        said = await hub.git("fetch", hub.url("sample"), inner, folder=tmp_path / "late", check=False)
        assert "only commits that are states of the project can be fetched" in said


@pytest.mark.feature("X-02")
class TestShallow:
    async def test_a_shallow_clone_has_one_commit_and_can_go_on_fetching(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit
    ) -> None:
        project_id = (await workspace.take(repository)).project.project_id
        clone = await hub.clone("sample", "clone", "--depth=1")
        assert git(clone, "rev-list", "--count", "HEAD") == "1"
        assert list(files_of(clone)) == list(files_of(repository))
        prepared = await workspace.change(project_id, FileChange("new", b"new\n", ""))
        await hub.git("fetch", "--quiet", folder=clone)
        assert git(clone, "rev-parse", "origin/main") == prepared.head.commit
        assert git(clone, "rev-list", "--count", "origin/main") == "2"
        git(clone, "fsck", "--strict", "--no-dangling")

    async def test_a_shallow_clone_can_be_deepened_and_completed(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit
    ) -> None:
        await workspace.take(repository)
        clone = await hub.clone("sample", "clone", "--depth=1")
        await hub.git("fetch", "--quiet", "--depth=2", folder=clone)
        assert git(clone, "rev-list", "--count", "HEAD") == "3", "the merge and both its parents"
        git(clone, "fsck", "--strict", "--no-dangling")
        await hub.git("fetch", "--quiet", "--unshallow", folder=clone)
        assert git(clone, "rev-list", "--count", "HEAD") == "4"
        assert git(clone, "rev-parse", "--is-shallow-repository") == "false"
        git(clone, "fsck", "--strict", "--no-dangling")

    async def test_a_new_depth_after_new_states_cuts_there(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit
    ) -> None:
        project_id = (await workspace.take(repository)).project.project_id
        clone = await hub.clone("sample", "clone", "--depth=1")
        for number in range(3):
            await workspace.change(project_id, FileChange(f"new-{number}", b"new\n", ""))
        await hub.git("fetch", "--quiet", "--depth=1", folder=clone)
        assert git(clone, "rev-list", "--count", "origin/main") == "1"
        git(clone, "fsck", "--strict", "--no-dangling")


@pytest.mark.feature("E-03")
@pytest.mark.feature("X-02")
class TestThePast:
    async def test_a_clone_of_any_moment_is_the_checkout_of_that_moment(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        project_id = (await workspace.take(repository)).project.project_id
        for number in range(3):
            workspace.clock.wait(MINUTE_US)
            await workspace.change(project_id, FileChange(f"file-{number}", b"%d\n" % number, ""))
        client = workspace.client()
        texts = [moment.commit for moment in [m async for m in client.list_moments(project_id)]]
        texts += ["2026-01-01T00:01:30Z", "2026-01-01T01:01:30+01:00", "-90s", "evt_2", "now"]
        for number, text in enumerate(texts):
            moment = await client.resolve_moment(project_id, text)
            clone = await hub.clone(f"sample@{text}", f"clone-{number}")
            await materialise(client, project_id, text, tmp_path / f"checkout-{number}")
            assert git(clone, "rev-parse", "HEAD") == moment.commit
            assert list(files_of(clone)) == list(files_of(tmp_path / f"checkout-{number}"))

    async def test_a_moment_that_is_none_is_not_found(
        self, workspace: Workspace, hub: Hub, repository: Path
    ) -> None:
        await workspace.take(repository)
        said = await hub.git("ls-remote", hub.url("sample@yesterday"), check=False)
        assert "not found" in said
        assert "a moment is 'now', a time" in said


@pytest.mark.feature("X-02")
class TestRefusals:
    async def test_an_unknown_token_is_asked_for_a_better_one(
        self, workspace: Workspace, hub: Hub, repository: Path
    ) -> None:
        await workspace.take(repository)
        assert "Authentication failed" in await hub.git("ls-remote", hub.url("sample", "x"), check=False)
        assert "could not read Username" in await hub.git("ls-remote", hub.url("sample", ""), check=False)

    async def test_another_tenant_is_forbidden(
        self, workspace: Workspace, hub: Hub, repository: Path
    ) -> None:
        await workspace.take(repository)
        said = await hub.git("ls-remote", hub.url("sample", "stranger"), check=False)
        assert "the token is for another tenant" in said
        assert "403" in said

    async def test_a_job_reads_what_the_port_lets_it_read_and_nothing_by_default(
        self, workspace: Workspace, hub: Hub, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        await workspace.take(repository)
        assert "HEAD" in await hub.git("ls-remote", hub.url("sample", "job"))
        strict = git_application(workspace.keyspace, lambda _: JOB, now_us=workspace.clock)
        async with serving(strict) as port:
            said = await Hub(port, git, tmp_path).git(
                "ls-remote", f"http://127.0.0.1:{port}/{LOCAL_TENANT}/sample", check=False
            )
        assert "only the project of its own job" in said

    async def test_an_unknown_project_is_not_found(self, hub: Hub) -> None:
        assert "there is no such project" in await hub.git("ls-remote", hub.url("absent"), check=False)

    async def test_a_push_is_refused_with_a_reason(
        self, workspace: Workspace, hub: Hub, repository: Path
    ) -> None:
        await workspace.take(repository)
        said = await hub.git("push", hub.url("sample"), "main", folder=repository, check=False)
        assert "this hub does not take pushes" in said


def objects_in(git: RunGit, folder: Path) -> int:
    counted = dict(line.split(": ") for line in git(folder, "count-objects", "--verbose").splitlines())
    return int(counted["count"]) + int(counted["in-pack"])
