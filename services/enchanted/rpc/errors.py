# SPDX-License-Identifier: Apache-2.0
"""One mapping of a room's exceptions to gRPC status and back, so that no caller's fault becomes an INTERNAL.

A room lists its exceptions in ``ERRORS``; the first class in an exception's method resolution order that is
listed decides. The status carries ``google.rpc.ErrorInfo`` (AIP-193) with the reason and the exception's
plain attributes. What nobody listed is our fault: it is logged, and its text is not sent.

Errors::

    CallError                 what a client sees, over either transport
    UnauthenticatedError      no token, or one that does not verify
    PermissionRefusedError    a token without the scope, or for something else
    InvalidRequestError       a request that cannot mean anything
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from enchanted import keyspace

DETAILS_KEY: Final = "grpc-status-details-bin"
DOMAIN: Final = "enchanted"


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """How an exception is answered: status code, and a reason in upper snake case that programs may test."""

    code: grpc.StatusCode
    reason: str


class UnauthenticatedError(Exception):
    """The caller did not prove who it is."""


class PermissionRefusedError(Exception):
    """The caller is known and may not do this."""


class InvalidRequestError(Exception):
    """A request that cannot mean anything; the text says which field and what it takes."""


@dataclass(slots=True)
class CallError(Exception):
    """A call failed.

    Attributes:
        code: The status.
        reason: For programs, such as ``HEAD_MOVED``; empty if the other side gave none.
        message: For people.
        metadata: The failed exception's fields.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """The message for people."""
        return self.message


KEYSPACE_ERRORS: Final[Mapping[type[Exception], ErrorRule]] = {
    UnauthenticatedError: ErrorRule(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    PermissionRefusedError: ErrorRule(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_REFUSED"),
    NotImplementedError: ErrorRule(grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED"),
    InvalidRequestError: ErrorRule(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
    keyspace.TenantUnavailableError: ErrorRule(grpc.StatusCode.FAILED_PRECONDITION, "TENANT_UNAVAILABLE"),
    keyspace.StaleIncarnationError: ErrorRule(grpc.StatusCode.UNAVAILABLE, "TENANT_MOVED"),
    keyspace.LeaseLostError: ErrorRule(grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST"),
    keyspace.RequestReusedError: ErrorRule(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_REUSED"),
    keyspace.SealBrokenError: ErrorRule(grpc.StatusCode.DATA_LOSS, "SEAL_BROKEN"),
    keyspace.StoreDamagedError: ErrorRule(grpc.StatusCode.DATA_LOSS, "STORE_DAMAGED"),
    keyspace.RetriesExhaustedError: ErrorRule(grpc.StatusCode.UNAVAILABLE, "RETRIES_EXHAUSTED"),
}


def rule_for(error: Exception, rules: Mapping[type[Exception], ErrorRule]) -> ErrorRule | None:
    """The rule of the nearest listed class of the exception, or ``None``."""
    return next((rules[cls] for cls in type(error).__mro__ if cls in rules), None)


def encode(error: Exception, rule: ErrorRule) -> tuple[tuple[str, bytes], ...]:
    """Trailing metadata that tells the reason and fields of an exception."""
    fields = {name: str(value) for name, value in vars(error).items() if isinstance(value, str | int)}
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=rule.reason, domain=DOMAIN, metadata=fields))
    status = status_pb2.Status(code=rule.code.value[0], message=str(error), details=[detail])
    return ((DETAILS_KEY, status.SerializeToString()),)


def decode(error: grpc.aio.AioRpcError) -> CallError:
    """What a client raises for a failed call."""
    message = error.details() or ""
    trailing: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()  # type: ignore[assignment]
    for key, value in trailing:
        if key == DETAILS_KEY and isinstance(value, bytes):
            info = _error_info(value)
            if info is not None:
                return CallError(error.code(), info.reason, message, dict(info.metadata))
    return CallError(error.code(), "", message)


def _error_info(status_bytes: bytes) -> error_details_pb2.ErrorInfo | None:
    info = error_details_pb2.ErrorInfo()
    details = status_pb2.Status.FromString(status_bytes).details
    return info if any(detail.Unpack(info) for detail in details) else None
