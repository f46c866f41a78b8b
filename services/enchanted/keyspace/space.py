# SPDX-License-Identifier: Apache-2.0
"""A tenant's space: the only way to a tenant's keys, and it can be had only from a principal.

Record functions take a space and never a tenant's id, so a function cannot be talked into another tenant.
Keys are ``prefix, room, subspace, …``; versionstamped ones carry the incarnation before the stamp, because
stamps order one cluster's commits only and a moved tenant starts a new count.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import fdb
import fdb.tuple

from enchanted.keyspace import sealing, versionstamps
from enchanted.keyspace.model import Principal, TenantId
from enchanted.keyspace.sealing import KeyRing
from enchanted.keyspace.subspaces import Sealing, Subspace

Transaction: TypeAlias = Any
"""A transaction of the binding, which has no annotations, and no such class before its version is chosen."""
KeyElement: TypeAlias = str | int | bytes | fdb.tuple.Versionstamp
_OFFSET_BYTES: Final = 4
_INDEX_KEY_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class KeyRange:
    """A half-open range of keys."""

    begin: bytes
    end: bytes


class Space:
    """Keys below one directory's prefix, by declared subspace."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix

    def key(self, subspace: Subspace, *elements: KeyElement) -> bytes:
        """Key of a record."""
        packed: bytes = fdb.tuple.pack((int(subspace.room), subspace.code, *elements), prefix=self._prefix)
        return packed

    def range(self, subspace: Subspace, *elements: KeyElement) -> KeyRange:
        """All keys that begin with these elements and have at least one more."""
        prefix = self.key(subspace, *elements)
        return KeyRange(prefix + b"\x00", prefix + b"\xff")

    def elements(self, subspace: Subspace, key: bytes) -> tuple[KeyElement, ...]:
        """The elements after room and subspace."""
        unpacked: tuple[KeyElement, ...] = fdb.tuple.unpack(key, prefix_len=len(self._prefix))
        assert unpacked[:2] == (int(subspace.room), subspace.code), "a key of another subspace"
        return unpacked[2:]


class HubSpace(Space):
    """Keys that belong to no tenant: pointers, indexes of public things. Never a tenant's content."""


class TenantSpace(Space):
    """One tenant's keys, sealing and incarnation. Made by ``Keyspace.space`` alone."""

    def __init__(
        self,
        principal: Principal,
        prefix: bytes,
        incarnation: int,
        hub: HubSpace,
        key_ring: KeyRing,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        super().__init__(prefix)
        self.principal = principal
        self.incarnation = incarnation
        self.hub = hub
        self.random_bytes = random_bytes
        self._key_ring = key_ring

    @property
    def tenant(self) -> TenantId:
        """The tenant, for what is shown or stored; never to build keys."""
        return self.principal.tenant

    @property
    def prefix(self) -> bytes:
        """Where all keys of the tenant begin; for export, erase and check."""
        return self._prefix

    def stamped_key(
        self, tr: fdb.Transaction, subspace: Subspace, *before: KeyElement, after: tuple[KeyElement, ...] = ()
    ) -> tuple[bytes, int]:
        """Key for ``tr.set_versionstamped_key``: ``before``, incarnation, this commit's stamp, ``after``.

        Returns:
            The key with its offset suffix, and the user version it will carry.
        """
        user_version = versionstamps.next_user_version(tr)
        return self.stamped_key_again(user_version, subspace, *before, after=after), user_version

    def stamped_key_again(
        self, user_version: int, subspace: Subspace, *before: KeyElement, after: tuple[KeyElement, ...] = ()
    ) -> bytes:
        """Key for ``tr.set_versionstamped_key`` with a stamp that another key of this transaction has too."""
        stamp = fdb.tuple.Versionstamp(user_version=user_version)
        elements = (int(subspace.room), subspace.code, *before, self.incarnation, stamp, *after)
        packed: bytes = fdb.tuple.pack_with_versionstamp(elements, prefix=self._prefix)
        return packed

    @staticmethod
    def stamped_value(user_version: int, before: bytes = b"", after: bytes = b"") -> bytes:
        """Value for ``tr.set_versionstamped_value``: ``before``, the 12-byte stamp, ``after``."""
        placeholder = b"\xff" * versionstamps.TRANSACTION_STAMP_BYTES + user_version.to_bytes(2, "big")
        return before + placeholder + after + len(before).to_bytes(_OFFSET_BYTES, "little")

    def seal(self, subspace: Subspace, scope: str, record_id: str, plain: bytes) -> bytes:
        """Seal a value for its place.

        Args:
            subspace: Where it will stand; must be declared as sealed content.
            scope: The project (or other key scope of the tenant).
            record_id: Id made by the caller; the same is needed to open.
            plain: Any bytes.
        """
        assert subspace.sealing is Sealing.CONTENT, "only declared content is sealed with a project's key"
        key = self._key_ring.content_key(self.tenant, scope)
        bound_to = sealing.associated_data(self.tenant, subspace, record_id)
        return sealing.seal(key, plain, bound_to, self.random_bytes)

    def unseal(self, subspace: Subspace, scope: str, record_id: str, sealed: bytes) -> bytes:
        """Open what :meth:`seal` made.

        Raises:
            SealBrokenError: If it was changed, moved, or its key is gone.
        """
        return sealing.open_sealed(self._key_ring, self.tenant, scope, sealed, (subspace, record_id))

    def index_key(self, purpose: str, text: str) -> bytes:
        """Stable 16-byte stand-in for a text that must be found but not read (HMAC-SHA-256)."""
        secret = self._key_ring.search_key(self.tenant)
        message = f"{purpose}\x00{text}".encode()
        return hmac.new(secret, message, hashlib.sha256).digest()[:_INDEX_KEY_BYTES]
