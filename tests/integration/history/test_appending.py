# SPDX-License-Identifier: Apache-2.0
"""Events are recorded in the order of commits, without anyone waiting for anyone, and found again."""

from __future__ import annotations

from typing import Any

import pytest

from enchanted import history
from enchanted.generated.history.v1.events_pb2 import AgentDecision, StateChange
from enchanted.history import Place, records
from enchanted.history.model import (
    EVENT_BYTES_MAX,
    BeforeHistoryError,
    EventTooLargeError,
    SealingBehindError,
)
from enchanted.keyspace import SealBrokenError, TenantSpace
from tests.integration.history.flight import LOG, Flight

pytestmark = pytest.mark.feature("E-01")


async def test_events_come_back_as_recorded_in_the_order_of_commits(flight: Flight) -> None:
    events = await flight.record_each(5)
    recorded = await flight.recorded()
    assert [found.event.event_id for found in recorded] == [event.event_id for event in events]
    places = [Place.of(found) for found in recorded]
    assert places == sorted(set(places))


async def test_an_event_gets_its_tenant_and_project_and_keeps_the_rest(flight: Flight) -> None:
    event = flight.event(agent_id="agt_7", trace_id="0" * 32)
    await flight.record(event)
    (found,) = await flight.recorded()
    assert (found.event.tenant_id, found.event.project_id) == ("local", LOG)
    found.event.ClearField("tenant_id")
    found.event.ClearField("project_id")
    assert found.event == event


async def test_events_of_one_transaction_keep_their_order(flight: Flight) -> None:
    events = [flight.event() for _ in range(4)]
    await flight.record(*events)
    recorded = await flight.recorded()
    assert [found.event.event_id for found in recorded] == [event.event_id for event in events]
    assert len({found.versionstamp[:10] for found in recorded}) == 1


async def test_appends_of_transactions_that_overlap_never_conflict(flight: Flight) -> None:
    transactions = [flight.keyspace.db.create_transaction() for _ in range(3)]
    for tr in transactions:
        tr.get_read_version().wait()
    for tr in transactions:
        history.append(tr, flight.space, LOG, flight.event())
    for tr in reversed(transactions):
        tr.commit().wait()
    assert len(await flight.recorded()) == 3


async def test_an_event_is_there_exactly_if_its_effect_is(flight: Flight) -> None:
    def effect(tr: Any, space: TenantSpace) -> None:
        history.append(tr, space, LOG, flight.event())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await flight.keyspace.run(flight.space, effect)
    assert await flight.recorded() == []


async def test_nothing_that_was_written_stands_in_the_open(flight: Flight) -> None:
    await flight.record(
        flight.event(
            state_change=StateChange(target_resource="secret/path.py", diff_patch="a secret line"),
            user_id="a person",
        )
    )

    def everything(tr: Any, space: TenantSpace) -> list[bytes]:
        return [bytes(pair.key + pair.value) for pair in tr.get_range(space.prefix, space.prefix + b"\xff")]

    stored = b"".join(await flight.keyspace.run(flight.space, everything))
    assert b"evt_0001" in stored, "ids do stand in the open"
    for secret in (b"secret", b"path.py", b"a person"):
        assert secret not in stored


@pytest.mark.parametrize("size", [1, 90_000, 1_000_000, EVENT_BYTES_MAX - 1_000])
async def test_an_event_comes_back_whole_whatever_its_size(flight: Flight, size: int) -> None:
    patch = "".join(chr(32 + number * number % 89) for number in range(size))
    await flight.record(flight.event(state_change=StateChange(target_resource="a.py", diff_patch=patch)))
    await flight.record_each(1)
    first, _ = await flight.recorded()
    assert first.event.state_change.diff_patch == patch


async def test_an_incompressible_event_stands_in_parts_that_must_all_be_there(flight: Flight) -> None:
    patch = flight.space.random_bytes(100_000).hex()
    await flight.record(flight.event(state_change=StateChange(target_resource="a.py", diff_patch=patch)))
    parts = await flight.rows(records.EVENT_PART, LOG, "evt_0001")
    assert len(parts) > 1
    (found,) = await flight.recorded()
    assert found.event.state_change.diff_patch == patch
    await flight.write(lambda tr, _: tr.clear(parts[-1][0]))
    with pytest.raises(SealBrokenError):
        await flight.recorded()


async def test_an_event_past_the_limit_is_refused_with_what_to_do(flight: Flight) -> None:
    patch = "x" * EVENT_BYTES_MAX
    with pytest.raises(EventTooLargeError, match="several events"):
        await flight.record(flight.event(state_change=StateChange(diff_patch=patch)))


