# SPDX-License-Identifier: Apache-2.0
"""Both transports behave alike: who may call, what an error looks like, how streams and deadlines end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from enchanted import rpc
from enchanted.generated.history.v1 import history_pb2, history_pb2_grpc
from enchanted.generated.workspace.v1 import workspace_pb2, workspace_pb2_grpc
from enchanted.keyspace import LOCAL_TENANT, Principal, Scope

READER = Principal(LOCAL_TENANT, "reader", frozenset({Scope.HISTORY_READ}))
WRITER = Principal(LOCAL_TENANT, "writer", frozenset({Scope.WORKSPACE_WRITE}))


class Tokens:
    def authenticate(self, token: str) -> Principal:
        try:
            return {"reader": READER, "writer": WRITER}[token]
        except KeyError as error:
            raise rpc.UnauthenticatedError("this token is not known") from error


class LogNotFoundError(Exception):
    def __init__(self, log: str) -> None:
        super().__init__("there is no such log")
        self.log = log


RULES: dict[type[Exception], rpc.ErrorRule] = {
    LogNotFoundError: rpc.ErrorRule(grpc.StatusCode.NOT_FOUND, "LOG_NOT_FOUND")
}


class History(history_pb2_grpc.HistoryServicer):
    async def ListEvents(self, request: Any, context: Any) -> Any:
        if request.log == "absent":
            raise LogNotFoundError(request.log)
        if request.log == "broken":
            raise ZeroDivisionError("secret detail")
        if request.log == "slow":
            await asyncio.get_running_loop().create_future()
        return history_pb2.ListEventsResponse(next_page_token=rpc.principal().subject)

    async def WatchEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(40):
            yield history_pb2.WatchEventsResponse(cursor=str(number))
        if request.log == "absent":
            raise LogNotFoundError(request.log)


class Workspace(workspace_pb2_grpc.WorkspaceServicer):
    async def ImportProject(self, requests: AsyncIterator[Any], context: Any) -> Any:
        sizes = [len(message.pack) async for message in requests]
        return workspace_pb2.ImportProjectResponse(project=workspace_pb2.Project(name=str(sum(sizes))))


def register(server: Any) -> None:
    # What these servicers leave out is unimplemented on purpose.
    history_pb2_grpc.add_HistoryServicer_to_server(History(), server)  # type: ignore[abstract]
    workspace_pb2_grpc.add_WorkspaceServicer_to_server(Workspace(), server)  # type: ignore[abstract]


@pytest.fixture(params=["socket", "in process"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    chain = rpc.interceptors(Tokens(), RULES)
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
    await listening.stop(0)


def history(channel: grpc.aio.Channel) -> Any:
    return history_pb2_grpc.HistoryStub(channel)


async def failure_of(call: Any) -> rpc.CallError:
    with pytest.raises(rpc.CallError) as caught:
        await call
    return caught.value


@pytest.mark.feature("K-02")
async def test_the_servicer_sees_the_principal_of_the_token(connect: Any) -> None:
    answer = await history(connect("reader")).ListEvents(history_pb2.ListEventsRequest())
    assert answer.next_page_token == "reader"


@pytest.mark.feature("K-02")
async def test_callers_of_one_server_are_not_mixed_up(connect: Any) -> None:
    reader, writer = history(connect("reader")), workspace_pb2_grpc.WorkspaceStub(connect("writer"))
    header = workspace_pb2.ImportProjectRequest(pack=b"abc")
    events, imported = await asyncio.gather(
        reader.ListEvents(history_pb2.ListEventsRequest()), writer.ImportProject(iter([header, header]))
    )
    assert (events.next_page_token, imported.project.name) == ("reader", "6")


@pytest.mark.feature("K-02")
async def test_an_unknown_token_is_refused(connect: Any) -> None:
    failure = await failure_of(history(connect("forged")).ListEvents(history_pb2.ListEventsRequest()))
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")


@pytest.mark.feature("K-02")
async def test_a_token_without_the_scope_of_the_call_is_refused(connect: Any) -> None:
    failure = await failure_of(history(connect("writer")).ListEvents(history_pb2.ListEventsRequest()))
    assert (failure.code, failure.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_REFUSED")


@pytest.mark.feature("K-02")
async def test_a_rooms_exception_arrives_with_reason_text_and_fields(connect: Any) -> None:
    failure = await failure_of(
        history(connect("reader")).ListEvents(history_pb2.ListEventsRequest(log="absent"))
    )
    assert failure.code is grpc.StatusCode.NOT_FOUND
    assert failure.reason == "LOG_NOT_FOUND"
    assert str(failure) == "there is no such log"
    assert failure.metadata == {"log": "absent"}


@pytest.mark.feature("K-02")
async def test_an_unforeseen_exception_tells_the_caller_nothing_of_its_text(connect: Any) -> None:
    failure = await failure_of(
        history(connect("reader")).ListEvents(history_pb2.ListEventsRequest(log="broken"))
    )
    assert failure.code is grpc.StatusCode.INTERNAL
    assert "secret" not in str(failure)


@pytest.mark.feature("K-02")
async def test_a_call_past_its_deadline_ends(connect: Any) -> None:
    call = history(connect("reader")).ListEvents(history_pb2.ListEventsRequest(log="slow"), timeout=0.05)
    assert (await failure_of(call)).code is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.feature("K-02")
async def test_a_stream_arrives_whole_and_in_order(connect: Any) -> None:
    answers = history(connect("reader")).WatchEvents(history_pb2.WatchEventsRequest())
    assert [int(answer.cursor) async for answer in answers] == list(range(40))


@pytest.mark.feature("K-02")
async def test_a_stream_that_fails_delivers_what_came_before_and_then_the_error(connect: Any) -> None:
    seen: list[str] = []

    async def watch() -> None:
        request = history_pb2.WatchEventsRequest(log="absent")
        async for answer in history(connect("reader")).WatchEvents(request):
            seen.append(answer.cursor)  # noqa: PERF401 - what came before the error is kept

    with pytest.raises(rpc.CallError) as caught:
        await watch()
    assert (len(seen), caught.value.reason) == (40, "LOG_NOT_FOUND")


@pytest.mark.feature("K-02")
async def test_a_stream_may_be_left_in_the_middle(connect: Any) -> None:
    answers = history(connect("reader")).WatchEvents(history_pb2.WatchEventsRequest())
    async for _answer in answers:
        break
    await answers.aclose()


@pytest.mark.feature("K-02")
async def test_a_method_that_no_servicer_has_is_unimplemented(connect: Any) -> None:
    call = history(connect("reader")).GetCheckpoint(history_pb2.GetCheckpointRequest())
    assert (await failure_of(call)).code is grpc.StatusCode.UNIMPLEMENTED
