# SPDX-License-Identifier: Apache-2.0
"""Keyspace: FoundationDB and nothing else.

Opens the database by URL, hands out a tenant's space to an authenticated principal, runs transactions, seals
values, and offers the primitives that other rooms build on: declared subspaces, versionstamps, leases,
queues, idempotency records, chunked values, blobs and subscriptions.
"""

from enchanted.ids import derived_id, new_id
from enchanted.keyspace import chunks, idempotency, leases, queue, versionstamps
from enchanted.keyspace.blobs import BlobStore, FolderBlobStore
from enchanted.keyspace.database import open_database
from enchanted.keyspace.embedded.check import check as check_folder
from enchanted.keyspace.key_file import FileKeyRing
from enchanted.keyspace.key_file import load_or_create as load_or_create_key_ring
from enchanted.keyspace.leases import BeatObserver, Lease
from enchanted.keyspace.model import (
    JOB_SCOPES,
    LOCAL_TENANT,
    OWNER_SCOPES,
    KeyFileError,
    KeyspaceError,
    LeaseLostError,
    Principal,
    RequestReusedError,
    RetriesExhaustedError,
    Room,
    Scope,
    SealBrokenError,
    StaleIncarnationError,
    StoreDamagedError,
    StoreUnavailableError,
    TenantId,
    TenantUnavailableError,
)
from enchanted.keyspace.runner import Keyspace
from enchanted.keyspace.sealing import KeyRing
from enchanted.keyspace.space import HubSpace, KeyElement, KeyRange, Space, TenantSpace, Transaction
from enchanted.keyspace.subscriptions import TipWatcher
from enchanted.keyspace.subspaces import TABLE, Sealing, Subspace, declare

__all__ = [
    "JOB_SCOPES",
    "LOCAL_TENANT",
    "OWNER_SCOPES",
    "TABLE",
    "BeatObserver",
    "BlobStore",
    "FileKeyRing",
    "FolderBlobStore",
    "HubSpace",
    "KeyElement",
    "KeyFileError",
    "KeyRange",
    "KeyRing",
    "Keyspace",
    "KeyspaceError",
    "Lease",
    "LeaseLostError",
    "Principal",
    "RequestReusedError",
    "RetriesExhaustedError",
    "Room",
    "Scope",
    "SealBrokenError",
    "Sealing",
    "Space",
    "StaleIncarnationError",
    "StoreDamagedError",
    "StoreUnavailableError",
    "Subspace",
    "TenantId",
    "TenantSpace",
    "TenantUnavailableError",
    "TipWatcher",
    "Transaction",
    "check_folder",
    "chunks",
    "declare",
    "derived_id",
    "idempotency",
    "leases",
    "load_or_create_key_ring",
    "new_id",
    "open_database",
    "queue",
    "versionstamps",
]
