# SPDX-License-Identifier: Apache-2.0
"""What a token must say to be believed, checked after its signature and apart from it.

A library that verifies a signature says who wrote the claims, not that they mean anything here: a token
without an end, for no job, or with an owner's scopes must be refused even if we signed it by mistake.

Errors::

    IdentityError
    └── TokenRefusedError    a token that is not believed; the reason is for the log and for tests
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import grpc

from enchanted.keyspace import JOB_SCOPES, Principal, Scope, TenantId
from enchanted.rpc import ErrorRule

LIFETIME_SECONDS_MAX: Final = 24 * 3600
CLOCK_SKEW_SECONDS: Final = 30
TOKEN_CHARACTERS_MAX: Final = 4_096
_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_TEXTS: Final = ("iss", "sub", "tenant", "job")


class IdentityError(Exception):
    """Base of all errors of this room."""


class TokenRefusedError(IdentityError):
    """A token that is not believed."""

    def __init__(self, reason: str) -> None:
        super().__init__("the token was refused; get a new one")
        self.reason = reason


ERRORS: Final[Mapping[type[Exception], ErrorRule]] = {
    TokenRefusedError: ErrorRule(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REFUSED"),
}


def check_job_principal(principal: Principal) -> None:
    """Refuse to sign for anyone but the agents of one job. An invariant of the platform's own code."""
    assert principal.job, "an agents' token is for one job"
    assert principal.subject, "an agents' token names who acts"
    assert principal.scopes <= JOB_SCOPES, "an agents' token has an agent's scopes"
    assert _TENANT.fullmatch(principal.tenant), "an agents' token names a tenant"


def principal_of(claims: Mapping[str, object], issuer: str, now_seconds: int) -> Principal:
    """The principal that verified claims stand for.

    Args:
        claims: Of a token whose signature was verified.
        issuer: The only one that is believed.
        now_seconds: UTC seconds since 1970.

    Raises:
        TokenRefusedError: With what is wrong.
    """
    texts = {name: _text(claims, name) for name in _TEXTS}
    if texts["iss"] != issuer:
        raise TokenRefusedError("another issuer")
    _check_times(_seconds(claims, "iat"), _seconds(claims, "nbf"), _seconds(claims, "exp"), now_seconds)
    if not _TENANT.fullmatch(texts["tenant"]):
        raise TokenRefusedError("tenant is not the name of one")
    return Principal(TenantId(texts["tenant"]), texts["sub"], _scopes(claims.get("scopes")), texts["job"])


def _check_times(issued: int, begins: int, ends: int, now: int) -> None:
    if ends <= now - CLOCK_SKEW_SECONDS:
        raise TokenRefusedError("expired")
    if max(issued, begins) > now + CLOCK_SKEW_SECONDS:
        raise TokenRefusedError("not valid yet")
    if not 0 < ends - issued <= LIFETIME_SECONDS_MAX:
        raise TokenRefusedError("lifetime too long")


def _scopes(found: object) -> frozenset[Scope]:
    if not isinstance(found, list) or not found:
        raise TokenRefusedError("scopes are missing")
    try:
        scopes = frozenset(Scope(scope) for scope in found)
    except ValueError as error:
        raise TokenRefusedError("a scope that does not exist") from error
    if not scopes <= JOB_SCOPES:
        raise TokenRefusedError("a scope that agents do not have")
    return scopes


def _text(claims: Mapping[str, object], name: str) -> str:
    found = claims.get(name)
    if not isinstance(found, str) or not found:
        raise TokenRefusedError(f"{name} is missing")
    return found


def _seconds(claims: Mapping[str, object], name: str) -> int:
    found = claims.get(name)
    if not isinstance(found, int) or isinstance(found, bool):
        raise TokenRefusedError(f"{name} is missing")
    return found
