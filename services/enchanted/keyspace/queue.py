# SPDX-License-Identifier: Apache-2.0
"""The upper level of two-level queues: which tenants have work, without scanning tenants.

Items stand in the tenant's own space, in a subspace of the room that owns the queue; here stands one pointer
per tenant with work. A worker picks a bucket at random, so that many workers do not contend.
"""

from __future__ import annotations

import zlib
from typing import Final

import fdb

from enchanted.keyspace.model import TenantId
from enchanted.keyspace.records import READY
from enchanted.keyspace.space import HubSpace, TenantSpace

BUCKETS: Final = 16


def point(tr: fdb.Transaction, space: TenantSpace, queue: str) -> None:
    """Say that the tenant has work in a queue. Transactional and blind: it conflicts with nothing."""
    tr[space.hub.key(READY, queue, _bucket(space.tenant), space.tenant)] = b""


def unpoint(tr: fdb.Transaction, space: TenantSpace, queue: str) -> None:
    """Say that the tenant has no more work; call it where the tenant's items were read in ``tr``."""
    tr.clear(space.hub.key(READY, queue, _bucket(space.tenant), space.tenant))


def tenants_with_work(
    tr: fdb.Transaction, hub: HubSpace, queue: str, bucket: int, *, limit: int
) -> list[TenantId]:
    """At most ``limit`` tenants of a bucket that have work. By snapshot: a hint, conflicts with nothing."""
    keys = hub.range(READY, queue, bucket)
    found = tr.snapshot.get_range(keys.begin, keys.end, limit=limit)
    return [TenantId(str(hub.elements(READY, pair.key)[2])) for pair in found]


def _bucket(tenant: TenantId) -> int:
    return zlib.crc32(tenant.encode()) % BUCKETS
