# SPDX-License-Identifier: Apache-2.0
"""Runs transactions for asyncio: one place for threads, retries and the tenant's fence.

A body is ``body(tr, space, *args)``. It may run several times and never loops on errors itself. Every
transaction of a tenant reads the tenant's header with a conflict, issued together with the body's own first
read, so that suspending, moving or erasing a tenant stops all its writers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Concatenate, Final, ParamSpec, TypeVar

import fdb

from enchanted.keyspace import database, versionstamps
from enchanted.keyspace.blobs import BlobStore
from enchanted.keyspace.model import Principal, RetriesExhaustedError, StoreDamagedError, TenantId
from enchanted.keyspace.records import HEADER, check_header, check_key_ring, open_header
from enchanted.keyspace.sealing import KeyRing
from enchanted.keyspace.space import HubSpace, Space, TenantSpace

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=Space)

THREADS: Final = 8
TRANSACTION_MILLISECONDS_MAX: Final = 15_000
ATTEMPTS_MAX: Final = 100
_TIMED_OUT: Final = 1031
_DAMAGE_CODES: Final = frozenset({1510, 1520, 1522})
"""FoundationDB's io_error, checksum_failed and file_corrupt."""
_PARTITION: Final = "enchanted"


class Keyspace:
    """An opened database with its threads, keys and blobs. One per process; safe from many tasks."""

    def __init__(
        self, db: fdb.Database, key_ring: KeyRing, blobs: BlobStore, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.db = db
        self.blobs = blobs
        self._key_ring = key_ring
        self._random_bytes = random_bytes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="keyspace")
        self._prefixes: dict[TenantId, bytes] = {}
        self._hub: HubSpace | None = None

    async def space(self, principal: Principal) -> TenantSpace:
        """The principal's own tenant, created on first use.

        Raises:
            TenantUnavailableError: If the tenant does not accept transactions.
            KeyFileError: If the store was written with another key.
        """
        return await self._in_thread(lambda: self._open_space(principal))

    async def hub(self) -> HubSpace:
        """The space of what belongs to no tenant.

        Raises:
            KeyFileError: If the store was written with another key.
        """
        return await self._in_thread(self._open_hub)

    async def run(
        self,
        space: S,
        body: Callable[Concatenate[fdb.Transaction, S, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``body`` in one transaction, in a thread, again after conflicts, and commit.

        Raises:
            RetriesExhaustedError: If it does not get through in its time.
            StoreDamagedError: If what it reads is damaged.
            TenantUnavailableError: If the tenant was closed meanwhile.
            StaleIncarnationError: If the tenant was moved meanwhile.
        """
        return await self._in_thread(
            lambda: self._transact(space, lambda tr: body(tr, space, *args, **kwargs))
        )

    def transact(
        self,
        space: S,
        body: Callable[Concatenate[fdb.Transaction, S, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As :meth:`run`, for code that has a thread of its own, such as Git over HTTP."""
        return self._transact(space, lambda tr: body(tr, space, *args, **kwargs))

    async def close(self) -> None:
        """Finish what runs, then release the database. Nothing may be called after."""
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(database.close_database, self.db)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _transact(self, space: Space, body: Callable[[fdb.Transaction], T]) -> T:
        tr = self.db.create_transaction()
        tr.options.set_timeout(TRANSACTION_MILLISECONDS_MAX)
        tr.options.set_retry_limit(ATTEMPTS_MAX)
        while True:
            versionstamps.restart_user_versions(tr)
            try:
                header = tr[space.key(HEADER)] if isinstance(space, TenantSpace) else None
                result = body(tr)
                if header is not None and isinstance(space, TenantSpace):
                    check_header(space, header)
                tr.commit().wait()
            except fdb.FDBError as error:
                _back_off(tr, error)
            else:
                return result

    def _open_hub(self) -> HubSpace:
        if self._hub is None:
            hub = HubSpace(self._prefix("hub"))
            self._transact(hub, lambda tr: check_key_ring(tr, hub, self._key_ring.check_value()))
            self._hub = hub
        return self._hub

    def _open_space(self, principal: Principal) -> TenantSpace:
        hub = self._open_hub()
        prefix = self._prefixes.get(principal.tenant)
        if prefix is None:
            prefix = self._prefixes[principal.tenant] = self._prefix("tenants", principal.tenant)

        def opened(incarnation: int) -> TenantSpace:
            return TenantSpace(principal, prefix, incarnation, hub, self._key_ring, self._random_bytes)

        # The header says which incarnation the handle is for, so it is read before there is a handle.
        header = self._transact(hub, lambda tr: open_header(tr, opened(0)))
        return opened(header.incarnation)

    def _prefix(self, *path: str) -> bytes:
        """Where a directory of ours begins, made on first use. The layer runs its own transaction."""
        try:
            partition = fdb.directory.create_or_open(self.db, (_PARTITION,), layer=b"partition")
            prefix: bytes = partition.create_or_open(self.db, path).key()
        except fdb.FDBError as error:
            raise _final(error) from error
        return prefix


def _back_off(tr: fdb.Transaction, error: fdb.FDBError) -> None:
    try:
        tr.on_error(error).wait()
    except fdb.FDBError as final:
        raise _final(final) from final


def _final(error: fdb.FDBError) -> Exception:
    """What an error that is not tried again means to other rooms."""
    if fdb.predicates.is_retryable(error) or error.code == _TIMED_OUT:
        return RetriesExhaustedError(error.code)
    return StoreDamagedError(error.code) if error.code in _DAMAGE_CODES else error
