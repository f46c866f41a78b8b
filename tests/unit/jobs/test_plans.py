# SPDX-License-Identifier: Apache-2.0
"""Which plans are accepted, and which tickets they become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import InvalidPlanError, plans
from enchanted.jobs.model import DEPENDENTS_MAX, PLANNED_TICKETS_MAX, check_plan

pytestmark = pytest.mark.feature("E-07")


def work(key: str, *depends_on: str, **fields: object) -> v1.PlannedTicket:
    named = {"role": events.AGENT_ROLE_SCOUT, "title": key or "a title", **fields}
    return v1.PlannedTicket(key=key, depends_on=depends_on, **named)  # type: ignore[arg-type]


def last(*depends_on: str, **fields: object) -> v1.PlannedTicket:
    return work("finish", *depends_on, **{"role": events.AGENT_ROLE_ORCHESTRATOR, **fields})


@st.composite
def good_plans(draw: st.DrawFn) -> list[v1.PlannedTicket]:
    """Plans without circles, in any order: a ticket depends on some that were made before it."""
    count = draw(st.integers(0, 12))
    tickets = [
        work(f"t{number}", *draw(st.lists(st.sampled_from([f"t{n}" for n in range(number)] or ["t0"]))))
        for number in range(count)
    ]
    for ticket in tickets[:1]:
        del ticket.depends_on[:]
    return [*draw(st.permutations(tickets)), last(*(ticket.key for ticket in tickets))]


@given(good_plans())
def test_a_plan_without_circles_is_accepted(plan: list[v1.PlannedTicket]) -> None:
    check_plan(plan)


def test_a_plan_with_nothing_to_do_is_accepted() -> None:
    check_plan([last()])


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        pytest.param([], "last ticket", id="empty"),
        pytest.param([work("a")], "last ticket", id="no end"),
        pytest.param([last(), work("a"), last()], "only the last", id="two ends"),
        pytest.param([work("a"), work("a"), last()], "same key", id="a key twice"),
        pytest.param([work("a", "b"), last()], "not in the plan", id="an unknown key"),
        pytest.param([work("a", "a"), last()], "circle", id="a ticket waits for itself"),
        pytest.param([work("a", "b"), work("b", "a"), last()], "circle", id="two wait for each other"),
        pytest.param([work("a", "finish"), last("a")], "circle", id="work waits for the end"),
        pytest.param([work(""), last()], "key", id="no key"),
        pytest.param([work("a", title=""), last()], "title", id="no title"),
        pytest.param([work("a", title="x" * 501), last()], "title", id="a long title"),
        pytest.param([work("a", resource="x" * 4097), last()], "resource", id="a long resource"),
        pytest.param([work("a", role=events.AGENT_ROLE_PLATFORM), last()], "role", id="no agent's role"),
        pytest.param([work("a", role=0), last()], "role", id="no role"),
        pytest.param([last(resource="a.py")], "resource", id="an end about one file"),
    ],
)
def test_a_plan_that_cannot_be_worked_through_is_refused(plan: list[v1.PlannedTicket], reason: str) -> None:
    with pytest.raises(InvalidPlanError, match=reason):
        check_plan(plan)


def test_a_plan_has_a_limit() -> None:
    tickets = [work(f"t{number}") for number in range(PLANNED_TICKETS_MAX - 1)]
    check_plan([*tickets, last()])
    with pytest.raises(InvalidPlanError, match="at most 3000"):
        check_plan([*tickets, work("one more"), last()])


def test_what_one_ticket_unblocks_has_a_limit() -> None:
    waiting = [work(f"t{number}", "first") for number in range(DEPENDENTS_MAX)]
    check_plan([work("first"), *waiting, last()])
    with pytest.raises(InvalidPlanError, match="at most 500"):
        check_plan([work("first"), *waiting, last("first")])


def request(plan: list[v1.PlannedTicket], request_id: str = "req_1") -> v1.PlanTicketsRequest:
    lease = v1.Lease(job_id="job_1", ticket_id="tkt_plan")
    return v1.PlanTicketsRequest(request_id=request_id, lease=lease, tickets=plan)


@given(good_plans())
def test_tickets_wait_for_exactly_what_they_depend_on(plan: list[v1.PlannedTicket]) -> None:
    records = plans.tickets_of_plan(request(plan))

    ids = {planned.key: record.ticket.ticket_id for planned, record in zip(plan, records, strict=True)}
    by_id = {record.ticket.ticket_id: record for record in records}
    for order, (planned, record) in enumerate(zip(plan, records, strict=True), start=1):
        needed = {ids[key] for key in planned.depends_on}
        assert record.order == order
        assert set(record.ticket.depends_on) == needed
        assert record.waits_for == len(needed)
        assert (record.ticket.state == v1.TICKET_STATE_READY) == (not needed)
        for ticket_id in needed:
            assert list(by_id[ticket_id].dependents).count(record.ticket.ticket_id) == 1
    assert sum(len(record.dependents) for record in records) == sum(record.waits_for for record in records)


def test_the_same_plan_again_makes_the_same_tickets_and_another_request_others() -> None:
    plan = [work("a"), last("a")]
    assert plans.tickets_of_plan(request(plan)) == plans.tickets_of_plan(request(plan))
    ids = {record.ticket.ticket_id for record in plans.tickets_of_plan(request(plan))}
    others = {record.ticket.ticket_id for record in plans.tickets_of_plan(request(plan, "req_2"))}
    assert not ids & others


@given(st.lists(st.integers(0, 250_000), max_size=30))
def test_batches_hold_every_ticket_once_and_stay_small(sizes: list[int]) -> None:
    plan = [work(f"t{number}", resource="x" * size) for number, size in enumerate(sizes)]
    records = plans.tickets_of_plan(request([*plan, last()]))
    batches = list(plans.batches(records))

    assert [record for batch in batches for record in batch] == records
    for batch in batches:
        assert len(batch) == 1 or sum(record.ByteSize() for record in batch) <= plans.BATCH_BYTES_MAX
        assert 0 < len(batch) <= plans.BATCH_TICKETS_MAX
