# SPDX-License-Identifier: Apache-2.0
"""Places, sealed times and leaves: the rules that every reader shares."""

from __future__ import annotations

import hashlib

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.generated.history.v1.events_pb2 import AgentDecision, StateChange, SwarmEvent, SystemSignal
from enchanted.history import merkle, model
from enchanted.history.model import Place, StoredRow

places = st.builds(Place, st.integers(1, 1 << 40), st.binary(min_size=12, max_size=12))


def event(**changes: object) -> SwarmEvent:
    complete = {
        "event_id": "evt_1",
        "timestamp": Timestamp(seconds=9),
        "system_signal": SystemSignal(status="X"),
    }
    return SwarmEvent(**(complete | changes))  # type: ignore[arg-type]  # the test names fields by word


@pytest.mark.feature("E-03")
@given(places)
def test_a_place_survives_text_and_bytes(place: Place) -> None:
    assert Place.parse(str(place)) == place
    assert Place.from_bytes(place.to_bytes()) == place


@pytest.mark.feature("E-03")
@given(places, places)
def test_places_sort_as_their_bytes(one: Place, other: Place) -> None:
    assert (one < other) == (one.to_bytes() < other.to_bytes())


@pytest.mark.feature("E-03")
@pytest.mark.parametrize(
    "text", ["", "1-", "0-" + "0" * 24, "1-" + "0" * 23, "1-" + "G" * 24, "-1-" + "0" * 24, "1"]
)
def test_a_text_that_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(model.InvalidPlaceError, match="24 hexadecimal digits"):
        Place.parse(text)


@pytest.mark.feature("E-03")
@given(st.lists(st.tuples(st.integers(0, 1 << 50), st.integers(0, 1 << 50)), min_size=1))
def test_sealed_times_never_go_back_whatever_the_clocks_say(claims_and_clocks: list[tuple[int, int]]) -> None:
    sealed = [0]
    for claimed, now in claims_and_clocks:
        sealed.append(model.sealed_time_us(sealed[-1], claimed, now))
    assert sealed == sorted(sealed)


@pytest.mark.feature("E-03")
def test_a_sealed_time_is_the_claimed_one_where_clocks_agree() -> None:
    assert model.sealed_time_us(10, 15, 20) == 15
    assert model.sealed_time_us(10, 25, 20) == 20, "a writer's clock that is ahead is cut to the sealer's"
    assert model.sealed_time_us(10, 5, 20) == 10, "one that is behind is lifted to the predecessor's"


@pytest.mark.feature("E-02")
def test_growing_a_log_in_batches_gives_the_same_tree_as_at_once() -> None:
    rows = [
        StoredRow(
            Place(1, number.to_bytes(12, "big")),
            store.StoredEvent(
                event_id=f"evt_{number}", claimed_time_us=number, sealed=b"x"
            ).SerializeToString(),
        )
        for number in range(13)
    ]
    at_once = model.grow(store.TreeHead(), rows, now_us=100)
    head = store.TreeHead()
    for begin in range(0, 13, 5):
        head = model.grow(head, rows[begin : begin + 5], now_us=100).head
    assert head == at_once.head
    assert at_once.head.size == 13
    assert at_once.head.root_sha256 == merkle.Frontier(13, tuple(at_once.head.frontier)).root()
    assert Place.of(at_once.head) == rows[-1].place


@pytest.mark.feature("E-02")
def test_a_leaf_commits_to_place_time_id_and_stored_bytes() -> None:
    value = store.StoredEvent(event_id="evt_1", sealed=b"sealed").SerializeToString()
    leaf = model.leaf_of(StoredRow(Place(2, bytes(12)), value), 5, 77)
    assert leaf == store.Leaf(
        index=5,
        incarnation=2,
        versionstamp=bytes(12),
        sealed_time_us=77,
        event_id="evt_1",
        stored_sha256=hashlib.sha256(value).digest(),
    )


@pytest.mark.feature("E-02")
def test_an_unreadable_event_is_still_sealed() -> None:
    growth = model.grow(
        store.TreeHead(sealed_time_us=0), [StoredRow(Place(1, bytes(12)), b"\xff\xff")], now_us=9
    )
    assert growth.leaves[0][0].stored_sha256 == hashlib.sha256(b"\xff\xff").digest()


@pytest.mark.feature("E-01")
@pytest.mark.parametrize(
    "incomplete",
    [
        event(event_id=""),
        event(timestamp=None),
        event(timestamp=Timestamp(seconds=-1)),
        event(timestamp=Timestamp(seconds=1 << 40)),
        event(system_signal=None),
    ],
    ids=["no id", "no time", "before 1970", "after 9999", "no payload"],
)
def test_an_event_that_lacks_what_every_event_has_is_refused(incomplete: SwarmEvent) -> None:
    with pytest.raises(model.InvalidEventError):
        model.check_event(incomplete)


@pytest.mark.feature("E-01")
def test_a_complete_event_is_accepted_and_says_when() -> None:
    complete = event(timestamp=Timestamp(seconds=3, nanos=4_999))
    model.check_event(complete)
    assert model.claimed_time_us(complete) == 3_000_004


@pytest.mark.feature("E-05")
def test_a_change_is_about_its_target_and_a_decision_about_its_subject() -> None:
    change = event(system_signal=None, state_change=StateChange(target_resource="a.py"))
    decision = event(system_signal=None, decision=AgentDecision(subject="b.py"))
    assert (model.resource_of(change), model.resource_of(decision), model.resource_of(event())) == (
        "a.py",
        "b.py",
        "",
    )


@pytest.mark.feature("E-01")
@pytest.mark.parametrize("log", ["", "PRJ", "a b", "a+b", "a\nb", "é", "_a", "x" * 101])
def test_what_cannot_stand_in_a_checkpoint_cannot_name_a_log(log: str) -> None:
    with pytest.raises(model.InvalidLogError):
        model.check_log(log)
    model.check_log("prj_01jq3v-a.b")
