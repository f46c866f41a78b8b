# SPDX-License-Identifier: Apache-2.0
"""A served keyspace in memory, with one project, for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enchanted import identity
from enchanted.keyspace import FileKeyRing, FolderBlobStore, Keyspace, TipWatcher, open_database
from tests.integration.jobs.hub import FILES, OWNER, Clock, Hub


@pytest.fixture
async def keyspace(tmp_path: Path) -> AsyncIterator[Keyspace]:
    opened = Keyspace(
        open_database("embedded:"), FileKeyRing(bytes(32)), FolderBlobStore(tmp_path / "blobs"), os.urandom
    )
    yield opened
    await opened.close()


@pytest.fixture
async def hub(keyspace: Keyspace) -> Hub:
    clock = Clock()
    space = await keyspace.space(OWNER)
    key = Ed25519PrivateKey.generate()
    served = Hub(
        keyspace,
        space,
        clock,
        identity.TokenSigner(key, "hub", clock.now_us, os.urandom),
        identity.TokenVerifier(key.public_key(), "hub", clock.now_us),
        TipWatcher(keyspace),
    )
    served.project_id = await served.import_project(FILES)
    return served
