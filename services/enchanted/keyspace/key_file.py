# SPDX-License-Identifier: Apache-2.0
"""The key ring of one machine: a root key in a file that only its owner can read.

Every other key is derived from the root by HKDF-SHA-256 (RFC 5869), so one file of a few bytes is all that
must be kept beside the data. Identity's ring, whose keys can be destroyed one by one, takes its place in a
service of many tenants; the id in every sealed value tells which key sealed it.

File: one line ``enchanted-root-key-1 <64 hexadecimal digits> <8 hexadecimal digits of its SHA-256>``.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from enchanted.keyspace.model import KeyFileError, TenantId
from enchanted.keyspace.sealing import KEY_BYTES, KEY_ID_BYTES, SealingKey

CHECK_VALUE_BYTES: Final = 16
_MAGIC: Final = "enchanted-root-key-1"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class FileKeyRing:
    """Keys derived from one root key. Safe to use from many threads."""

    def __init__(self, root: bytes) -> None:
        if len(root) != KEY_BYTES:
            raise KeyFileError("the root key must have 32 bytes")
        self._root = root
        self._content_key = functools.lru_cache(maxsize=4096)(self._derive_content_key)

    def content_key(self, tenant: TenantId, scope: str) -> SealingKey:
        """Key for values of a project of the tenant."""
        return self._content_key(tenant, scope)

    def content_key_by_id(self, tenant: TenantId, scope: str, key_id: bytes) -> SealingKey:
        """The same key, if the id is its own; raises ``KeyError`` otherwise."""
        key = self._content_key(tenant, scope)
        if key.key_id != key_id:
            raise KeyError(key_id)
        return key

    def search_key(self, tenant: TenantId) -> bytes:
        """Secret under which the tenant's names and paths become index keys."""
        return self._derive("search", tenant)

    def check_value(self) -> bytes:
        """Stands for the root key in a store that it seals."""
        return self._derive("check")[:CHECK_VALUE_BYTES]

    def signing_key(self, purpose: str) -> Ed25519PrivateKey:
        """Ed25519 key of the hub for one purpose, such as ``checkpoint`` or ``token``."""
        return Ed25519PrivateKey.from_private_bytes(self._derive("sign", purpose))

    def _derive_content_key(self, tenant: TenantId, scope: str) -> SealingKey:
        secret = self._derive("content", tenant, scope)
        return SealingKey(hashlib.sha256(b"key-id" + secret).digest()[:KEY_ID_BYTES], secret)

    def _derive(self, *path: str) -> bytes:
        encoded = [part.encode() for part in ("enchanted-1", *path)]
        info = b"".join(len(part).to_bytes(2, "big") + part for part in encoded)
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._root)


def load_or_create(
    path: Path, random_bytes: Callable[[int], bytes], *, may_create: bool = True
) -> FileKeyRing:
    """Read the root key, or make it with mode 0600 and make sure it is on disk before anything is sealed.

    Args:
        path: The key file.
        random_bytes: Cryptographic randomness.
        may_create: Whether a new key may be made: not where something was sealed with the missing one.

    Raises:
        KeyFileError: If the file is missing, damaged, or others can read it; the text says what to do.
    """
    if may_create and not path.exists():
        _create(path, random_bytes(KEY_BYTES))
    return load(path)


def load(path: Path) -> FileKeyRing:
    """Read the root key.

    Raises:
        KeyFileError: If the file is missing, damaged, or readable by others; the text says what to do.
    """
    try:
        if not path.exists():
            raise KeyFileError(f"the key file {path} is missing; put back a copy of it")
        mode = path.stat().st_mode
        words = path.read_text("ascii").split()
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeyFileError(f"the key file {path} is damaged; put back a copy of it") from error
    if mode & _OTHERS:
        raise KeyFileError(f"the key file {path} can be read by others; run: chmod 600 {path}")
    match words:
        case [magic, digits, checksum] if magic == _MAGIC and checksum == _checksum(digits):
            return FileKeyRing(bytes.fromhex(digits))
        case _:
            raise KeyFileError(f"the key file {path} is damaged; put back a copy of it")


def _checksum(digits: str) -> str:
    return hashlib.sha256(digits.encode()).hexdigest()[:8]


def _create(path: Path, root: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    digits = root.hex()
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{_MAGIC} {digits} {_checksum(digits)}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
