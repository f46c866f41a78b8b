# SPDX-License-Identifier: Apache-2.0
"""Deny by default: no call reaches a servicer without a principal that holds the scope of its RPC.

The scope stands in the proto option of the RPC; an RPC that declares none is refused for everyone, so that a
forgotten option is a failing call and not an open door.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Final, Protocol

from google.protobuf import descriptor_pool

from enchanted.generated.rpc.v1 import options_pb2
from enchanted.keyspace import Principal
from enchanted.rpc.errors import PermissionRefusedError, UnauthenticatedError

AUTHORIZATION: Final = "authorization"
_BEARER: Final = "Bearer "

_principal: ContextVar[Principal] = ContextVar("principal")


class Authenticator(Protocol):
    """Turns a bearer token into the principal it stands for."""

    def authenticate(self, token: str) -> Principal:
        """The principal; raises :class:`UnauthenticatedError` for anything but a valid token."""


def principal() -> Principal:
    """The caller of the RPC that runs now. Only inside servicers.

    Raises:
        UnauthenticatedError: Outside of a call.
    """
    try:
        return _principal.get()
    except LookupError as error:
        raise UnauthenticatedError("this needs a call with a token") from error


def admit(method: str, authorization: str, authenticator: Authenticator) -> None:
    """Authenticate the caller of ``method`` and check its scope; the principal holds for this task.

    Args:
        method: Full name, ``/package.Service/Method``.
        authorization: Value of the metadata of that name; empty if absent.
        authenticator: Knows tokens.

    Raises:
        UnauthenticatedError: Without a valid bearer token.
        PermissionRefusedError: Without the RPC's scope.
    """
    if not authorization.startswith(_BEARER):
        raise UnauthenticatedError("a bearer token is needed")
    caller = authenticator.authenticate(authorization.removeprefix(_BEARER))
    scope = scope_of(method)
    if not scope or scope not in caller.scopes:
        raise PermissionRefusedError("the token does not have the scope that this call needs")
    _principal.set(caller)


@functools.cache
def scope_of(method: str) -> str:
    """The scope that an RPC's proto option declares; empty if it declares none or does not exist."""
    service_name, _, method_name = method.lstrip("/").partition("/")
    try:
        service = descriptor_pool.Default().FindServiceByName(service_name)
        found = service.methods_by_name[method_name]
    except KeyError:
        return ""
    return str(found.GetOptions().Extensions[options_pb2.scope])
