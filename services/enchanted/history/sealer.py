# SPDX-License-Identifier: Apache-2.0
"""The sealer: makes one ordered, signed tree of what many writers appended without waiting for each other.

Were the tree grown in the transaction of each effect, all effects of a project would contend for its root.
So events are appended blindly, and one fenced holder a log extends the tree afterwards, in small transactions
that each leave a complete tree and its checkpoint: a sealer that dies between any two of them loses nothing,
and the next one goes on where the tree ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

import structlog

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.history import merkle, records
from enchanted.history.checkpoints import CheckpointSigner, CheckpointVerifier
from enchanted.history.model import (
    CheckpointError,
    CheckpointNotFoundError,
    HistoryError,
    LogNotFoundError,
    Place,
    Selection,
    StoredRow,
    TreeBrokenError,
    grow,
)
from enchanted.keyspace import (
    BeatObserver,
    Keyspace,
    KeyspaceError,
    Lease,
    LeaseLostError,
    Principal,
    TenantSpace,
    TipWatcher,
    Transaction,
    leases,
)

BATCH_LEAVES_MAX: Final = 200
TERM_SECONDS: Final = 10
RETRY_SECONDS: Final = 1.0
_BATCH_BYTES_MAX: Final = 2 << 20
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SealStep:
    """What one sealing transaction did: the tree after it, and whether nothing was left to seal."""

    head: store.TreeHead
    caught_up: bool


class Sealer:
    """Seals the logs of some tenants while it runs, and any one log at once on request.

    Attributes:
        signer: Signs the checkpoints; its public half verifies them.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        watcher: TipWatcher,
        principals: Sequence[Principal],
        signer: CheckpointSigner,
        *,
        holder: str,
        now_us: Callable[[], int],
        monotonic_seconds: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Give the sealer its parts.

        Args:
            keyspace: The database.
            watcher: Tells when a tenant has unsealed events.
            principals: The tenants that :meth:`run` serves, each by a principal of its own.
            signer: Signs the checkpoints.
            holder: Names this sealer in leases. A platform that is the only owner of its folder passes the
                same name after each start and so goes on at once; elsewhere it is unique to the process, and
                another sealer's lease is taken over after its term.
            now_us: UTC microseconds.
            monotonic_seconds: A clock that never goes back.
            sleep: Waits some seconds.
        """
        self.signer = signer
        self._keyspace = keyspace
        self._watcher = watcher
        self._principals = tuple(principals)
        self._holder = holder
        self._now_us = now_us
        self._observer = BeatObserver(monotonic_seconds)
        self._sleep = sleep
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def run(self) -> None:
        """Seal what becomes dirty, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for principal in self._principals:
                group.create_task(self._serve(principal))

    async def seal_now(self, space: TenantSpace, log: str) -> store.TreeHead:
        """Seal all events that the log has now, and return the tree head that covers them.

        Raises:
            LogNotFoundError: If nothing was ever recorded there.
            TreeBrokenError: If the stored tree is not what its newest checkpoint says.
        """
        newest = await self._keyspace.run(space, records.last_place, log)
        if newest is None:
            raise LogNotFoundError(log)
        while True:
            head = await self._seal(space, log)
            if head is not None:
                return head
            # Another process holds the lease: it may have sealed them, or have died with it.
            head = await self._keyspace.run(space, records.read_head, log)
            if head is not None and Place.of(head) >= newest:
                return head
            await self._sleep(RETRY_SECONDS)

    async def _serve(self, principal: Principal) -> None:
        while True:
            try:
                space = await self._keyspace.space(principal)
                work = await self._keyspace.run(space, records.read_dirty_logs)
                complete = [await self._seal_dirty(space, log) for log in work.logs]
                timeout = {} if all(complete) else {"timeout_seconds": RETRY_SECONDS}
                await self._watcher.wait(space, records.DIRTY_TIP, (), work.tip, **timeout)
            except KeyspaceError as error:
                _log.warning("sealing is interrupted and will be tried again", exc_info=error)
                await self._sleep(RETRY_SECONDS)

    async def _seal_dirty(self, space: TenantSpace, log: str) -> bool:
        """Whether there is nothing to come back for before something new is recorded."""
        try:
            return await self._seal(space, log) is not None
        except HistoryError as error:
            # Nothing is built on a tree that was tampered with; the tenant's other logs go on.
            _log.error("a log cannot be sealed", log=log, exc_info=error)
            return True

    async def _seal(self, space: TenantSpace, log: str) -> store.TreeHead | None:
        """Seal a log until it is caught up; ``None`` if another holder has its lease."""
        lock = self._locks.setdefault((space.tenant, log), asyncio.Lock())
        async with lock:
            run = self._keyspace.run
            name = f"sealer/{log}"
            lease = await run(space, leases.acquire, name, self._holder, TERM_SECONDS, self._observer)
            if lease is None:
                return None
            try:
                while True:
                    step = await run(space, seal_batch, lease, log, self._now_us(), self.signer)
                    if step.caught_up and await run(space, settle, lease, log):
                        return step.head
            except LeaseLostError:
                return None


