# SPDX-License-Identifier: Apache-2.0
"""Verification passes on what was recorded, and finds every kind of change behind history's back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from enchanted import history
from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.generated.history.v1.events_pb2 import StateChange
from enchanted.history import records
from enchanted.history.findings import CheckName, Report
from enchanted.history.model import LogNotFoundError
from enchanted.history.verification import verify_log
from enchanted.keyspace import Subspace, TenantSpace
from tests.integration.history.flight import LOG, SIGNER, Flight, state

pytestmark = pytest.mark.feature("E-02")

SIZE = 9
LARGE = 4


async def verify(flight: Flight, last_seen_note: str = "") -> Report:
    return await verify_log(flight.keyspace, flight.space, LOG, flight.sealer(), last_seen_note)


def faults(report: Report) -> dict[str, str]:
    return {check.name: check.detail for check in report.checks if not check.passed}


@pytest.fixture
async def flown(flight: Flight) -> Flight:
    """Nine events, sealed in two batches: the fifth stands in parts, every third moves a timeline."""
    for number in range(SIZE):
        change = state(f"tree-{number // 3}", f"tree-{number // 3 + 1}")
        if number % 3:
            patch = flight.space.random_bytes(100_000).hex() if number == LARGE else "+ a line"
            change = StateChange(target_type=history.FILE_SYSTEM, target_resource="a.py", diff_patch=patch)
        event = flight.event(
            state_change=change, job_id="job_1", ticket_id=f"tkt_{number % 2}", trace_id="1" * 32
        )
        await flight.record(event)
        if number == LARGE:
            await flight.sealer().seal_now(flight.space, LOG)
    await flight.sealer().seal_now(flight.space, LOG)
    return flight


async def set_value(flight: Flight, key: bytes, value: bytes) -> None:
    await flight.write(lambda tr, _: tr.set(key, value))


def flipped(value: bytes, at: int = -1) -> bytes:
    changed = bytearray(value)
    changed[at] ^= 1
    return bytes(changed)


async def test_an_untouched_log_passes_every_check(flown: Flight) -> None:
    report = await verify(flown)
    assert faults(report) == {}
    assert report.passed
    assert [check.name for check in report.checks] == [name.value for name in CheckName]
    assert report.size == SIZE
    assert SIGNER.verifier("local", LOG).open(report.note).size == SIZE


async def test_what_is_not_sealed_yet_is_sealed_and_verified(flown: Flight) -> None:
    await flown.record_each(3)
    report = await verify(flown)
    assert (faults(report), report.size) == ({}, SIZE + 3)


async def test_a_log_of_many_pages_passes(flight: Flight) -> None:
    for _ in range(11):
        await flight.record(*(flight.event(job_id="job_1") for _ in range(50)))
    report = await verify(flight)
    assert (faults(report), report.size) == ({}, 550)


async def test_a_log_that_never_was_is_not_found(flight: Flight) -> None:
    with pytest.raises(LogNotFoundError):
        await verify(flight)


async def test_a_wrong_clock_of_a_writer_is_no_fault(flight: Flight) -> None:
    for offset in (0, 7200, -7200, 0):
        event = flight.event()
        event.timestamp.seconds += offset
        await flight.record(event)
    assert faults(await verify(flight)) == {}


Tamper = Callable[[Flight], Awaitable[None]]


def change(subspace: Subspace, number: int, how: Callable[[bytes], bytes] = flipped) -> Tamper:
    """Change the value of a subspace's row; 0 is the first, -1 the last."""

    async def tamper(flight: Flight) -> None:
        key, value = (await flight.rows(subspace))[number]
        await flight.write(lambda tr, _: tr.set(key, how(value)))

    return tamper


def remove(subspace: Subspace, number: int) -> Tamper:
    async def tamper(flight: Flight) -> None:
        key, _ = (await flight.rows(subspace))[number]
        await flight.write(lambda tr, _: tr.clear(key))

    return tamper


def insert_after(subspace: Subspace, number: int, *, value: bytes | None = None) -> Tamper:
    """Insert a copy of a row (or another value) under a key that sorts just after it."""

    async def tamper(flight: Flight) -> None:
        key, copied = (await flight.rows(subspace))[number]
        later = key[:-1] + bytes([key[-1] + 1])
        assert later not in [stored for stored, _ in await flight.rows(subspace)]
        await flight.write(lambda tr, _: tr.set(later, copied if value is None else value))

    return tamper


