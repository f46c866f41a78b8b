# SPDX-License-Identifier: Apache-2.0
"""Turns a plan into tickets, and writes them ahead in bounded transactions.

A plan of a large project is more than one small transaction holds. Its tickets are therefore written before
they exist for anybody; the transaction that completes the planning ticket makes them all visible at once. A
process that dies in between leaves records that nobody will see, because the next plan has other ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import outcomes, records
from enchanted.keyspace import TenantSpace, Transaction, derived_id

BATCH_BYTES_MAX: Final = 300_000
BATCH_TICKETS_MAX: Final = 200


def tickets_of_plan(
    request: v1.PlanTicketsRequest,
) -> list[store.TicketRecord]:
    """The tickets that a plan describes; the same plan again makes the same. Pure.

    Args:
        request: With a plan that :func:`enchanted.jobs.model.check_plan` accepted.
    """
    ids = {
        planned.key: derived_id("tkt", request.lease.ticket_id, request.request_id, planned.key)
        for planned in request.tickets
    }
    tickets = {
        planned.key: _ticket(request.lease.job_id, planned, ids, order)
        for order, planned in enumerate(request.tickets, start=1)
    }
    for planned in request.tickets:
        for key in dict.fromkeys(planned.depends_on):
            tickets[key].dependents.append(ids[planned.key])
    return list(tickets.values())


def batches(tickets: Sequence[store.TicketRecord]) -> Iterator[list[store.TicketRecord]]:
    """The tickets in parts that one transaction each holds."""
    batch: list[store.TicketRecord] = []
    size_bytes = 0
    for record in tickets:
        if batch and (len(batch) >= BATCH_TICKETS_MAX or size_bytes + record.ByteSize() > BATCH_BYTES_MAX):
            yield batch
            batch, size_bytes = [], 0
        batch.append(record)
        size_bytes += record.ByteSize()
    if batch:
        yield batch


def write_ahead(
    tr: Transaction, space: TenantSpace, lease: v1.Lease, tickets: Sequence[store.TicketRecord]
) -> None:
    """Write tickets that nobody sees yet. Transactional; again is the same.

    Raises:
        LeaseLostError: As all effects; see :func:`enchanted.jobs.tickets.held`.
        WrongTicketError: If the lease is not of the planning ticket.
    """
    job = outcomes.check_planning(tr, space, lease).job
    for record in tickets:
        records.write_ticket(tr, space, job, record)
        records.place_ticket(tr, space, record)


def _ticket(job_id: str, planned: v1.PlannedTicket, ids: dict[str, str], order: int) -> store.TicketRecord:
    needed = [ids[key] for key in dict.fromkeys(planned.depends_on)]
    ticket = v1.Ticket(
        ticket_id=ids[planned.key],
        job_id=job_id,
        role=planned.role,
        title=planned.title,
        resource=planned.resource,
        depends_on=needed,
        state=v1.TICKET_STATE_BLOCKED if needed else v1.TICKET_STATE_READY,
    )
    return store.TicketRecord(ticket=ticket, waits_for=len(needed), order=order)
