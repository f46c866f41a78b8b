# SPDX-License-Identifier: Apache-2.0
"""Idempotency records, queue pointers, chunked values and subscriptions."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from enchanted.keyspace import (
    OWNER_SCOPES,
    Keyspace,
    Principal,
    RequestReusedError,
    TenantId,
    TenantSpace,
    TipWatcher,
    chunks,
    idempotency,
    queue,
)
from tests.integration.keyspace.conftest import VALUES


def create_once(tr: Any, space: TenantSpace, request_id: str, content: bytes) -> bytes:
    earlier = idempotency.earlier_result(tr, space, request_id, content)
    if earlier is not None:
        return earlier
    tr.add(space.key(VALUES, "created"), (1).to_bytes(8, "little"))
    result = os.urandom(8)
    idempotency.remember(tr, space, request_id, content, result, now_us=0)
    return result


@pytest.mark.feature("K-02")
async def test_the_same_request_again_answers_the_same_and_changes_nothing(
    keyspace: Keyspace, space: TenantSpace
) -> None:
    answers = await asyncio.gather(
        *(keyspace.run(space, create_once, "req_1", b"make a job") for _ in range(8))
    )
    assert len(set(answers)) == 1
    created = await keyspace.run(space, lambda tr, space: bytes(tr[space.key(VALUES, "created")]))
    assert int.from_bytes(created, "little") == 1


@pytest.mark.feature("K-02")
async def test_a_request_id_with_another_content_is_refused(keyspace: Keyspace, space: TenantSpace) -> None:
    await keyspace.run(space, create_once, "req_1", b"make a job")
    with pytest.raises(RequestReusedError):
        await keyspace.run(space, create_once, "req_1", b"make another job")


@pytest.mark.feature("K-02")
async def test_answers_are_forgotten_after_their_time_and_not_before(
    keyspace: Keyspace, space: TenantSpace
) -> None:
    first = await keyspace.run(space, create_once, "req_1", b"make a job")
    week_us = idempotency.KEPT_SECONDS * 1_000_000
    assert await keyspace.run(space, idempotency.forget_expired, week_us, limit=10) == 0
    assert await keyspace.run(space, create_once, "req_1", b"make a job") == first
    assert await keyspace.run(space, idempotency.forget_expired, week_us + 1, limit=10) == 1
    assert await keyspace.run(space, create_once, "req_1", b"make another job") != first


@pytest.mark.feature("K-09")
async def test_tenants_with_work_are_found_and_those_without_are_not(keyspace: Keyspace) -> None:
    spaces = [
        await keyspace.space(Principal(TenantId(f"tenant-{number}"), "x", OWNER_SCOPES))
        for number in range(5)
    ]
    for space in spaces:
        await keyspace.run(space, queue.point, "jobs")
    await keyspace.run(spaces[2], queue.unpoint, "jobs")
    found: list[TenantId] = []
    for bucket in range(queue.BUCKETS):
        hub = await keyspace.hub()
        found += await keyspace.run(hub, queue.tenants_with_work, "jobs", bucket, limit=10)
    assert sorted(found) == ["tenant-0", "tenant-1", "tenant-3", "tenant-4"]


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("size", [0, 1, 89_992, 89_993, 300_000])
async def test_a_value_of_any_size_comes_back_whole(
    keyspace: Keyspace, space: TenantSpace, size: int
) -> None:
    value = os.urandom(size)
    await keyspace.run(space, chunks.write, VALUES, ("big",), os.urandom(200_000))
    await keyspace.run(space, chunks.write, VALUES, ("big",), value)
    assert await keyspace.run(space, chunks.read, VALUES, ("big",)) == value


@pytest.mark.feature("K-01")
async def test_a_chunked_value_that_lost_a_chunk_is_not_taken_for_whole(
    keyspace: Keyspace, space: TenantSpace
) -> None:
    await keyspace.run(space, chunks.write, VALUES, ("big",), os.urandom(200_000))
    await keyspace.run(space, lambda tr, space: tr.clear(space.key(VALUES, "big", 1)))
    with pytest.raises(ValueError, match="not complete"):
        await keyspace.run(space, chunks.read, VALUES, ("big",))


@pytest.mark.feature("K-01")
async def test_a_cleared_value_is_absent(keyspace: Keyspace, space: TenantSpace) -> None:
    await keyspace.run(space, chunks.write, VALUES, ("big",), b"x")
    await keyspace.run(space, chunks.clear, VALUES, ("big",))
    assert await keyspace.run(space, chunks.read, VALUES, ("big",)) is None


@pytest.mark.feature("K-01")
async def test_all_who_wait_for_a_tip_are_told_when_it_moves(keyspace: Keyspace, space: TenantSpace) -> None:
    watcher = TipWatcher(keyspace)
    waiting = [asyncio.create_task(watcher.wait(space, VALUES, ("tip",), b"")) for _ in range(5)]
    started = asyncio.create_task(watcher.wait(space, VALUES, ("tip",), b"", timeout_seconds=0.01))
    assert await started == b""

    def move(tr: Any, space: TenantSpace) -> None:
        tr[space.key(VALUES, "tip")] = b"moved"

    await keyspace.run(space, move)
    assert await asyncio.gather(*waiting) == [b"moved"] * 5


@pytest.mark.feature("K-01")
async def test_who_comes_late_is_told_at_once(keyspace: Keyspace, space: TenantSpace) -> None:
    await keyspace.run(space, lambda tr, space: tr.set(space.key(VALUES, "tip"), b"moved"))
    assert await TipWatcher(keyspace).wait(space, VALUES, ("tip",), b"") == b"moved"
