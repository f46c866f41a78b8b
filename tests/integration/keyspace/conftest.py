# SPDX-License-Identifier: Apache-2.0
"""A keyspace on the embedded engine in memory, and a tenant's space in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enchanted.keyspace import (
    LOCAL_TENANT,
    OWNER_SCOPES,
    FileKeyRing,
    FolderBlobStore,
    Keyspace,
    Principal,
    Room,
    Sealing,
    Subspace,
    TenantSpace,
    open_database,
)

LOCAL = Principal(LOCAL_TENANT, "a person", OWNER_SCOPES)
VALUES = Subspace(Room.BOARD, 900, "values", ("name",), "bytes", Sealing.PLAIN, "A test's own.")
WORDS = Subspace(Room.BOARD, 901, "words", ("name",), "bytes", Sealing.CONTENT, "A test's own.")
LOG = Subspace(Room.BOARD, 902, "log", ("incarnation", "stamp"), "bytes", Sealing.PLAIN, "A test's own.")


@pytest.fixture
async def keyspace(tmp_path: Path) -> AsyncIterator[Keyspace]:
    opened = Keyspace(
        open_database("embedded:"), FileKeyRing(bytes(32)), FolderBlobStore(tmp_path / "blobs"), os.urandom
    )
    yield opened
    await opened.close()


@pytest.fixture
async def space(keyspace: Keyspace) -> TenantSpace:
    return await keyspace.space(LOCAL)
