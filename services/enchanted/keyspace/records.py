# SPDX-License-Identifier: Apache-2.0
"""Keyspace's own records: tenant headers, leases, idempotency and work pointers.

Subspaces of a tenant (room 0)::

    header                                   state, incarnation, format, placement
    lease_owner/(name)                       who may act, with a fencing token
    lease_beat/(name)                        that the owner lives
    request/(request_id)                     what a mutating call answered
    request_expiry/(time, request_id)        when that may be forgotten

Subspaces of the hub (room 0)::

    ready/(queue, bucket, tenant)            a tenant with work in a queue
    key_check                                which root key the store is sealed with
"""

from __future__ import annotations

from typing import Final

import fdb

from enchanted.generated.keyspace.store.v1 import records_pb2 as store
from enchanted.keyspace.model import KeyFileError, Room, StaleIncarnationError, TenantUnavailableError
from enchanted.keyspace.space import HubSpace, TenantSpace
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
REQUEST_EXPIRY = declare(
    Room.KEYSPACE,
    4,
    "request_expiry",
    key=("expires_time_us", "request_id"),
    value="empty",
    sealing=Sealing.PLAIN,
    why="Finds the idempotency records that may be forgotten; holds ids only.",
)
KEY_CHECK = declare(
    Room.KEYSPACE,
    1,
    "key_check",
    key=(),
    value="16 bytes derived from the root key",
    sealing=Sealing.PLAIN,
    why="Notices a lost or exchanged key before anything is sealed with the wrong one; tells nothing of it.",
    hub=True,
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


def check_key_ring(tr: fdb.Transaction, hub: HubSpace, check_value: bytes) -> None:
    """Remember which root key the store is sealed with, or refuse another one. Transactional.

    Raises:
        KeyFileError: If the store was written with another key.
    """
    stored = tr[hub.key(KEY_CHECK)]
    if not stored.present():
        tr[hub.key(KEY_CHECK)] = check_value
    elif bytes(stored) != check_value:
        raise KeyFileError(
            "the key is not the one that this store was written with; put back a copy of that one"
        )


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