def seal_batch(
    tr: Transaction, space: TenantSpace, lease: Lease, log: str, now_us: int, signer: CheckpointSigner
) -> SealStep:
    """Extend the tree by the next events, at most 200, and sign the new head. Transactional, under the lease.

    Events are read by snapshot: all commits up to the transaction's read version are visible to it, and every
    later one gets a greater versionstamp, so what it reads is final and nothing can come in between.

    Args:
        tr: A transaction of its own.
        space: The tenant's space.
        lease: The sealer's, on this log.
        log: The project's id.
        now_us: The sealer's clock, in UTC microseconds.
        signer: Signs the checkpoint.

    Raises:
        LeaseLostError: If another sealer took over.
        TreeBrokenError: If the stored tree is not what the newest checkpoint says; nothing is signed then.
    """
    leases.beat(tr, space, lease)
    head = _trusted_head(tr, space, log, signer.verifier(space.tenant, log))
    after = Place.of(head) if head.size else None
    batch: list[StoredRow] = []
    size_bytes, caught_up = 0, True
    for row in records.rows(tr, space, Selection(log), after):
        if len(batch) == BATCH_LEAVES_MAX or size_bytes > _BATCH_BYTES_MAX:
            caught_up = False
            break
        batch.append(row)
        size_bytes += len(row.value)
    if not batch:
        return SealStep(head, caught_up)
    growth = grow(head, batch, now_us)
    note = signer.sign(space.tenant, log, growth.head.size, growth.head.root_sha256)
    records.write_growth(tr, space, log, growth, head.size, note)
    return SealStep(growth.head, caught_up)


def settle(tr: Transaction, space: TenantSpace, lease: Lease, log: str) -> bool:
    """End sealing for now: take the log out of the dirty set and release the lease. Transactional.

    Returns:
        False, with nothing done, if events came in since the last batch.

    Raises:
        LeaseLostError: If another sealer took over.
    """
    if not records.clear_dirty(tr, space, log):
        return False
    leases.release(tr, space, lease)
    return True


def _trusted_head(
    tr: Transaction, space: TenantSpace, log: str, verifier: CheckpointVerifier
) -> store.TreeHead:
    """The tree head if the newest checkpoint confirms it; an empty one before the first.

    A log must never sign two heads that contradict each other, so a head that was removed, rolled back or
    changed is not built upon.
    """
    head = records.read_head(tr, space, log)
    try:
        size, checkpoint = records.read_checkpoint(tr, space, log, 0)
    except CheckpointNotFoundError as error:
        if head is not None:
            raise TreeBrokenError(log) from error
        return store.TreeHead()
    if head is None:
        raise TreeBrokenError(log)
    try:
        signed = verifier.open(checkpoint.note)
        root = merkle.Frontier(head.size, tuple(head.frontier)).root()
    except (CheckpointError, ValueError) as error:
        raise TreeBrokenError(log) from error
    confirmed = (size, head.size, head.root_sha256, root) == (
        signed.size,
        signed.size,
        signed.root,
        signed.root,
    )
    if not confirmed or not _ends_with_last_leaf(tr, space, log, head):
        raise TreeBrokenError(log)
    return head


def _ends_with_last_leaf(tr: Transaction, space: TenantSpace, log: str, head: store.TreeHead) -> bool:
    """Whether the head's place and time are those of its last leaf, which its root must contain.

    The checkpoint does not sign them; a head that was moved back would have events sealed twice.
    """
    encoded = records.read_leaf(tr, space, log, head.size - 1)
    proof = records.read_inclusion_proof(tr, space, log, head.size - 1, head.size)
    hashed = merkle.leaf_hash(encoded)
    if not merkle.verify_inclusion(hashed, head.size - 1, head.size, proof, head.root_sha256):
        return False
    leaf = store.Leaf.FromString(encoded)
    return (Place.of(leaf), leaf.sealed_time_us) == (Place.of(head), head.sealed_time_us)
