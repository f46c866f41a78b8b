# SPDX-License-Identifier: Apache-2.0
"""Declared subspaces: the key space as a typed table, so that no key is invented in passing.

Every room declares its subspaces at the top of its ``records.py``. A declaration says what stands where,
how the value is sealed and why; an undeclared or doubly declared key is an error at import time.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from enchanted.keyspace.model import Room


class Sealing(enum.Enum):
    """How a value is stored."""

    PLAIN = "plain"
    """Nothing that a person wrote: counters, leases, tips, hashes, stamps."""
    CONTENT = "content"
    """What people and agents wrote: sealed with the project's key."""
    SUBJECT = "subject"
    """About a person: sealed with that person's key."""


@dataclass(frozen=True, slots=True)
class Subspace:
    """One declared subspace of a room.

    Attributes:
        room: The room that owns it.
        code: Integer after the room's in every key; never reused.
        name: For people and for associated data.
        key: Names of the tuple's elements after the code, in order.
        value: Name of the stored message, or of the raw encoding.
        sealing: How values are stored.
        why: Why it exists, in one sentence; for plain ones also why plain is safe.
        hub: Whether it lies in the hub's space rather than a tenant's.
    """

    room: Room
    code: int
    name: str
    key: tuple[str, ...]
    value: str
    sealing: Sealing
    why: str
    hub: bool = False


@dataclass(slots=True)
class SubspaceTable:
    """All declared subspaces of a process."""

    declared: dict[tuple[Room, int, bool], Subspace] = field(default_factory=dict)

    def declare(self, subspace: Subspace) -> Subspace:
        """Register a declaration and return it.

        Raises:
            ValueError: If another subspace has the same place.
        """
        place = (subspace.room, subspace.code, subspace.hub)
        present = self.declared.setdefault(place, subspace)
        if present != subspace:
            raise ValueError("two subspaces are declared at one place", present, subspace)
        return subspace


TABLE = SubspaceTable()


def declare(
    room: Room,
    code: int,
    name: str,
    *,
    key: tuple[str, ...],
    value: str,
    sealing: Sealing,
    why: str,
    hub: bool = False,
) -> Subspace:
    """Declare a subspace in the process's table.

    Raises:
        ValueError: If another subspace has the same place.
    """
    return TABLE.declare(Subspace(room, code, name, key, value, sealing, why, hub))
