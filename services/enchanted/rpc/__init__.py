# SPDX-License-Identifier: Apache-2.0
"""The shared furniture of remote calls: authentication, scopes, errors, and two transports of one shape.

A servicer is written once. It is reached over gRPC from other processes, and without a socket from the same
process, through the same interceptors; a client cannot tell which, and neither can a test.
"""

from enchanted.rpc.authentication import Authenticator, principal
from enchanted.rpc.channel import connect
from enchanted.rpc.errors import (
    KEYSPACE_ERRORS,
    CallError,
    ErrorRule,
    InvalidRequestError,
    PermissionRefusedError,
    UnauthenticatedError,
)
from enchanted.rpc.in_process import InProcessChannel, InProcessServer
from enchanted.rpc.server import Interceptors, interceptors, serve

__all__ = [
    "KEYSPACE_ERRORS",
    "Authenticator",
    "CallError",
    "ErrorRule",
    "InProcessChannel",
    "InProcessServer",
    "Interceptors",
    "InvalidRequestError",
    "PermissionRefusedError",
    "UnauthenticatedError",
    "connect",
    "interceptors",
    "principal",
    "serve",
]
