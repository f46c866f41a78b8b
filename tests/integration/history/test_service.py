# SPDX-License-Identifier: Apache-2.0
"""History over gRPC and inside the process: pages, streams, checkpoints, verification, and who may read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest

from enchanted import rpc
from enchanted.generated.history.v1 import history_pb2, history_pb2_grpc
from enchanted.history import ERRORS, Place
from enchanted.history.client import HistoryClient
from enchanted.history.service import PAGE_EVENTS_MAX, HistoryService
from enchanted.keyspace import JOB_SCOPES, Principal, Scope, TenantId, TipWatcher
from tests.integration.history.flight import LOG, OWNER, SIGNER, Flight

pytestmark = pytest.mark.feature("E-01")

WORKER = Principal(OWNER.tenant, "a worker", JOB_SCOPES, job="job_1")
PRINCIPALS = {
    "owner": OWNER,
    "worker": WORKER,
    "stranger": replace(OWNER, tenant=TenantId("other")),
    "writer": replace(OWNER, scopes=frozenset({Scope.WORKSPACE_WRITE})),
}


class Tokens:
    def authenticate(self, token: str) -> Principal:
        try:
            return PRINCIPALS[token]
        except KeyError as error:
            raise rpc.UnauthenticatedError("this token is not known") from error


async def own_project_only(principal: Principal, log: str) -> bool:
    return principal.job is None or (principal.job, log) == ("job_1", LOG)


Connect = Callable[[str], grpc.aio.Channel]


@pytest.fixture(params=["socket", "in process"])
async def connect(request: pytest.FixtureRequest, flight: Flight) -> AsyncIterator[Connect]:
    service = HistoryService(
        flight.keyspace, flight.sealer(), TipWatcher(flight.keyspace), may_read=own_project_only
    )

    def register(server: Any) -> None:
        history_pb2_grpc.add_HistoryServicer_to_server(service, server)

    chain = rpc.interceptors(Tokens(), ERRORS)
    if request.param == "in process":
        server = rpc.InProcessServer(chain)
        register(server)
        yield lambda token: rpc.InProcessChannel(server, token)
        return
    listening, port = await rpc.serve(register, "127.0.0.1:0", chain)
    channels: list[grpc.aio.Channel] = []

    def open_channel(token: str) -> grpc.aio.Channel:
        channels.append(rpc.connect(f"127.0.0.1:{port}", token))
        return channels[-1]

    yield open_channel
    for channel in channels:
        await channel.close(None)
    await listening.stop(None)


@pytest.fixture
def client(connect: Connect) -> HistoryClient:
    return HistoryClient(connect("owner"))


def numbers(events: list[history_pb2.RecordedEvent]) -> list[int]:
    return [int(recorded.event.event_id[-4:]) for recorded in events]


async def listed(client: HistoryClient, log: str = LOG, **selection: Any) -> list[int]:
    return numbers([recorded async for recorded in client.list_events(log, **selection)])


async def page(connect: Connect, caller: str = "owner", **fields: Any) -> history_pb2.ListEventsResponse:
    stub = history_pb2_grpc.HistoryStub(connect(caller))
    response: history_pb2.ListEventsResponse = await stub.ListEvents(history_pb2.ListEventsRequest(**fields))
    return response


async def test_a_client_reads_all_pages(flight: Flight, client: HistoryClient) -> None:
    await flight.record_each(7, job_id="job_1")
    assert await listed(client, page_size=3) == [1, 2, 3, 4, 5, 6, 7]
    assert await listed(client, page_size=2, newest_first=True) == [7, 6, 5, 4, 3, 2, 1]
    assert await listed(client, page_size=5, job_id="job_1") == [1, 2, 3, 4, 5, 6, 7]
    assert await listed(client, job_id="job_2") == []


async def test_a_page_has_at_most_what_was_asked_for_and_never_past_the_limit(
    flight: Flight, connect: Connect
) -> None:
    for _ in range(21):
        await flight.record(*(flight.event() for _ in range(50)))
    sizes = [len((await page(connect, log=LOG, page_size=asked)).events) for asked in (1, 0, 5000)]
    assert sizes == [1, 100, PAGE_EVENTS_MAX]


async def test_the_places_of_a_page_are_the_order_of_the_log(flight: Flight, connect: Connect) -> None:
    await flight.record_each(4)
    places = [Place.of(recorded) for recorded in (await page(connect, log=LOG)).events]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "fields",
    [
        {"log": LOG, "page_token": "!"},
        {"log": LOG, "page_token": "AAAA"},
        {"log": LOG, "page_token": "ä"},
        {"log": LOG, "page_token": "A" * 48},
        {"log": LOG, "page_size": -1},
        {"log": ""},
    ],
    ids=["no base64", "short", "no ascii", "forged", "negative size", "no log"],
)
async def test_a_senseless_request_is_the_callers_fault(
    flight: Flight, connect: Connect, fields: dict[str, Any]
) -> None:
    await flight.record_each(1)
    with pytest.raises(rpc.CallError) as refused:
        await page(connect, **fields)
    assert refused.value.code == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_page_token_serves_only_the_list_that_gave_it(flight: Flight, connect: Connect) -> None:
    await flight.record_each(3, job_id="job_1")
    await flight.record(flight.event(), log="prj_2")
    token = (await page(connect, log=LOG, page_size=1)).next_page_token
    assert numbers(list((await page(connect, log=LOG, page_token=token)).events)) == [2, 3]
    for fields in (
        {"log": "prj_2"},
        {"log": LOG, "newest_first": True},
        {"log": LOG, "job_id": "job_1"},
        {"log": LOG, "ticket_id": "tkt_1"},
    ):
        with pytest.raises(rpc.CallError) as refused:
            await page(connect, page_token=token, **fields)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.feature("X-01")
async def test_a_page_token_of_another_tenant_is_refused(flight: Flight, connect: Connect) -> None:
    await flight.record_each(2)
    token = (await page(connect, log=LOG, page_size=1)).next_page_token
    with pytest.raises(rpc.CallError) as refused:
        await page(connect, "stranger", log=LOG, page_token=token)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.feature("X-01")
async def test_another_tenants_log_is_not_there(flight: Flight, connect: Connect) -> None:
    await flight.record_each(2)
    stranger = HistoryClient(connect("stranger"))
    with pytest.raises(rpc.CallError) as refused:
        await listed(stranger)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, "LOG_NOT_FOUND")
    assert refused.value.metadata["log"] == LOG
    for call in (stranger.get_checkpoint(LOG), stranger.verify_log(LOG), anext(stranger.watch_events(LOG))):
        with pytest.raises(rpc.CallError) as refused:
            await call
        assert refused.value.reason == "LOG_NOT_FOUND"


@pytest.mark.feature("X-01")
@pytest.mark.parametrize(
    ("token", "code"),
    [("unknown", grpc.StatusCode.UNAUTHENTICATED), ("writer", grpc.StatusCode.PERMISSION_DENIED)],
    ids=["unknown token", "token without the scope"],
)
async def test_nobody_reads_without_the_scope(
    flight: Flight, connect: Connect, token: str, code: grpc.StatusCode
) -> None:
    await flight.record_each(1)
    client = HistoryClient(connect(token))
    calls = (
        listed(client),
        client.get_checkpoint(LOG),
        client.verify_log(LOG),
        anext(client.watch_events(LOG)),
    )
    for call in calls:
        with pytest.raises(rpc.CallError) as refused:
            await call
        assert refused.value.code == code


@pytest.mark.feature("X-01")
async def test_a_jobs_token_reads_only_its_own_projects_log(flight: Flight, connect: Connect) -> None:
    await flight.record_each(2)
    await flight.record(flight.event(), log="prj_2")
    worker = HistoryClient(connect("worker"))
    assert await listed(worker) == [1, 2]
    for call in (
        listed(worker, "prj_2"),
        worker.get_checkpoint("prj_2"),
        worker.verify_log("prj_2"),
        anext(worker.watch_events("prj_2")),
    ):
        with pytest.raises(rpc.CallError) as refused:
            await call
        assert refused.value.reason == "LOG_FORBIDDEN"


@pytest.mark.feature("X-01")
async def test_a_jobs_token_reads_nothing_unless_the_platform_says_which_log_is_its_own(
    flight: Flight,
) -> None:
    await flight.record_each(1)
    service = HistoryService(flight.keyspace, flight.sealer(), TipWatcher(flight.keyspace))
    server = rpc.InProcessServer(rpc.interceptors(Tokens(), ERRORS))
    history_pb2_grpc.add_HistoryServicer_to_server(service, server)  # type: ignore[arg-type]  # server's shape
    with pytest.raises(rpc.CallError) as refused:
        await listed(HistoryClient(rpc.InProcessChannel(server, "worker")))
    assert refused.value.reason == "LOG_FORBIDDEN"
    assert await listed(HistoryClient(rpc.InProcessChannel(server, "owner"))) == [1]


async def test_a_watcher_gets_what_was_and_then_what_comes(flight: Flight, client: HistoryClient) -> None:
    await flight.record_each(2)
    watching = client.watch_events(LOG)
    first = await anext(watching)
    assert numbers(list(first.events)) == [1, 2]
    following = asyncio.ensure_future(anext(watching))
    await flight.record_each(1)
    assert numbers(list((await following).events)) == [3]
    await watching.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its interface


async def test_a_watcher_goes_on_from_its_cursor(flight: Flight, client: HistoryClient) -> None:
    await flight.record_each(2)
    watching = client.watch_events(LOG)
    cursor = (await anext(watching)).cursor
    await watching.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its interface
    await flight.record_each(2)
    again = client.watch_events(LOG, cursor=cursor)
    assert numbers(list((await anext(again)).events)) == [3, 4]
    await again.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its interface


async def test_a_watcher_of_one_job_gets_only_its_events(flight: Flight, client: HistoryClient) -> None:
    await flight.record_each(1, job_id="job_1")
    watching = client.watch_events(LOG, job_id="job_1")
    assert numbers(list((await anext(watching)).events)) == [1]
    following = asyncio.ensure_future(anext(watching))
    await flight.record_each(3, job_id="job_2")
    await flight.record_each(1, job_id="job_1")
    assert numbers(list((await following).events)) == [5]
    await watching.aclose()  # type: ignore[attr-defined]  # an async generator, typed as its interface


@pytest.mark.feature("E-02")
async def test_the_newest_checkpoint_covers_all_that_is_recorded(
    flight: Flight, client: HistoryClient
) -> None:
    events = await flight.record_each(5)
    answer = await client.get_checkpoint(LOG)
    verifier = SIGNER.verifier("local", LOG)
    assert (answer.size, verifier.open(answer.note).size, answer.verifier_key) == (
        5,
        5,
        verifier.verifier_key,
    )
    assert answer.sealed_time == events[-1].timestamp
    await flight.record_each(1)
    assert (await client.get_checkpoint(LOG)).size == 6
    assert await client.get_checkpoint(LOG, 5) == answer
    with pytest.raises(rpc.CallError) as refused:
        await client.get_checkpoint(LOG, 3)
    assert refused.value.reason == "CHECKPOINT_NOT_FOUND"


@pytest.mark.feature("E-02")
async def test_verification_answers_with_all_checks_and_a_checkpoint_to_keep(
    flight: Flight, client: HistoryClient
) -> None:
    await flight.record_each(3)
    first = await client.verify_log(LOG)
    assert all(check.passed for check in first.checks)
    await flight.record_each(2)
    second = await client.verify_log(LOG, first.note)
    assert (second.size, all(check.passed for check in second.checks)) == (5, True)
    refused = await client.verify_log(LOG, "not a checkpoint")
    assert [check.name for check in refused.checks if not check.passed] == ["last seen checkpoint"]
