# SPDX-License-Identifier: Apache-2.0
"""A fresh history for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enchanted.keyspace import FileKeyRing, FolderBlobStore, Keyspace, open_database
from tests.integration.history.flight import OWNER, Flight


@pytest.fixture
async def flight(tmp_path: Path) -> AsyncIterator[Flight]:
    keyspace = Keyspace(
        open_database("embedded:"), FileKeyRing(bytes(32)), FolderBlobStore(tmp_path / "blobs"), os.urandom
    )
    yield Flight(keyspace, await keyspace.space(OWNER))
    await keyspace.close()
