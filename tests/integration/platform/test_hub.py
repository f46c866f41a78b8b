# SPDX-License-Identifier: Apache-2.0
"""A hub owns its folder, serves it in every way, and leaves it for the next one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from enchanted import owner, platform, rpc
from enchanted.cli.projects import import_source
from enchanted.keyspace import load_or_create_key_ring
from enchanted.owner import Owner
from enchanted.platform import FolderInUseError, NoSandboxError, PortInUseError, StoreUnusableError
from enchanted.settings import Settings


@contextmanager
def _listener() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        yield bound.getsockname()[1]


def _silent(_told: str) -> None:
    pass


def _dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    return ended.pid


async def _names(connection: platform.Connection) -> list[str]:
    return [project.name async for project in connection.workspace.list_projects()]


@pytest.mark.feature("K-01")
async def test_a_hub_serves_pages_and_calls_and_tells_how_to_reach_it(settings: Settings) -> None:
    async with platform.hosted(settings) as hub:
        noted = owner.read_note(settings.data)
        assert noted is not None
        assert (noted.pid, noted.http_url) == (os.getpid(), hub.url)
        assert (settings.data / owner.NOTE).stat().st_mode & 0o777 == 0o600
        async with httpx2.AsyncClient() as browser:
            assert (await browser.get(f"{hub.url}/healthz")).text == "ok\n"
        async with platform.connect(settings) as reached:
            assert (reached.reached, reached.live, reached.url) == (True, True, hub.url)
            assert await _names(reached) == []
    assert not (settings.data / owner.NOTE).exists()


@pytest.mark.feature("K-01")
async def test_without_a_hub_the_rooms_are_hosted_for_one_command(settings: Settings) -> None:
    async with platform.connect(settings) as connection:
        assert (connection.reached, connection.live, connection.url) == (False, False, "")
        assert await _names(connection) == []
        assert owner.read_note(settings.data) is None


@pytest.mark.feature("K-01")
async def test_what_was_done_is_there_after_a_restart(settings: Settings, repository: Path) -> None:
    async with platform.hosted(settings) as hub:
        project, existed = await import_source(hub, str(repository), "", _silent)
        assert not existed
    async with platform.connect(settings) as connection:
        assert await _names(connection) == [project.name]
        again, existed = await import_source(connection, str(repository), "", _silent)
        assert (again.id, existed) == (project.id, True)


@pytest.mark.feature("K-01")
async def test_a_second_owner_is_refused_and_told_who_the_first_is(settings: Settings) -> None:
    async with platform.hosted(settings):
        with pytest.raises(FolderInUseError, match=f"in use by process {os.getpid()}$"):
            async with platform.hosted(settings):
                pytest.fail("two hubs")
    async with platform.hosted(settings) as hub:
        assert await _names(hub) == []


@pytest.mark.feature("K-01")
async def test_a_port_in_use_is_named_with_another_one(settings: Settings) -> None:
    with _listener() as port, pytest.raises(PortInUseError, match=f"port {port} ") as refused:
        async with platform.hosted(settings, port=port):
            pytest.fail("served")
    assert f"ENCHANTED_PORT={port % 65_535 + 1}" in refused.value.hint
    async with platform.hosted(settings) as hub:
        assert await _names(hub) == []


@pytest.mark.feature("K-01")
async def test_the_note_of_a_dead_hub_is_ignored_and_replaced(settings: Settings) -> None:
    owner.open_folder(settings.data)
    owner.write_note(settings.data, Owner(_dead_pid(), "unix:/nowhere", "http://127.0.0.1:1", "old"))
    async with platform.hosted(settings) as hub:
        noted = owner.read_note(settings.data)
        assert noted is not None
        assert (noted.pid, noted.http_url) == (os.getpid(), hub.url)


@pytest.mark.feature("K-01")
async def test_a_note_whose_process_is_somebody_elses_by_now_is_not_believed(settings: Settings) -> None:
    owner.open_folder(settings.data)
    owner.write_note(settings.data, Owner(os.getpid(), f"unix:{settings.data}/gone", "http://x", "old"))
    async with platform.connect(settings) as connection:
        assert not connection.reached


@pytest.mark.feature("K-01")
async def test_a_long_path_of_the_folder_is_served_as_well(settings: Settings) -> None:
    deep = settings.model_copy(update={"data": settings.data / ("d" * 60) / ("e" * 60)})
    async with platform.hosted(deep), platform.connect(deep) as reached:
        assert reached.reached
        noted = owner.read_note(deep.data)
        assert noted is not None
        assert noted.grpc_address.startswith("127.0.0.1:")


@pytest.mark.feature("K-01")
async def test_a_damaged_key_is_one_line_and_stops_the_hub(settings: Settings) -> None:
    async with platform.connect(settings):
        pass
    key = settings.data / "keys" / "root.key"
    key.write_text("enchanted-root-key-1 00 00\n")
    with pytest.raises(StoreUnusableError, match=r"root\.key is damaged"):
        async with platform.connect(settings):
            pytest.fail("opened")
    with owner.lock_folder(settings.data):
        pass


@pytest.mark.feature("E-17")
async def test_a_lost_key_is_not_replaced_and_the_old_one_opens_all_again(settings: Settings) -> None:
    async with platform.connect(settings) as hub:
        await _names(hub)
    key = settings.data / "keys" / "root.key"
    kept = key.rename(settings.data / "kept.key")
    with pytest.raises(StoreUnusableError, match=r"root\.key is missing; put back a copy"):
        async with platform.connect(settings):
            pytest.fail("a store was opened without its key")
    assert not key.exists()
    kept.rename(key)
    async with platform.connect(settings) as hub:
        assert await _names(hub) == []


@pytest.mark.feature("E-17")
async def test_another_key_is_refused_before_anything_is_sealed_with_it(settings: Settings) -> None:
    async with platform.connect(settings) as hub:
        await _names(hub)
    key = settings.data / "keys" / "root.key"
    key.unlink()
    load_or_create_key_ring(key, os.urandom)
    with pytest.raises(StoreUnusableError, match="not the one that this store was written with"):
        async with platform.connect(settings):
            pytest.fail("a store was opened with another key")


@pytest.mark.feature("E-12")
async def test_what_a_killed_agents_process_left_is_removed_when_a_hub_starts(settings: Settings) -> None:
    left = settings.data / "scratch" / "enchanted-agents-killed" / "trees"
    left.mkdir(parents=True)
    (left / "big").write_bytes(b"x" * 1000)
    async with platform.hosted(settings):
        assert list((settings.data / "scratch").iterdir()) == []


@pytest.mark.feature("E-12")
async def test_without_a_sandbox_a_hub_serves_and_jobs_wait(
    settings: Settings, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_sandbox() -> None:
        raise NoSandboxError("no sandbox here", "install it")

    monkeypatch.setattr(platform, "check_sandbox", no_sandbox)
    async with platform.hosted(settings) as hub:
        project, _ = await import_source(hub, str(repository), "", _silent)
        job = await hub.jobs.run_job(project.id, "modernize")
        assert (await hub.jobs.get_job(job.job_id)).starts == 0
    with pytest.raises(NoSandboxError):
        async with platform.connect(settings, work=True):
            pytest.fail("jobs cannot run here")


@pytest.mark.feature("K-01")
async def test_a_failing_command_gives_the_folder_back(settings: Settings) -> None:
    with pytest.raises(ZeroDivisionError):
        async with platform.hosted(settings):
            raise ZeroDivisionError
    async with platform.connect(settings) as connection:
        assert not connection.reached


@pytest.mark.feature("K-01")
async def test_a_hub_that_serves_is_not_reached_with_another_token(settings: Settings) -> None:
    async with platform.hosted(settings):
        noted = owner.read_note(settings.data)
        assert noted is not None
        owner.write_note(settings.data, Owner(noted.pid, noted.grpc_address, noted.http_url, "guessed"))
        async with AsyncExitStack() as stack:
            assert await platform.reach(settings, stack) is None
        channel = rpc.connect(noted.grpc_address, "guessed")
        async with channel:
            with pytest.raises(rpc.CallError, match="token"):
                await anext(platform.clients(channel).workspace.list_projects(), None)
