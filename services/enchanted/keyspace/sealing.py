# SPDX-License-Identifier: Apache-2.0
"""Sealing of stored values, so that a copied disk, backup or export is not a leak.

A value is compressed when that helps, then encrypted with AES-256-GCM (NIST SP 800-38D) under a random
96-bit nonce. Tenant, room, subspace and the record's id are associated data: a sealed value that is moved
to another place does not open there.

Layout of a sealed value: ``version(1) flags(1) key_id(8) nonce(12) ciphertext+tag``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enchanted.keyspace.model import SealBrokenError, TenantId
from enchanted.keyspace.subspaces import Subspace

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
NONCE_BYTES: Final = 12
FORMAT_VERSION: Final = 1
FLAG_DEFLATE: Final = 1
_HEADER_BYTES: Final = 2 + KEY_ID_BYTES + NONCE_BYTES
_OPENED_BYTES_MAX: Final = 1 << 30
_DEFLATE_LEVEL: Final = 6


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A symmetric key and the id by which sealed values name it."""

    key_id: bytes
    secret: bytes


class KeyRing(Protocol):
    """Where sealing keys come from: a key file on one machine, identity's wrapped keys later."""

    def content_key(self, tenant: TenantId, scope: str) -> SealingKey:
        """Key for new values of a project (or another scope of the tenant)."""

    def content_key_by_id(self, tenant: TenantId, scope: str, key_id: bytes) -> SealingKey:
        """Key that sealed an existing value; raises ``KeyError`` when it was destroyed."""

    def search_key(self, tenant: TenantId) -> bytes:
        """Secret under which names and paths become index keys."""

    def check_value(self) -> bytes:
        """Tells this ring from another, so that a store can refuse the wrong one; no key follows."""


def associated_data(tenant: TenantId, subspace: Subspace, record_id: str) -> bytes:
    """Bind a sealed value to its place; length-prefixed, so that no two places share an encoding."""
    fields = (tenant, str(int(subspace.room)), str(subspace.code), record_id)
    encoded = [text.encode() for text in fields]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def seal(key: SealingKey, plain: bytes, bound_to: bytes, random_bytes: Callable[[int], bytes]) -> bytes:
    """Compress and encrypt ``plain``.

    Args:
        key: The sealing key.
        plain: Any bytes.
        bound_to: Associated data; the same is needed to open.
        random_bytes: Cryptographic randomness.
    """
    deflated = zlib.compress(plain, _DEFLATE_LEVEL)
    smaller = len(deflated) < len(plain)
    flags = FLAG_DEFLATE if smaller else 0
    header = bytes((FORMAT_VERSION, flags)) + key.key_id
    nonce = random_bytes(NONCE_BYTES)
    body = AESGCM(key.secret).encrypt(nonce, deflated if smaller else plain, header + bound_to)
    return header + nonce + body


def key_id_of(sealed: bytes) -> bytes:
    """Id of the key that sealed a value."""
    return sealed[2 : 2 + KEY_ID_BYTES]


def unseal(key: SealingKey, sealed: bytes, bound_to: bytes) -> bytes:
    """Decrypt and decompress what :func:`seal` made.

    Raises:
        ValueError: If the value was changed, or sealed with another key or for another place.
    """
    if len(sealed) < _HEADER_BYTES or sealed[0] != FORMAT_VERSION or key_id_of(sealed) != key.key_id:
        raise ValueError("not a sealed value of this key")
    header = sealed[: 2 + KEY_ID_BYTES]
    nonce = sealed[2 + KEY_ID_BYTES : _HEADER_BYTES]
    try:
        body = AESGCM(key.secret).decrypt(nonce, sealed[_HEADER_BYTES:], header + bound_to)
    except InvalidTag as error:
        raise ValueError("the value does not authenticate") from error
    if not sealed[1] & FLAG_DEFLATE:
        return body
    inflater = zlib.decompressobj()
    plain = inflater.decompress(body, _OPENED_BYTES_MAX)
    if inflater.unconsumed_tail or not inflater.eof:
        raise ValueError("the value does not decompress")
    return plain


def open_sealed(
    ring: KeyRing, tenant: TenantId, scope: str, sealed: bytes, place: tuple[Subspace, str]
) -> bytes:
    """Open a sealed value with whichever key of the scope sealed it.

    Raises:
        SealBrokenError: If it does not open.
    """
    subspace, record_id = place
    try:
        key = ring.content_key_by_id(tenant, scope, key_id_of(sealed))
        return unseal(key, sealed, associated_data(tenant, subspace, record_id))
    except (KeyError, ValueError, zlib.error) as error:
        raise SealBrokenError(subspace.name, record_id) from error
