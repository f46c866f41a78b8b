# SPDX-License-Identifier: Apache-2.0
"""A state leaves the hub as a stream and lands in a folder as it was, over a socket as inside the process."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enchanted import rpc
from enchanted.rpc import CallError
from enchanted.workspace import ERRORS, FileChange, PackedSource, pack_source
from enchanted.workspace.client import CheckoutError, WorkspaceClient, materialise
from tests.integration.workspace.scene import RunGit, Tokens, Workspace


@pytest.fixture
async def remote(workspace: Workspace) -> AsyncIterator[WorkspaceClient]:
    """The owner's client over a socket."""
    server, port = await rpc.serve(workspace.register, "127.0.0.1:0", rpc.interceptors(Tokens(), ERRORS))
    channel = rpc.connect(f"127.0.0.1:{port}", "owner")
    yield WorkspaceClient(channel)
    await channel.close(None)
    await server.stop(None)


@pytest.mark.feature("E-03")
class TestCheckout:
    async def test_a_folder_comes_back_as_it_was_imported(
        self, workspace: Workspace, repository: Path, git: RunGit, tmp_path: Path
    ) -> None:
        for number in range(300):
            (repository / f"many-{number}").write_text(f"{number}\n")
        (repository / os.fsdecode(b"latin-\xe9")).write_text("odd\n")
        await workspace.take(repository)
        await materialise(workspace.client(), "sample", "", tmp_path / "out")
        git(repository, "add", "--all")
        git(tmp_path, "init", "--quiet", "compared")
        git(tmp_path / "compared", f"--work-tree={tmp_path / 'out'}", "add", "--all", ".")
        assert git(tmp_path / "compared", "write-tree") == git(repository, "write-tree")

    async def test_files_larger_than_a_message_go_both_ways_over_a_socket(
        self, remote: WorkspaceClient, tmp_path: Path
    ) -> None:
        source = tmp_path / "large"
        source.mkdir()
        content = random.Random(3).randbytes(20 << 20)
        (source / "file").write_bytes(content)
        packed = await pack_source(str(source), tmp_path / "packed", lambda _: None)
        await remote.import_project(packed, request_id="r")
        # The second answer comes before the pack was sent.
        assert (await remote.import_project(packed, request_id="r")).existed
        await materialise(remote, "large", "", tmp_path / "out")
        assert (tmp_path / "out" / "file").read_bytes() == content

    async def test_long_texts_are_refused_in_errors_that_fit_their_headers(
        self, remote: WorkspaceClient, tmp_path: Path
    ) -> None:
        (tmp_path / "pack").write_bytes(b"x")
        long = "x" * 1_000_000
        packed = PackedSource(tmp_path / "pack", "0" * 40, "", long, "", "")
        calls = (remote.get_project(long), remote.import_project(packed, request_id="r"))
        for call, reason in zip(calls, ("PROJECT_NOT_FOUND", "NAME_INVALID"), strict=True):
            with pytest.raises(CallError) as refused:
                await call
            assert refused.value.reason == reason

    async def test_errors_come_over_the_socket_with_their_reasons(self, remote: WorkspaceClient) -> None:
        with pytest.raises(CallError) as refused:
            await remote.get_project("absent")
        assert (refused.value.reason, refused.value.metadata["project"]) == ("PROJECT_NOT_FOUND", "absent")

    async def test_a_folder_that_is_not_empty_is_refused_before_anything_is_asked_for(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(CheckoutError, match="not empty"):
            await materialise(workspace.client(), "absent", "", tmp_path)

    async def test_an_empty_state_is_an_empty_folder(self, workspace: Workspace, tmp_path: Path) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "file").write_text("x")
        project = (await workspace.take(tmp_path / "one")).project
        digest = "sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        await workspace.change(project.project_id, FileChange("file", None, digest))
        await materialise(workspace.client(), "one", "", tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []
