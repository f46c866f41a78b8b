# SPDX-License-Identifier: Apache-2.0
"""The sealer makes one tree of all events, whoever dies when, and signs nothing that contradicts itself."""

from __future__ import annotations

import asyncio

import pytest

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.history import Place, Sealer, merkle, records, sealer
from enchanted.history.model import LogNotFoundError, TreeBrokenError
from enchanted.keyspace import BeatObserver, LeaseLostError, TipWatcher, leases
from tests.integration.history.flight import LOG, OWNER, SIGNER, Flight

pytestmark = pytest.mark.feature("E-02")


async def stored_leaves(flight: Flight) -> list[bytes]:
    return [value for _, value in await flight.rows(records.LEAF, LOG)]


async def head_of(flight: Flight) -> store.TreeHead:
    head = await flight.keyspace.run(flight.space, records.read_head, LOG)
    assert head is not None
    return head


async def test_sealing_makes_a_leaf_of_each_event_in_order(flight: Flight) -> None:
    await flight.record_each(7)
    head = await flight.sealer().seal_now(flight.space, LOG)
    leaves = [store.Leaf.FromString(value) for value in await stored_leaves(flight)]
    recorded = await flight.recorded()
    assert [leaf.event_id for leaf in leaves] == [found.event.event_id for found in recorded]
    assert [Place.of(leaf) for leaf in leaves] == [Place.of(found) for found in recorded]
    assert [leaf.index for leaf in leaves] == list(range(7))
    frontier = merkle.Frontier()
    for value in await stored_leaves(flight):
        frontier, _ = frontier.grow(merkle.leaf_hash(value))
    assert (head.size, head.root_sha256) == (7, frontier.root())


async def test_each_batch_leaves_a_complete_signed_tree(flight: Flight) -> None:
    for count in (3, 1, 4):
        await flight.record_each(count)
        await flight.sealer().seal_now(flight.space, LOG)
    verifier = SIGNER.verifier("local", LOG)
    notes = [
        store.Checkpoint.FromString(value).note for _, value in await flight.rows(records.CHECKPOINT, LOG)
    ]
    checkpoints = [verifier.open(note) for note in notes]
    assert [checkpoint.size for checkpoint in checkpoints] == [3, 4, 8]
    assert checkpoints[-1].root == (await head_of(flight)).root_sha256


async def test_proofs_are_made_from_the_stored_nodes(flight: Flight) -> None:
    await flight.record_each(11)
    head = await flight.sealer().seal_now(flight.space, LOG)
    nodes = {
        flight.space.elements(records.NODE, key)[1:]: value
        for key, value in await flight.rows(records.NODE, LOG)
    }
    for index, value in enumerate(await stored_leaves(flight)):
        proof = merkle.inclusion_proof(index, head.size, lambda level, at: nodes[level, at])
        assert merkle.verify_inclusion(merkle.leaf_hash(value), index, head.size, proof, head.root_sha256)


async def test_sealing_again_changes_nothing(flight: Flight) -> None:
    await flight.record_each(2)
    first = await flight.sealer().seal_now(flight.space, LOG)
    assert await flight.sealer().seal_now(flight.space, LOG) == first
    assert len(await flight.rows(records.CHECKPOINT, LOG)) == 1


async def test_many_events_are_sealed_in_bounded_batches(flight: Flight) -> None:
    for _ in range(9):
        await flight.record(*(flight.event() for _ in range(50)))
    await flight.sealer().seal_now(flight.space, LOG)
    sizes = [
        flight.space.elements(records.CHECKPOINT, key)[1]
        for key, _ in await flight.rows(records.CHECKPOINT, LOG)
    ]
    assert sizes == [200, 400, 450]


async def test_a_log_without_events_cannot_be_sealed(flight: Flight) -> None:
    with pytest.raises(LogNotFoundError):
        await flight.sealer().seal_now(flight.space, "prj_absent")


async def test_a_sealed_log_is_no_longer_dirty_and_its_lease_is_free(flight: Flight) -> None:
    await flight.record_each(1)
    assert (await flight.keyspace.run(flight.space, records.read_dirty_logs)).logs == (LOG,)
    await flight.sealer("one").seal_now(flight.space, LOG)
    assert (await flight.keyspace.run(flight.space, records.read_dirty_logs)).logs == ()
    await flight.record_each(1)
    assert (await flight.sealer("two").seal_now(flight.space, LOG)).size == 2


async def test_an_event_that_comes_in_while_settling_is_not_forgotten(flight: Flight) -> None:
    await flight.record_each(1)
    run, space = flight.keyspace.run, flight.space
    lease = await run(space, leases.acquire, f"sealer/{LOG}", "one", 10, BeatObserver(flight.clock.monotonic))
    assert lease is not None
    assert (await run(space, sealer.seal_batch, lease, LOG, flight.clock.now(), SIGNER)).caught_up
    await flight.record_each(1)
    assert not await run(space, sealer.settle, lease, LOG)
    assert (await run(space, records.read_dirty_logs)).logs == (LOG,)