async def test_a_page_is_bounded_in_bytes_and_the_next_goes_on(flight: Flight) -> None:
    large = StateChange(target_resource="a.py", diff_patch="x" * (3 << 20))
    await flight.record_each(3, state_change=large)
    page = await flight.keyspace.run(flight.space, history.events_after, LOG, None, limit=100)
    assert len(page) == 1
    assert len(await flight.recorded()) == 3


async def test_events_are_listed_by_job_by_ticket_and_newest_first(flight: Flight) -> None:
    for number in range(8):
        await flight.record(flight.event(job_id=f"job_{number % 2}", ticket_id=f"tkt_{number % 4}"))

    async def ids(**selection: Any) -> list[int]:
        return [int(found.event.event_id[-4:]) for found in await flight.recorded(**selection)]

    assert await ids(job_id="job_0") == [1, 3, 5, 7]
    assert await ids(ticket_id="tkt_1") == [2, 6]
    assert await ids(job_id="job_1", ticket_id="tkt_1") == [2, 6]
    assert await ids(job_id="job_0", ticket_id="tkt_1") == []
    assert await ids(newest_first=True) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert await ids(newest_first=True, job_id="job_1") == [8, 6, 4, 2]
    assert await ids(job_id="absent") == []


async def test_an_event_is_found_by_its_id(flight: Flight) -> None:
    await flight.record_each(3)
    second = (await flight.recorded())[1]
    place = await flight.keyspace.run(flight.space, history.place_of_event, LOG, "evt_0002")
    assert place == Place.of(second)
    assert await flight.keyspace.run(flight.space, history.place_of_event, LOG, "evt_9999") is None


async def test_an_event_is_indexed_under_all_that_it_names(flight: Flight) -> None:
    decision = AgentDecision(subject="a.py", rationale="because")
    await flight.record(
        flight.event(
            decision=decision, trace_id="1" * 32, ticket_id="tkt_1", job_id="job_1", agent_id="agt_1"
        )
    )
    for subspace in records.INDEXES:
        assert len(await flight.rows(subspace, LOG)) == 1, subspace.name


@pytest.mark.feature("X-01")
async def test_logs_and_tenants_do_not_see_each_other(flight: Flight) -> None:
    await flight.record(flight.event())
    await flight.record(flight.event(), log="prj_2")
    assert [found.event.event_id for found in await flight.recorded()] == ["evt_0001"]


@pytest.mark.feature("E-03")
async def test_a_moment_is_found_among_sealed_and_unsealed_events(flight: Flight) -> None:
    await flight.record_each(4)
    await flight.sealer().seal_now(flight.space, LOG)
    await flight.record_each(3)
    recorded = await flight.recorded()
    for found in recorded:
        time_us = found.event.timestamp.ToMicroseconds()
        for later_us in (0, 1, 999_999):
            place = await flight.keyspace.run(flight.space, history.place_at, LOG, time_us + later_us)
            assert place == Place.of(found)
    last = await flight.keyspace.run(flight.space, history.place_at, LOG, 1 << 60)
    assert last == Place.of(recorded[-1])


@pytest.mark.feature("E-03")
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "unsealed"])
async def test_a_moment_before_the_first_event_has_no_state(flight: Flight, *, sealed: bool) -> None:
    (first,) = await flight.record_each(1)
    if sealed:
        await flight.sealer().seal_now(flight.space, LOG)
    before_us = first.timestamp.ToMicroseconds() - 1
    with pytest.raises(BeforeHistoryError):
        await flight.keyspace.run(flight.space, history.place_at, LOG, before_us)


@pytest.mark.feature("E-03")
async def test_a_moment_among_too_many_unsealed_events_is_not_guessed(flight: Flight) -> None:
    for _ in range(21):
        await flight.record(*(flight.event() for _ in range(50)))
    with pytest.raises(SealingBehindError, match="try again"):
        await flight.keyspace.run(flight.space, history.place_at, LOG, flight.clock.now_us)
    await flight.sealer().seal_now(flight.space, LOG)
    place = await flight.keyspace.run(flight.space, history.place_at, LOG, flight.clock.now_us)
    assert place == await flight.keyspace.run(flight.space, records.last_place, LOG)


@pytest.mark.feature("E-03")
async def test_a_writer_with_a_wrong_clock_does_not_disturb_the_order_of_time(flight: Flight) -> None:
    events = [flight.event() for _ in range(3)]
    events[1].timestamp.seconds -= 3600
    for event in events:
        await flight.record(event)
    places = [Place.of(found) for found in await flight.recorded()]
    at_second_us = events[0].timestamp.ToMicroseconds()
    tail = await flight.keyspace.run(flight.space, history.place_at, LOG, at_second_us)
    await flight.sealer().seal_now(flight.space, LOG)
    sealed = await flight.keyspace.run(flight.space, history.place_at, LOG, at_second_us)
    assert tail == sealed == places[1]
