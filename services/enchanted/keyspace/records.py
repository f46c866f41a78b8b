# SPDX-License-Identifier: Apache-2.0
"""Keyspace's own records: tenant headers, leases, idempotency and work pointers.

Subspaces of a tenant (room 0)::

    header                                   state, incarnation, format, placement
    lease_owner/(name)                       who may act, with a fencing token
    lease_beat/(name)                        that the owner lives
    request/(request_id)                     what a mutating call answered

Subspaces of the hub (room 0)::

    ready/(queue, bucket, tenant)            a tenant with work in a queue
"""

from __future__ import annotations

from typing import Final

import fdb

from enchanted.generated.keyspace.store.v1 import records_pb2 as store
from enchanted.keyspace.model import Room, StaleIncarnationError, TenantUnavailableError
from enchanted.keyspace.space import TenantSpace
from enchanted.keyspace.subspaces import Sealing, declare

TENANT_FORMAT: Final = 1

HEADER = declare(
    Room.KEYSPACE,
    0,
    "header",
    key=(),
    value="TenantHeader",
    sealing=Sealing.PLAIN,
    why="Read by every transaction, so that erase, move and suspend fence all writers; holds no text.",
)
LEASE_OWNER = declare(
    Room.KEYSPACE,
    1,
    "lease_owner",
    key=("name",),
    value="LeaseOwner",
    sealing=Sealing.PLAIN,
    why="What effects read under a lease; holds ids only.",
)
LEASE_BEAT = declare(
    Room.KEYSPACE,
    2,
    "lease_beat",
    key=("name",),
    value="little-endian 64-bit count",
    sealing=Sealing.PLAIN,
    why="What heartbeats write, apart from the owner so that they never conflict with effects; a count.",
)
REQUEST = declare(
    Room.KEYSPACE,
    3,
    "request",
    key=("request_id",),
    value="IdempotencyRecord",
    sealing=Sealing.PLAIN,
    why="Makes a repeated call harmless; results hold ids and hashes only.",
)
READY = declare(
    Room.KEYSPACE,
    0,
    "ready",
    key=("queue", "bucket", "tenant"),
    value="empty",
    sealing=Sealing.PLAIN,
    why="Finds tenants with work without a scan over tenants; holds ids only.",
    hub=True,
)


def open_header(tr: fdb.Transaction, space: TenantSpace) -> store.TenantHeader:
    """Create the tenant's header if there is none, and return it. Transactional; safe to run twice."""
    stored = tr[space.key(HEADER)]
    if stored.present():
        return store.TenantHeader.FromString(bytes(stored))
    header = store.TenantHeader(
        state=store.TENANT_STATE_ACTIVE, incarnation=1, format=TENANT_FORMAT, placement="here"
    )
    tr[space.key(HEADER)] = header.SerializeToString()
    return header


def check_header(space: TenantSpace, stored: fdb.Value) -> None:
    """Refuse a transaction whose tenant is closed or was moved.

    Args:
        space: The caller's handle.
        stored: The header, read in the transaction with a conflict.

    Raises:
        TenantUnavailableError: If the tenant is suspended, erased or not there.
        StaleIncarnationError: If the handle is from before a move or restore.
    """
    if not stored.present():
        raise TenantUnavailableError(space.tenant, "absent")
    header = store.TenantHeader.FromString(bytes(stored))
    if header.state != store.TENANT_STATE_ACTIVE:
        raise TenantUnavailableError(space.tenant, store.TenantState.Name(header.state))
    if header.incarnation != space.incarnation:
        raise StaleIncarnationError(space.tenant)
