# SPDX-License-Identifier: Apache-2.0
"""Who may act, in which state a tenant is, and what can go wrong: the words every room uses.

Without one definition of ``Principal`` each room would decide anew what an authenticated caller is, and
one of them would one day take a tenant's id from a request.

Errors::

    KeyspaceError
    ├── TenantUnavailableError   the tenant is suspended, erased, or not there
    ├── StaleIncarnationError    the tenant was moved or restored while the caller held a handle
    ├── LeaseLostError           another holder has a greater fencing token
    ├── RequestReusedError       the same request id came with another content
    ├── SealBrokenError          a stored value does not open: wrong key, or changed
    ├── KeyFileError             the key file is missing, damaged, or open to others
    ├── StoreUnavailableError    the database cannot be opened
    ├── StoreDamagedError        what is stored cannot be read: a checksum is wrong
    └── RetriesExhaustedError    a transaction did not get through in its time
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NewType

TenantId = NewType("TenantId", str)

LOCAL_TENANT = TenantId("local")


class Scope(enum.StrEnum):
    """What a principal may do; every RPC names one of these in its proto options."""

    HISTORY_READ = "history:read"
    WORKSPACE_READ = "workspace:read"
    WORKSPACE_WRITE = "workspace:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    JOBS_WORK = "jobs:work"


OWNER_SCOPES = frozenset(Scope) - {Scope.JOBS_WORK}
JOB_SCOPES = frozenset({Scope.HISTORY_READ, Scope.WORKSPACE_READ, Scope.JOBS_READ, Scope.JOBS_WORK})


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    Attributes:
        tenant: The only tenant whose keys it can reach.
        subject: Who acts: a person, an agent, or a part of the platform.
        scopes: What it may do.
        job: The one job it may touch, for an agents' process; ``None`` for everyone else.
    """

    tenant: TenantId
    subject: str
    scopes: frozenset[Scope]
    job: str | None = None


class Room(enum.IntEnum):
    """First element of every key below a tenant's prefix. Never renumbered."""

    KEYSPACE = 0
    HISTORY = 1
    IDENTITY = 2
    LEDGER = 3
    WORKSPACE = 4
    BOARD = 5
    MODELS = 6
    JOBS = 7


class KeyspaceError(Exception):
    """Base of all errors of this room."""


class TenantUnavailableError(KeyspaceError):
    """The tenant is suspended, erased, or not there."""

    def __init__(self, tenant: TenantId, state: str) -> None:
        super().__init__("the tenant does not accept transactions")
        self.tenant = tenant
        self.state = state


class StaleIncarnationError(KeyspaceError):
    """The tenant was moved or restored since the caller got its handle; get a new one and try again."""

    def __init__(self, tenant: TenantId) -> None:
        super().__init__("the tenant was moved or restored; open it again")
        self.tenant = tenant


class LeaseLostError(KeyspaceError):
    """Another holder has taken the lease; what was done under it must not take effect."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__("the lease has another holder or was released")
        self.name = name
        self.holder = holder


class RequestReusedError(KeyspaceError):
    """A request id came a second time with another content."""

    def __init__(self, request_id: str) -> None:
        super().__init__("this request id was used for another request; make a new one")
        self.request_id = request_id


class SealBrokenError(KeyspaceError):
    """A stored value does not open: it was changed, or sealed with another key or for another place."""

    def __init__(self, subspace: str, record_id: str) -> None:
        super().__init__("a stored value does not open: it was changed or the key is another one")
        self.subspace = subspace
        self.record_id = record_id


class KeyFileError(KeyspaceError):
    """The key file is missing, damaged, or readable by others."""


class StoreUnavailableError(KeyspaceError):
    """The database cannot be opened; the text says what to do."""


class StoreDamagedError(KeyspaceError):
    """What is stored cannot be read: the engine's checksums do not match."""

    def __init__(self, code: int) -> None:
        super().__init__("a part of the store cannot be read: its checksum is wrong")
        self.code = code


class RetriesExhaustedError(KeyspaceError):
    """A transaction met too many conflicts or errors in its time; trying again later may succeed."""

    def __init__(self, code: int) -> None:
        super().__init__("the transaction did not get through in its time")
        self.code = code
