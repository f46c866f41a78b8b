# SPDX-License-Identifier: Apache-2.0
"""Whatever a job's size, its transactions stay under the limit that we set ourselves."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import model
from enchanted.jobs.model import ARTIFACT_BYTES_MAX, DEPENDENTS_MAX, PLANNED_TICKETS_MAX
from enchanted.swarm.agents.orchestrator import MODULES_MAX, planned_tickets
from enchanted.swarm.import_graph import ImportGraph
from enchanted.swarm.model import ModulePath
from tests.integration.jobs.hub import Hub
from tests.integration.jobs.work import CODER, CRITIC, ORCHESTRATOR, SCOUT, claim, decision, do, plan

pytestmark = pytest.mark.feature("E-07")

TRANSACTION_BYTES_MAX = 1_000_000


def noise(characters: int) -> str:
    """Text that hardly compresses."""
    return base64.b85encode(os.urandom(characters)).decode()[:characters]


class Scales:
    """Weighs every transaction of a database before it is committed."""

    def __init__(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes_bytes: list[int] = []
        create = hub.keyspace.db.create_transaction

        def weighed() -> Any:
            tr = create()
            commit = tr.commit

            def commit_weighed() -> Any:
                self.sizes_bytes.append(tr.get_approximate_size().wait())
                return commit()

            tr.commit = commit_weighed
            return tr

        monkeypatch.setattr(hub.keyspace.db, "create_transaction", weighed)


@pytest.fixture
def scales(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Scales:
    return Scales(hub, monkeypatch)


def scouts(count: int, *depends_on: str) -> list[v1.PlannedTicket]:
    paths = [f"source/package/module_{number}.py" for number in range(count)]
    return [
        v1.PlannedTicket(key=path, role=SCOUT, title=f"Scout {path}", resource=path, depends_on=depends_on)
        for path in paths
    ]


def with_end(tickets: list[v1.PlannedTicket]) -> list[v1.PlannedTicket]:
    keys = [ticket.key for ticket in tickets]
    return [*tickets, v1.PlannedTicket(key="end", role=ORCHESTRATOR, title="End", depends_on=keys)]


async def test_the_largest_plan(hub: Hub, scales: Scales) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    reasons = [decision("evt_1", noise(190_000))]
    await plan(agents, job.job_id, with_end(scouts(PLANNED_TICKETS_MAX - 1)), reasons)
    await do(agents, job.job_id, SCOUT)
    await hub.owner.cancel_job(job.job_id, "")

    assert 100_000 < max(scales.sizes_bytes) < TRANSACTION_BYTES_MAX


def modules_of_which_many_import_many(layers: tuple[int, ...]) -> list[v1.PlannedTicket]:
    """The Orchestrator's plan where each module of a layer imports all modules of the layer before."""
    paths = [ModulePath(f"source/package/module_{number:03}.py") for number in range(sum(layers))]
    imports: dict[ModulePath, tuple[ModulePath, ...]] = {}
    before: tuple[ModulePath, ...] = ()
    for size in layers:
        layer = tuple(paths[len(imports) : len(imports) + size])
        imports.update(dict.fromkeys(layer, before))
        before = layer
    return list(planned_tickets(paths, ImportGraph(imports=imports, importers={}, groups=())))


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param((1, MODULES_MAX - 1), id="one module that all import"),
        pytest.param((1, 300, 20, MODULES_MAX - 321), id="many imports"),
        pytest.param((1, 400, MODULES_MAX - 401), id="more imports than can be waited for one by one"),
    ],
)
async def test_the_largest_plan_of_the_orchestrator(
    hub: Hub, scales: Scales, layers: tuple[int, ...]
) -> None:
    tickets = modules_of_which_many_import_many(layers)
    model.check_plan(tickets)
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    await plan(agents, job.job_id, tickets, [decision("evt_1", noise(190_000))])
    for role in (SCOUT, CODER, CRITIC):
        await do(agents, job.job_id, role)
    # Its end has unblocked others.
    assert (await claim(agents, job.job_id, SCOUT)).ticket_id

    assert 100_000 < max(scales.sizes_bytes) < TRANSACTION_BYTES_MAX


async def test_a_ticket_that_unblocks_as_many_as_it_may(hub: Hub, scales: Scales) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    first = v1.PlannedTicket(key="first", role=SCOUT, title="first")
    waiting = scouts(DEPENDENTS_MAX, "first")
    await plan(agents, job.job_id, [first, *with_end(waiting)])
    await do(agents, job.job_id, SCOUT)

    assert 100_000 < max(scales.sizes_bytes) < TRANSACTION_BYTES_MAX


async def test_a_call_that_says_as_much_as_it_may(hub: Hub, scales: Scales) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    await plan(agents, job.job_id, with_end(scouts(1)))
    words = [decision(f"evt_{number}", noise(50_000)) for number in range(10)]
    artifact = v1.Artifact(name="pack", content=os.urandom(ARTIFACT_BYTES_MAX))
    lease = await claim(agents, job.job_id, SCOUT)
    await agents.complete_ticket(
        lease, v1.TICKET_STATE_DONE, outcome="found", decisions=words, artifacts=[artifact]
    )

    assert 100_000 < max(scales.sizes_bytes) < TRANSACTION_BYTES_MAX


async def test_a_job_that_ends_with_as_many_words_as_it_may(hub: Hub, scales: Scales) -> None:
    job = await hub.run_job()
    agents = hub.agents(job.job_id)
    lease = await claim(agents, job.job_id, ORCHESTRATOR)
    words = [decision(f"evt_{number}", noise(50_000)) for number in range(10)]
    summary = v1.JobSummary(left_alone=[noise(38_000) for _ in range(10)])
    await agents.finish_job(lease, v1.JOB_STATE_SUCCEEDED, summary=summary, decisions=words)

    assert 100_000 < max(scales.sizes_bytes) < TRANSACTION_BYTES_MAX
