# SPDX-License-Identifier: Apache-2.0
"""A tenant's space reaches that tenant only, and closes for everyone at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from enchanted.generated.keyspace.store.v1 import records_pb2 as store
from enchanted.keyspace import (
    OWNER_SCOPES,
    Keyspace,
    Principal,
    StaleIncarnationError,
    TenantId,
    TenantSpace,
    TenantUnavailableError,
)
from enchanted.keyspace.records import HEADER
from tests.integration.keyspace.conftest import LOCAL, LOG, VALUES, WORDS


def put(tr: Any, space: TenantSpace, name: str, value: bytes) -> None:
    tr[space.key(VALUES, name)] = value


def get(tr: Any, space: TenantSpace, name: str) -> bytes | None:
    stored = tr[space.key(VALUES, name)]
    return bytes(stored) if stored.present() else None


def change_header(tr: Any, space: TenantSpace, /, **fields: Any) -> None:
    header = store.TenantHeader.FromString(bytes(tr[space.key(HEADER)]))
    for name, value in fields.items():
        setattr(header, name, value)
    tr[space.key(HEADER)] = header.SerializeToString()


@pytest.mark.feature("K-01")
async def test_what_one_transaction_writes_the_next_one_reads(keyspace: Keyspace, space: TenantSpace) -> None:
    await keyspace.run(space, put, "colour", b"green")
    assert await keyspace.run(space, get, "colour") == b"green"


@pytest.mark.feature("K-01")
async def test_two_tenants_keys_never_meet(keyspace: Keyspace, space: TenantSpace) -> None:
    other = await keyspace.space(Principal(TenantId("other"), "someone", OWNER_SCOPES))
    await keyspace.run(space, put, "colour", b"green")
    assert await keyspace.run(other, get, "colour") is None
    assert not other.prefix.startswith(space.prefix)
    assert not space.prefix.startswith(other.prefix)


@pytest.mark.feature("K-01")
async def test_a_tenant_keeps_its_prefix(keyspace: Keyspace, space: TenantSpace) -> None:
    assert (await keyspace.space(LOCAL)).prefix == space.prefix


@pytest.mark.feature("V-08")
async def test_a_suspended_tenant_refuses_every_writer(keyspace: Keyspace, space: TenantSpace) -> None:
    await keyspace.run(space, put, "colour", b"green")
    await keyspace.run(space, change_header, state=store.TENANT_STATE_SUSPENDED)
    with pytest.raises(TenantUnavailableError):
        await keyspace.run(space, put, "colour", b"red")
    await asyncio.to_thread(reopen, keyspace, space)
    assert await keyspace.run(space, get, "colour") == b"green"


def reopen(keyspace: Keyspace, space: TenantSpace) -> None:
    tr = keyspace.db.create_transaction()
    change_header(tr, space, state=store.TENANT_STATE_ACTIVE)
    tr.commit().wait()


@pytest.mark.feature("K-07")
async def test_a_handle_from_before_a_move_is_refused(keyspace: Keyspace, space: TenantSpace) -> None:
    await keyspace.run(space, change_header, incarnation=space.incarnation + 1)
    with pytest.raises(StaleIncarnationError):
        await keyspace.run(space, put, "colour", b"red")
    assert (await keyspace.space(LOCAL)).incarnation == space.incarnation + 1


@pytest.mark.feature("K-01")
async def test_a_body_that_raises_changes_nothing(keyspace: Keyspace, space: TenantSpace) -> None:
    def put_and_fail(tr: Any, space: TenantSpace) -> None:
        put(tr, space, "colour", b"red")
        raise LookupError

    with pytest.raises(LookupError):
        await keyspace.run(space, put_and_fail)
    assert await keyspace.run(space, get, "colour") is None


@pytest.mark.feature("K-01")
async def test_concurrent_increments_are_all_there(keyspace: Keyspace, space: TenantSpace) -> None:
    def increment(tr: Any, space: TenantSpace) -> None:
        put(tr, space, "count", str(int(get(tr, space, "count") or b"0") + 1).encode())

    await asyncio.gather(*(keyspace.run(space, increment) for _ in range(60)))
    assert await keyspace.run(space, get, "count") == b"60"


@pytest.mark.feature("E-01")
async def test_several_stamped_writes_of_one_transaction_keep_their_order(
    keyspace: Keyspace, space: TenantSpace
) -> None:
    def append(tr: Any, space: TenantSpace, words: list[bytes]) -> None:
        for word in words:
            key, _ = space.stamped_key(tr, LOG)
            tr.set_versionstamped_key(key, word)

    def read(tr: Any, space: TenantSpace) -> list[bytes]:
        keys = space.range(LOG, space.incarnation)
        return [pair.value for pair in tr.get_range(keys.begin, keys.end)]

    await keyspace.run(space, append, [b"one", b"two"])
    await keyspace.run(space, append, [b"three"])
    assert await keyspace.run(space, read) == [b"one", b"two", b"three"]


@pytest.mark.feature("E-01")
async def test_a_stamped_value_is_the_stamp_of_its_commit(keyspace: Keyspace, space: TenantSpace) -> None:
    def stamp(tr: Any, space: TenantSpace) -> None:
        value = space.stamped_value(7, before=b"<", after=b">")
        tr.set_versionstamped_value(space.key(VALUES, "tip"), value)

    def commit() -> bytes:
        tr = keyspace.db.create_transaction()
        stamp(tr, space)
        committed = tr.get_versionstamp()
        tr.commit().wait()
        return bytes(committed)

    committed = await asyncio.to_thread(commit)
    assert await keyspace.run(space, get, "tip") == b"<" + committed + b"\x00\x07>"


@pytest.mark.feature("E-17")
async def test_sealed_words_stand_nowhere_in_the_clear(keyspace: Keyspace, space: TenantSpace) -> None:
    secret = b"the walrus and the carpenter"

    def write(tr: Any, space: TenantSpace) -> None:
        tr[space.key(WORDS, "poem")] = space.seal(WORDS, "prj_1", "poem", secret)

    def read(tr: Any, space: TenantSpace) -> tuple[bytes, bytes]:
        stored = bytes(tr[space.key(WORDS, "poem")])
        return stored, space.unseal(WORDS, "prj_1", "poem", stored)

    await keyspace.run(space, write)
    stored, opened = await keyspace.run(space, read)
    assert opened == secret
    assert secret not in stored
