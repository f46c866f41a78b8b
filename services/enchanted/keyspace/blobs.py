# SPDX-License-Identifier: Apache-2.0
"""Blobs: what is too large for the keyspace, by the hash of its sealed bytes.

A blob is written before the transaction that names it, so a name never points to nothing; one that no
record names is garbage and is swept later.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final, Protocol

from enchanted.keyspace.model import TenantId

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class BlobStore(Protocol):
    """Where blobs are kept: a folder on one machine, S3 past it."""

    def put(self, tenant: TenantId, sealed: bytes) -> str:
        """Keep a blob and return its name, the SHA-256 of its bytes in hexadecimal; durable on return."""

    def get(self, tenant: TenantId, name: str) -> bytes:
        """The blob; raises ``KeyError`` if it is absent and ``ValueError`` if its bytes were changed."""


class FolderBlobStore:
    """Blobs as files ``<folder>/<tenant>/<first two digits>/<name>``, written by rename after fsync."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, tenant: TenantId, sealed: bytes) -> str:
        """Keep a blob; the same bytes again cost one look."""
        name = hashlib.sha256(sealed).hexdigest()
        path = self._path(tenant, name)
        if path.exists():
            return name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(sealed)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        for folder in (path.parent, path.parent.parent):
            _sync_folder(folder)
        return name

    def get(self, tenant: TenantId, name: str) -> bytes:
        """The blob, checked against its name."""
        try:
            sealed = self._path(tenant, name).read_bytes()
        except FileNotFoundError as error:
            raise KeyError(name) from error
        if hashlib.sha256(sealed).hexdigest() != name:
            raise ValueError("a blob's bytes do not match its name", name)
        return sealed

    def _path(self, tenant: TenantId, name: str) -> Path:
        if not _NAME.fullmatch(name) or not _TENANT.fullmatch(tenant):
            raise ValueError("not the name of a blob", tenant, name)
        return self._folder / tenant / name[:2] / name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