def swap(subspace: Subspace, one: int, other: int) -> Tamper:
    """Exchange the values of two rows."""

    async def tamper(flight: Flight) -> None:
        rows = await flight.rows(subspace)

        def body(tr: Any, _: TenantSpace) -> None:
            tr[rows[one][0]] = rows[other][1]
            tr[rows[other][0]] = rows[one][1]

        await flight.write(body)

    return tamper


def with_leaf(**fields: Any) -> Callable[[bytes], bytes]:
    def how(value: bytes) -> bytes:
        leaf = store.Leaf.FromString(value)
        for name, changed in fields.items():
            setattr(leaf, name, changed)
        return leaf.SerializeToString(deterministic=True)

    return how


def with_head(**fields: Any) -> Callable[[bytes], bytes]:
    def how(value: bytes) -> bytes:
        head = store.TreeHead.FromString(value)
        for name, changed in fields.items():
            setattr(head, name, changed)
        return head.SerializeToString(deterministic=True)

    return how


def with_checkpoint(**fields: Any) -> Callable[[bytes], bytes]:
    def how(value: bytes) -> bytes:
        checkpoint = store.Checkpoint.FromString(value)
        for name, changed in fields.items():
            setattr(checkpoint, name, changed)
        return checkpoint.SerializeToString(deterministic=True)

    return how


def with_claimed_time(value: bytes) -> bytes:
    stored = store.StoredEvent.FromString(value)
    stored.claimed_time_us += 1
    return stored.SerializeToString(deterministic=True)


FORGED_NOTE = SIGNER.sign("local", LOG, SIZE, bytes(32))

