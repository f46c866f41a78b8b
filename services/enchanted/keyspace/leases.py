# SPDX-License-Identifier: Apache-2.0
"""Leases: who may act, with a fencing token, and without trusting anyone's clock.

A lease is two records. ``owner`` changes on acquire, steal and release, and is what effects read: an effect
under a lost lease conflicts and fails. ``beat`` is what heartbeats write and effects never read, so that a
heartbeat disturbs nothing. Whoever wants to steal must have seen one and the same beat for a full term on its
own monotonic clock (:class:`BeatObserver`); clocks of different machines are never compared.

Fencing tokens: M. Kleppmann, "How to do distributed locking", 2016; C. Gray and D. Cheriton, "Leases", 1989.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import fdb

from enchanted.generated.keyspace.store.v1 import records_pb2 as store
from enchanted.keyspace.model import LeaseLostError
from enchanted.keyspace.records import LEASE_BEAT, LEASE_OWNER
from enchanted.keyspace.space import TenantSpace

_ONE = (1).to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act on ``name`` until someone with a greater ``fencing_token`` has it."""

    name: str
    holder: str
    fencing_token: int
    term_seconds: int


@dataclass(slots=True)
class BeatObserver:
    """Remembers when this process first saw each lease's present beat.

    Attributes:
        monotonic_seconds: This process's own clock, which never goes back.
    """

    monotonic_seconds: Callable[[], float]
    _seen: dict[tuple[bytes, str], tuple[bytes, float]] = field(default_factory=dict)

    def silent_for_seconds(self, space: TenantSpace, name: str, beat: bytes) -> float:
        """Note the beat, and say for how long it has been this one as far as this process saw."""
        now = self.monotonic_seconds()
        place = (space.prefix, name)
        seen = self._seen.get(place)
        if seen is None or seen[0] != beat:
            self._seen[place] = (beat, now)
            return 0.0
        return now - seen[1]

    def forget(self, space: TenantSpace, name: str) -> None:
        """Drop what is remembered of a lease that was taken or released."""
        self._seen.pop((space.prefix, name), None)


def acquire(
    tr: fdb.Transaction, space: TenantSpace, name: str, holder: str, term_seconds: int, observer: BeatObserver
) -> Lease | None:
    """Take a lease that is free, or whose holder was silent for its term; else ``None``.

    Transactional; a holder that asks again gets its own lease back. The fencing token grows with each taking.
    """
    owner_key = space.key(LEASE_OWNER, name)
    stored = tr[owner_key]
    beat = tr.snapshot[space.key(LEASE_BEAT, name)]
    owner = store.LeaseOwner.FromString(bytes(stored)) if stored.present() else store.LeaseOwner()
    if owner.holder == holder:
        return Lease(name, holder, owner.fencing_token, owner.term_seconds)
    if owner.holder:
        beat_bytes = bytes(beat) if beat.present() else b""
        identity = owner.fencing_token.to_bytes(8, "big") + beat_bytes
        if observer.silent_for_seconds(space, name, identity) < owner.term_seconds:
            return None
    taken = store.LeaseOwner(holder=holder, fencing_token=owner.fencing_token + 1, term_seconds=term_seconds)
    tr[owner_key] = taken.SerializeToString()
    tr.add(space.key(LEASE_BEAT, name), _ONE)
    return Lease(name, holder, taken.fencing_token, term_seconds)


def check(tr: fdb.Transaction, space: TenantSpace, lease: Lease) -> None:
    """Make sure, with a conflict, that the lease is still this one. Call it in every effect's transaction.

    Raises:
        LeaseLostError: If it was stolen or released.
    """
    stored = tr[space.key(LEASE_OWNER, lease.name)]
    owner = store.LeaseOwner.FromString(bytes(stored)) if stored.present() else store.LeaseOwner()
    if (owner.holder, owner.fencing_token) != (lease.holder, lease.fencing_token):
        raise LeaseLostError(lease.name, lease.holder)


def beat(tr: fdb.Transaction, space: TenantSpace, lease: Lease) -> None:
    """Say that the holder lives. Transactional; conflicts with nothing but a change of owner.

    Raises:
        LeaseLostError: If the lease was stolen or released.
    """
    check(tr, space, lease)
    tr.add(space.key(LEASE_BEAT, lease.name), _ONE)


def release(tr: fdb.Transaction, space: TenantSpace, lease: Lease) -> None:
    """Give the lease up; its fencing token stays, so that the next holder's is greater. Transactional.

    Raises:
        LeaseLostError: If it was lost before.
    """
    check(tr, space, lease)
    free = store.LeaseOwner(fencing_token=lease.fencing_token)
    tr[space.key(LEASE_OWNER, lease.name)] = free.SerializeToString()
