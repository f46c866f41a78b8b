# SPDX-License-Identifier: Apache-2.0
"""An agents' token opens its own job and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import grpc
import pytest
from google.protobuf.message import Message

from enchanted import jobs
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.generated.jobs.v1 import jobs_pb2_grpc
from enchanted.keyspace import JOB_SCOPES, LOCAL_TENANT, Principal, TenantId
from enchanted.rpc import CallError
from tests.integration.jobs.hub import OWNER, OWNER_TOKEN, Hub

pytestmark = pytest.mark.feature("E-07")

METHODS = v1.DESCRIPTOR.services_by_name["Jobs"].methods_by_name
LEASE = {"lease": v1.Lease(job_id="job_other", ticket_id="tkt_other", holder="x", fencing_token=1)}
OF_A_JOB: Mapping[str, Mapping[str, object]] = {
    "GetJob": {"job_id": "job_other"},
    "ListTickets": {"job_id": "job_other"},
    "GetArtifact": {"job_id": "job_other", "ticket_id": "tkt_other", "name": "pack"},
    "ClaimTicket": {"job_id": "job_other", "roles": [events.AGENT_ROLE_SCOUT]},
    "Heartbeat": LEASE,
    "RecordDecisions": LEASE,
    "PlanTickets": LEASE,
    "CompleteTicket": LEASE,
    "AcceptEdit": LEASE,
    "ReturnTicket": LEASE,
    "FinishJob": LEASE,
}
OF_OWNERS = {"RunJob", "CancelJob"}


def call(hub: Hub, token: str, method: str, fields: Mapping[str, object]) -> Awaitable[Message]:
    stub = jobs_pb2_grpc.JobsStub(hub.channel(token))
    request = getattr(v1, METHODS[method].input_type.name)(**fields)
    send: Callable[[Message], Awaitable[Message]] = getattr(stub, method)
    return send(request)


def test_these_tests_know_all_methods() -> None:
    assert set(METHODS) == {*OF_A_JOB, *OF_OWNERS, "ListJobs"}


@pytest.mark.parametrize("method", sorted({*OF_A_JOB, *OF_OWNERS}))
async def test_an_agents_token_is_refused_for_another_job(hub: Hub, method: str) -> None:
    job = await hub.run_job()
    agents = Principal(LOCAL_TENANT, "agents", JOB_SCOPES, job.job_id)
    with pytest.raises(CallError) as refused:
        await call(hub, hub.signer.job_token(agents), method, OF_A_JOB.get(method, {}))
    assert refused.value.code == grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_a_token_that_does_not_verify_is_refused(hub: Hub, method: str) -> None:
    with pytest.raises(CallError) as refused:
        await call(hub, "not a token", method, OF_A_JOB.get(method, {}))
    assert refused.value.code == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", sorted(set(OF_A_JOB) - {"GetJob", "ListTickets", "GetArtifact"}))
async def test_an_owner_does_not_do_agents_work(hub: Hub, method: str) -> None:
    with pytest.raises(CallError) as refused:
        await call(hub, OWNER_TOKEN, method, OF_A_JOB[method])
    assert refused.value.code == grpc.StatusCode.PERMISSION_DENIED


async def test_another_tenants_agents_find_nothing_of_the_job(hub: Hub) -> None:
    job = await hub.run_job()
    others = Principal(TenantId("other"), "agents", JOB_SCOPES, job.job_id)
    with pytest.raises(CallError) as refused:
        await call(hub, hub.signer.job_token(others), "GetJob", {"job_id": job.job_id})
    assert refused.value.reason == "JOB_NOT_FOUND"


async def test_an_agents_token_lists_its_own_job_alone(hub: Hub) -> None:
    first = await hub.run_job()
    await hub.owner.cancel_job(first.job_id, "")
    second = await hub.run_job()

    agents = hub.agents(second.job_id)
    assert [job.job_id async for job in agents.list_jobs()] == [second.job_id]
    assert [job.job_id async for job in agents.list_jobs(hub.project_id)] == [second.job_id]
    assert [job.job_id async for job in agents.list_jobs("prj_other")] == []


async def test_the_project_of_a_token_is_that_of_its_job(hub: Hub) -> None:
    job = await hub.run_job()
    agents = Principal(LOCAL_TENANT, "agents", JOB_SCOPES, job.job_id)
    unknown = Principal(LOCAL_TENANT, "agents", JOB_SCOPES, "job_unknown")

    assert await jobs.project_of_job(hub.keyspace, agents) == hub.project_id
    assert await jobs.project_of_job(hub.keyspace, OWNER) is None
    with pytest.raises(jobs.JobNotFoundError):
        await jobs.project_of_job(hub.keyspace, unknown)