TAMPERINGS: dict[str, tuple[Tamper, CheckName, str]] = {
    "an event changed": (change(records.EVENT, 2), CheckName.EVENTS, "evt_0003"),
    "an event's claimed time changed": (
        change(records.EVENT, 2, with_claimed_time),
        CheckName.EVENTS,
        "evt_0003",
    ),
    "an event emptied": (change(records.EVENT, 2, lambda _: b""), CheckName.EVENTS, "evt_0003"),
    "an event made unreadable": (change(records.EVENT, 2, lambda _: b"\xff\xff"), CheckName.CONTENT, ""),
    "an event removed": (remove(records.EVENT, 2), CheckName.EVENTS, "evt_0003"),
    "the first event removed": (remove(records.EVENT, 0), CheckName.EVENTS, "evt_0001"),
    "the last event removed": (remove(records.EVENT, -1), CheckName.EVENTS, "evt_0009"),
    "an event inserted": (insert_after(records.EVENT, 2), CheckName.EVENTS, "inserted"),
    "events reordered": (swap(records.EVENT, 2, 5), CheckName.EVENTS, "evt_0003"),
    "a part of an event changed": (change(records.EVENT_PART, 0), CheckName.CONTENT, "evt_0005"),
    "a part of an event removed": (remove(records.EVENT_PART, -1), CheckName.CONTENT, "evt_0005"),
    "a part of an event inserted": (insert_after(records.EVENT_PART, -1), CheckName.CONTENT, "evt_0005"),
    "a leaf changed": (change(records.LEAF, 3), CheckName.TREE, "node 3 of level 0"),
    "a leaf's time changed": (
        change(records.LEAF, 3, with_leaf(sealed_time_us=1)),
        CheckName.SEALED_TIMES,
        "evt_0004",
    ),
    "a leaf's event changed": (
        change(records.LEAF, 3, with_leaf(event_id="evt_x")),
        CheckName.EVENTS,
        "evt_x",
    ),
    "a leaf removed": (remove(records.LEAF, 3), CheckName.TREE, "leaf 3"),
    "the last leaf removed": (remove(records.LEAF, -1), CheckName.TREE, "leaf"),
    "a leaf inserted": (insert_after(records.LEAF, -1), CheckName.TREE, "leaf"),
    "leaves reordered": (swap(records.LEAF, 3, 6), CheckName.TREE, "node 3 of level 0"),
    "a node changed": (change(records.NODE, 10), CheckName.TREE, "node 1 of level 1"),
    "a leaf's node changed": (change(records.NODE, 0), CheckName.TREE, "node 0 of level 0"),
    "a node removed": (remove(records.NODE, 10), CheckName.TREE, "level 1"),
    "the top node removed": (remove(records.NODE, -1), CheckName.TREE, "node"),
    "a node inserted": (insert_after(records.NODE, -1), CheckName.TREE, "node"),
    "nodes exchanged": (swap(records.NODE, 1, 2), CheckName.TREE, "node 1 of level 0"),
    "the tree head changed": (change(records.TREE, 0), CheckName.SEALED, "differ"),
    "the tree head's size changed": (
        change(records.TREE, 0, with_head(size=SIZE - 1)),
        CheckName.TREE,
        "leaf",
    ),
    "the tree head's place changed": (
        change(records.TREE, 0, with_head(versionstamp=bytes(12))),
        CheckName.TREE,
        "end",
    ),
    "the tree head's time changed": (
        change(records.TREE, 0, with_head(sealed_time_us=1)),
        CheckName.TREE,
        "end",
    ),
    "the tree head's root changed": (
        change(records.TREE, 0, with_head(root_sha256=bytes(32))),
        CheckName.TREE,
        "hash to",
    ),
    "the tree head removed": (remove(records.TREE, 0), CheckName.TREE, "missing"),
    "the tree head made unreadable": (change(records.TREE, 0, lambda _: b"\xff\xff"), CheckName.TREE, "read"),
    "a checkpoint changed": (
        change(records.CHECKPOINT, 0, with_checkpoint(note="x")),
        CheckName.CHECKPOINTS,
        "5",
    ),
    "a checkpoint's time changed": (
        change(records.CHECKPOINT, 0, with_checkpoint(sealed_time_us=1)),
        CheckName.CHECKPOINTS,
        "another time",
    ),
    "an older checkpoint removed": (remove(records.CHECKPOINT, 0), CheckName.CHECKPOINTS, "removed"),
    "the newest checkpoint removed": (remove(records.CHECKPOINT, -1), CheckName.CHECKPOINTS, "end"),
    "a checkpoint inserted": (insert_after(records.CHECKPOINT, 0), CheckName.CHECKPOINTS, "size 6"),
    "a checkpoint inserted past the end": (
        insert_after(records.CHECKPOINT, -1),
        CheckName.CHECKPOINTS,
        "end",
    ),
    "a checkpoint signed over another tree": (
        change(records.CHECKPOINT, -1, with_checkpoint(note=FORGED_NOTE)),
        CheckName.CHECKPOINTS,
        "another root",
    ),
    "the index of times changed": (change(records.SEALED_TIME, 2), CheckName.SEALED_TIMES, "evt_0003"),
    "an entry of the index of times removed": (
        remove(records.SEALED_TIME, 2),
        CheckName.SEALED_TIMES,
        "evt_0003",
    ),
    "an entry of the index of times inserted": (
        insert_after(records.SEALED_TIME, 2),
        CheckName.SEALED_TIMES,
        "evt_0004",
    ),
    "the last entry of the index of times removed": (
        remove(records.SEALED_TIME, -1),
        CheckName.SEALED_TIMES,
        "end",
    ),
    "an event's id pointed elsewhere": (swap(records.EVENT_ID, 0, 1), CheckName.INDEXES, "evt_0001"),
    "the tip changed": (change(records.TIP, 0), CheckName.INDEXES, "tip"),
    "the tip removed": (remove(records.TIP, 0), CheckName.INDEXES, "tip"),
    **{
        f"an entry of {subspace.name} removed": (remove(subspace, 2), CheckName.INDEXES, subspace.name)
        for subspace in (records.EVENT_ID, *records.INDEXES)
    },
    **{
        f"an entry of {subspace.name} inserted": (insert_after(subspace, 2), CheckName.INDEXES, subspace.name)
        for subspace in records.INDEXES
    },
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_verification_finds(flown: Flight, name: str) -> None:
    tamper, check, detail = TAMPERINGS[name]
    await tamper(flown)
    found = faults(await verify(flown))
    assert check.value in found
    assert detail in found[check.value]


async def test_an_event_that_is_inserted_under_a_name_of_its_own_is_found(flown: Flight) -> None:
    foreign = flown.space.key(records.EVENT_ID, LOG, "evt_foreign")
    await flown.write(lambda tr, _: tr.set(foreign, bytes(20)))
    assert faults(await verify(flown)).keys() == {CheckName.INDEXES.value}


async def test_a_row_under_a_key_that_no_writer_makes_is_found(flown: Flight) -> None:
    key = flown.space.key(records.EVENT, LOG, "a name", 7)
    await flown.write(lambda tr, _: tr.set(key, b"x"))
    assert CheckName.EVENTS.value in faults(await verify(flown))


@pytest.mark.parametrize("number", [0, 3, -1])
async def test_a_row_under_a_key_that_is_no_tuple_is_found(flown: Flight, number: int) -> None:
    key, value = (await flown.rows(records.EVENT))[number]
    await flown.write(lambda tr, _: tr.set(key + b"\x15", value))
    assert len(await flown.recorded()) == SIZE, "readers go on"
    assert CheckName.EVENTS.value in faults(await verify(flown))


async def test_every_single_bit_of_every_event_counts(flown: Flight) -> None:
    key, value = (await flown.rows(records.EVENT))[1]
    for at in range(len(value)):
        await set_value(flown, key, flipped(value, at))
        assert CheckName.EVENTS.value in faults(await verify(flown)), at
    await set_value(flown, key, value)
    assert faults(await verify(flown)) == {}


async def test_a_report_with_a_fault_gives_no_checkpoint_to_keep(flown: Flight) -> None:
    await change(records.EVENT, 2)(flown)
    report = await verify(flown)
    assert (report.passed, report.note) == (False, "")


class TestTheCheckpointThatTheCallerKept:
    async def test_passes_while_the_log_only_grows(self, flown: Flight) -> None:
        seen = (await verify(flown)).note
        await flown.record_each(4)
        assert faults(await verify(flown, seen)) == {}

    async def test_exposes_a_history_that_was_forged_from_the_start(self, flown: Flight) -> None:
        seen = (await verify(flown)).note
        await self._erase(flown)
        await flown.record_each(SIZE)
        found = faults(await verify(flown, seen))
        assert found.keys() == {CheckName.LAST_SEEN.value}
        assert "not those that you saw" in found[CheckName.LAST_SEEN.value]

    async def test_exposes_a_history_that_became_shorter(self, flown: Flight) -> None:
        seen = (await verify(flown)).note
        await self._erase(flown)
        await flown.record_each(SIZE - 2)
        found = faults(await verify(flown, seen))
        assert found.keys() == {CheckName.LAST_SEEN.value}
        assert "2 events are gone" in found[CheckName.LAST_SEEN.value]

    async def test_counts_only_if_it_is_signed_by_the_log(self, flown: Flight) -> None:
        seen = (await verify(flown)).note
        assert faults(await verify(flown, seen.replace(f"{SIZE}\n", f"{SIZE - 1}\n"))).keys() == {
            CheckName.LAST_SEEN.value
        }

    async def _erase(self, flight: Flight) -> None:
        def body(tr: Any, space: TenantSpace) -> None:
            for subspace in (*records.INDEXES, *TREE_AND_EVENTS):
                keys = space.range(subspace)
                tr.clear_range(keys.begin, keys.end)

        await flight.write(body)


TREE_AND_EVENTS = (
    records.EVENT,
    records.EVENT_PART,
    records.EVENT_ID,
    records.LEAF,
    records.NODE,
    records.TREE,
    records.CHECKPOINT,
    records.SEALED_TIME,
)


@pytest.mark.feature("E-03")
class TestTimelines:
    async def test_each_state_begins_where_the_one_before_ended(self, flight: Flight) -> None:
        for before, after in (("", "a"), ("a", "b"), ("b", "c")):
            await flight.record(flight.event(state_change=state(before, after)))
        assert faults(await verify(flight)) == {}

    async def test_a_state_from_nowhere_is_found(self, flight: Flight) -> None:
        for before, after in (("", "a"), ("a", "b"), ("x", "c")):
            await flight.record(flight.event(state_change=state(before, after)))
        found = faults(await verify(flight))
        assert found.keys() == {CheckName.TIMELINES.value}
        assert "evt_0003" in found[CheckName.TIMELINES.value]

    async def test_timelines_do_not_mix(self, flight: Flight) -> None:
        for timeline, before, after in (
            ("main", "", "a"),
            ("fork", "a", "z"),
            ("main", "a", "b"),
            ("fork", "z", "y"),
        ):
            await flight.record(flight.event(state_change=state(before, after), timeline=timeline))
        assert faults(await verify(flight)) == {}
