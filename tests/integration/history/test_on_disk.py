# SPDX-License-Identifier: Apache-2.0
"""History in a folder: it survives a restart, many writers at once, and does not hide a damaged file."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from enchanted.history import records
from enchanted.history.findings import Report
from enchanted.history.verification import verify_log
from enchanted.keyspace import FileKeyRing, FolderBlobStore, Keyspace, StoreUnavailableError, open_database
from tests.integration.history.flight import LOG, OWNER, Flight


async def opened(folder: Path) -> Flight:
    keyspace = Keyspace(
        open_database(f"embedded:{folder / 'store'}"),
        FileKeyRing(bytes(32)),
        FolderBlobStore(folder / "blobs"),
        os.urandom,
    )
    return Flight(keyspace, await keyspace.space(OWNER))


async def verify(flight: Flight, last_seen_note: str = "") -> Report:
    return await verify_log(flight.keyspace, flight.space, LOG, flight.sealer(), last_seen_note)


def flip(folder: Path, needle: bytes) -> None:
    """Change the first byte of ``needle`` in the one file that has it."""
    (file,) = [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]
    content = bytearray(file.read_bytes())
    content[content.index(needle)] ^= 1
    file.write_bytes(content)


@pytest.mark.feature("X-02")
async def test_a_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    flight = await opened(tmp_path)
    await flight.record_each(3)
    first = await verify(flight)
    await flight.record_each(2)
    await flight.keyspace.close()
    again = await opened(tmp_path)
    again.numbers = flight.numbers
    await again.record_each(1)
    second = await verify(again, first.note)
    assert (first.passed, first.size, second.passed, second.size) == (True, 3, True, 6)
    await again.keyspace.close()


@pytest.mark.feature("E-02")
async def test_many_writers_and_a_running_sealer_make_one_true_log(tmp_path: Path) -> None:
    flight = await opened(tmp_path)
    running = asyncio.create_task(flight.sealer().run())
    await asyncio.gather(*(flight.record(flight.event(job_id="job_1"), flight.event()) for _ in range(100)))
    report = await verify(flight)
    assert (report.passed, report.size) == (True, 200)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await flight.keyspace.close()


@pytest.mark.feature("E-02")
async def test_a_flipped_byte_in_the_folder_is_told(tmp_path: Path) -> None:
    flight = await opened(tmp_path)
    await flight.record(*(flight.event(user_id=flight.space.random_bytes(2000).hex()) for _ in range(20)))
    assert (await verify(flight)).passed
    stored = (await flight.rows(records.EVENT, LOG))[7][1]
    await flight.keyspace.close()
    flip(tmp_path, stored[len(stored) // 2 :][:16])
    try:
        again = await opened(tmp_path)
    except StoreUnavailableError:
        return
    report = await verify(again)
    assert [check.passed for check in report.checks] == [False] * len(report.checks)
    assert "cannot be read" in report.checks[0].detail
    # A store that cannot be read may refuse to be closed; the folder is this test's own.
    with contextlib.suppress(Exception):
        await again.keyspace.close()