@pytest.mark.feature("X-02")
@pytest.mark.parametrize("steps", range(4))
async def test_a_sealer_that_dies_between_transactions_loses_nothing(flight: Flight, steps: int) -> None:
    for _ in range(9):
        await flight.record(*(flight.event() for _ in range(50)))
    run, space = flight.keyspace.run, flight.space
    lease = await run(
        space, leases.acquire, f"sealer/{LOG}", "dead", 10, BeatObserver(flight.clock.monotonic)
    )
    assert lease is not None
    for _ in range(steps):
        await run(space, sealer.seal_batch, lease, LOG, flight.clock.now(), SIGNER)
    head = await flight.sealer("next").seal_now(space, LOG)
    assert head.size == 450
    assert [store.Leaf.FromString(value).index for value in await stored_leaves(flight)] == list(range(450))


@pytest.mark.feature("X-02")
async def test_the_dead_sealers_late_transaction_has_no_effect(flight: Flight) -> None:
    await flight.record_each(1)
    run, space = flight.keyspace.run, flight.space
    lease = await run(
        space, leases.acquire, f"sealer/{LOG}", "slow", 10, BeatObserver(flight.clock.monotonic)
    )
    assert lease is not None
    await flight.sealer("next").seal_now(space, LOG)
    await flight.record_each(1)
    with pytest.raises(LeaseLostError):
        await run(space, sealer.seal_batch, lease, LOG, flight.clock.now(), SIGNER)
    assert (await head_of(flight)).size == 1


async def test_a_living_sealer_is_not_robbed_before_its_term(flight: Flight) -> None:
    await flight.record_each(1)
    observer = BeatObserver(flight.clock.monotonic)
    run, space = flight.keyspace.run, flight.space
    assert (
        await run(space, leases.acquire, f"sealer/{LOG}", "living", sealer.TERM_SECONDS, observer) is not None
    )
    await flight.sealer("thief").seal_now(space, LOG)
    assert flight.clock.monotonic_seconds >= sealer.TERM_SECONDS


async def test_two_requests_in_one_process_seal_once(flight: Flight) -> None:
    await flight.record_each(5)
    one = flight.sealer()
    heads = await asyncio.gather(*(one.seal_now(flight.space, LOG) for _ in range(4)))
    assert [head.size for head in heads] == [5, 5, 5, 5]
    assert len(await flight.rows(records.CHECKPOINT, LOG)) == 1


@pytest.mark.parametrize("what", [records.TREE, records.CHECKPOINT], ids=lambda subspace: str(subspace.name))
async def test_nothing_is_signed_on_top_of_a_tree_that_lost_a_part(flight: Flight, what: object) -> None:
    await flight.record_each(2)
    await flight.sealer().seal_now(flight.space, LOG)
    key = {
        records.TREE: flight.space.key(records.TREE, LOG),
        records.CHECKPOINT: flight.space.key(records.CHECKPOINT, LOG, 2),
    }[what]  # type: ignore[index]  # the parameter is one of the keys
    await flight.write(lambda tr, _: tr.clear(key))
    await flight.record_each(1)
    with pytest.raises(TreeBrokenError):
        await flight.sealer().seal_now(flight.space, LOG)
    assert len(await stored_leaves(flight)) == 2


async def test_nothing_is_signed_on_top_of_a_tree_that_was_rolled_back(flight: Flight) -> None:
    await flight.record_each(2)
    older = await flight.sealer().seal_now(flight.space, LOG)
    await flight.record_each(1)
    await flight.sealer().seal_now(flight.space, LOG)
    key = flight.space.key(records.TREE, LOG)
    await flight.write(lambda tr, _: tr.set(key, older.SerializeToString()))
    with pytest.raises(TreeBrokenError):
        await flight.sealer().seal_now(flight.space, LOG)


async def test_a_running_sealer_seals_what_is_recorded(flight: Flight) -> None:
    watcher = TipWatcher(flight.keyspace)
    running = asyncio.create_task(
        Sealer(
            flight.keyspace,
            watcher,
            [OWNER],
            SIGNER,
            holder="one",
            now_us=flight.clock.now,
            monotonic_seconds=flight.clock.monotonic,
        ).run()
    )
    seen = b""
    for size in (1, 2, 3):
        await flight.record_each(1)
        while not seen or store.TreeHead.FromString(seen).size < size:
            seen = await watcher.wait(flight.space, records.TREE, (LOG,), seen)
        assert store.TreeHead.FromString(seen).size == size
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_one_broken_log_does_not_stop_the_others(flight: Flight) -> None:
    await flight.record(flight.event(), log="prj_0")
    await flight.sealer().seal_now(flight.space, "prj_0")
    await flight.write(lambda tr, space: tr.clear(space.key(records.TREE, "prj_0")))
    await flight.record(flight.event(), log="prj_0")
    await flight.record(flight.event(), log="prj_1")
    running = asyncio.create_task(flight.sealer().run())
    watcher, seen = TipWatcher(flight.keyspace), b""
    while not seen:
        seen = await watcher.wait(flight.space, records.TREE, ("prj_1",), seen)
    assert store.TreeHead.FromString(seen).size == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
