# SPDX-License-Identifier: Apache-2.0
"""Deny by default: every RPC of every room, with no token, a wrong one, and one that may only read."""

from __future__ import annotations

from typing import Any

import grpc
import httpx2
import pytest
from google.protobuf import descriptor_pool, message_factory

from enchanted import owner, platform
from enchanted.generated.rpc.v1 import options_pb2
from enchanted.settings import Settings

SERVICES = ("enchanted.history.v1.History", "enchanted.workspace.v1.Workspace", "enchanted.jobs.v1.Jobs")


def _methods() -> list[Any]:
    pool = descriptor_pool.Default()
    return [method for name in SERVICES for method in pool.FindServiceByName(name).methods]


async def _call(channel: grpc.aio.Channel, method: Any, authorization: str | None) -> grpc.StatusCode:
    """Call a method with an empty request, and answer the status it ends with."""
    request = message_factory.GetMessageClass(method.input_type)()
    path = f"/{method.containing_service.full_name}/{method.name}"
    streams = {False: "unary", True: "stream"}
    make = getattr(channel, f"{streams[method.client_streaming]}_{streams[method.server_streaming]}")
    encode, decode = type(request).SerializeToString, message_factory.GetMessageClass(method.output_type)
    call = make(path, request_serializer=encode, response_deserializer=decode.FromString)
    metadata = None if authorization is None else (("authorization", authorization),)
    try:
        answer = call(iter([request]) if method.client_streaming else request, metadata=metadata)
        if method.server_streaming:
            async for _ in answer:
                break
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.feature("K-02")
def test_every_rpc_declares_a_scope() -> None:
    methods = _methods()
    assert len(methods) > 20
    assert all(method.GetOptions().Extensions[options_pb2.scope] for method in methods)


@pytest.mark.feature("K-02")
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer guessed", "Basic Z3Vlc3NlZA==", "guessed"],
    ids=["none", "empty", "no_token", "blank", "guessed", "basic", "bare"],
)
async def test_no_rpc_is_answered_without_a_token(settings: Settings, authorization: str | None) -> None:
    async with platform.hosted(settings):
        noted = owner.read_note(settings.data)
        assert noted is not None
        async with grpc.aio.insecure_channel(noted.grpc_address) as channel:
            for method in _methods():
                status = await _call(channel, method, authorization)
                assert status is grpc.StatusCode.UNAUTHENTICATED, method.full_name


@pytest.mark.feature("K-02")
async def test_the_owner_cannot_pose_as_an_agent(settings: Settings) -> None:
    async with platform.hosted(settings):
        noted = owner.read_note(settings.data)
        assert noted is not None
        async with grpc.aio.insecure_channel(noted.grpc_address) as channel:
            for method in _methods():
                if method.GetOptions().Extensions[options_pb2.scope] == "jobs:work":
                    status = await _call(channel, method, f"Bearer {noted.token}")
                    assert status is grpc.StatusCode.PERMISSION_DENIED, method.full_name


@pytest.mark.feature("K-02")
async def test_git_takes_a_token_or_none_but_no_wrong_one(settings: Settings) -> None:
    async with platform.hosted(settings) as hub, httpx2.AsyncClient() as browser:
        address = f"{hub.url}/git/local/none/info/refs?service=git-upload-pack"
        noted = owner.read_note(settings.data)
        assert noted is not None
        for authorization, status in (
            (None, 404),
            (f"Bearer {noted.token}", 404),
            ("Bearer guessed", 401),
            ("Basic eDpndWVzc2Vk", 401),
            ("Basic not-base64", 401),
            ("Negotiate abc", 401),
        ):
            headers = {} if authorization is None else {"Authorization": authorization}
            answer = await browser.get(address, headers=headers)
            assert answer.status_code == status, authorization
        pushed = await browser.get(f"{hub.url}/git/local/none/info/refs?service=git-receive-pack")
        assert pushed.status_code in {403, 404}
