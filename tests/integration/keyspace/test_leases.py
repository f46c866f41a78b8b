# SPDX-License-Identifier: Apache-2.0
"""One holder at a time, and a late one changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from enchanted.keyspace import BeatObserver, Keyspace, Lease, LeaseLostError, TenantSpace, leases

TERM_SECONDS = 10


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def observer(clock: Clock) -> BeatObserver:
    return BeatObserver(clock)


async def acquire(
    keyspace: Keyspace, space: TenantSpace, holder: str, observer: BeatObserver
) -> Lease | None:
    return await keyspace.run(space, leases.acquire, "ticket/1", holder, TERM_SECONDS, observer)


async def held(keyspace: Keyspace, space: TenantSpace, holder: str, observer: BeatObserver) -> Lease:
    lease = await acquire(keyspace, space, holder, observer)
    assert lease is not None
    return lease


@pytest.mark.feature("E-09")
async def test_of_many_who_ask_one_holds(
    keyspace: Keyspace, space: TenantSpace, observer: BeatObserver
) -> None:
    asked = await asyncio.gather(*(acquire(keyspace, space, f"agent {n}", observer) for n in range(12)))
    assert sum(lease is not None for lease in asked) == 1


@pytest.mark.feature("E-09")
async def test_the_holder_that_asks_again_has_the_same_lease(
    keyspace: Keyspace, space: TenantSpace, observer: BeatObserver
) -> None:
    first = await held(keyspace, space, "ada", observer)
    assert await held(keyspace, space, "ada", observer) == first


@pytest.mark.feature("E-09")
async def test_a_lease_whose_holder_beats_is_not_stolen(
    keyspace: Keyspace, space: TenantSpace, observer: BeatObserver, clock: Clock
) -> None:
    lease = await held(keyspace, space, "ada", observer)
    for _ in range(5):
        assert await acquire(keyspace, space, "bob", observer) is None
        clock.seconds += TERM_SECONDS - 1
        await keyspace.run(space, leases.beat, lease)


@pytest.mark.feature("E-09")
async def test_a_lease_silent_for_its_term_is_stolen_and_the_late_holder_is_fenced_off(
    keyspace: Keyspace, space: TenantSpace, observer: BeatObserver, clock: Clock
) -> None:
    late = await held(keyspace, space, "ada", observer)
    assert await acquire(keyspace, space, "bob", observer) is None
    clock.seconds += TERM_SECONDS
    thief = await held(keyspace, space, "bob", observer)
    assert thief.fencing_token > late.fencing_token
    for effect in (leases.check, leases.beat, leases.release):
        with pytest.raises(LeaseLostError):
            await keyspace.run(space, effect, late)
    await keyspace.run(space, leases.check, thief)


@pytest.mark.feature("E-09")
async def test_a_process_that_just_started_waits_a_full_term_before_it_steals(
    keyspace: Keyspace, space: TenantSpace, observer: BeatObserver
) -> None:
    await held(keyspace, space, "ada", observer)
    fresh = BeatObserver(Clock(seconds=1_000_000.0))
    assert await acquire(keyspace, space, "bob", fresh) is None


@pytest.mark.feature("E-09")
async def test_a_released_lease_is_free_at_once_with_a_greater_token(
    keyspace: Keyspace, space: TenantSpace, observer: BeatObserver
) -> None:
    first = await held(keyspace, space, "ada", observer)
    await keyspace.run(space, leases.release, first)
    assert (await held(keyspace, space, "bob", observer)).fencing_token > first.fencing_token


@pytest.mark.feature("E-09")
async def test_an_effect_that_races_with_the_thief_does_not_commit(
    keyspace: Keyspace, space: TenantSpace, observer: BeatObserver
) -> None:
    lease = await held(keyspace, space, "ada", observer)

    def race() -> int:
        effect = keyspace.db.create_transaction()
        leases.check(effect, space, lease)
        effect[space.prefix + b"effect"] = b"done"
        release = keyspace.db.create_transaction()
        leases.release(release, space, lease)
        release.commit().wait()
        try:
            effect.commit().wait()
        except Exception as error:  # noqa: BLE001 - the code is what is asserted
            return int(getattr(error, "code", 0))
        return 0

    assert await asyncio.to_thread(race) == 1020
