# SPDX-License-Identifier: Apache-2.0
"""Blobs come back as they were, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from enchanted.keyspace import FolderBlobStore, TenantId

ACME = TenantId("acme")


@pytest.mark.feature("K-01")
def test_a_blob_is_found_by_the_hash_of_its_bytes(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)
    name = store.put(ACME, b"sealed bytes")
    assert name == hashlib.sha256(b"sealed bytes").hexdigest()
    assert store.get(ACME, name) == b"sealed bytes"


@pytest.mark.feature("K-01")
def test_one_tenant_does_not_see_anothers_blob(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)
    name = store.put(ACME, b"sealed bytes")
    with pytest.raises(KeyError):
        store.get(TenantId("other"), name)


@pytest.mark.feature("K-01")
def test_a_changed_blob_is_refused(tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path)
    name = store.put(ACME, b"sealed bytes")
    next(tmp_path.rglob(name)).write_bytes(b"sealed Bytes")
    with pytest.raises(ValueError, match="do not match"):
        store.get(ACME, name)


@pytest.mark.feature("K-01")
@pytest.mark.parametrize("name", ["../../../etc/passwd", "", "a" * 63, "A" * 64])
def test_a_name_that_is_no_hash_never_reaches_the_file_system(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a blob"):
        FolderBlobStore(tmp_path).get(ACME, name)
