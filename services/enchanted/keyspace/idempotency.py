# SPDX-License-Identifier: Apache-2.0
"""Idempotency records: the same request twice changes things once.

A client that lost the answer, and a transaction whose commit is unknown (FoundationDB's error 1021), both
run again. The record is written in the transaction of the effect, so it is there exactly if the effect is.
"""

from __future__ import annotations

import hashlib
from typing import Final

import fdb

from enchanted.generated.keyspace.store.v1 import records_pb2 as store
from enchanted.keyspace.model import RequestReusedError
from enchanted.keyspace.records import REQUEST, REQUEST_EXPIRY
from enchanted.keyspace.space import TenantSpace

KEPT_SECONDS: Final = 7 * 24 * 3600


def fingerprint(content: bytes) -> bytes:
    """What tells one request from another with the same id."""
    return hashlib.sha256(content).digest()


def earlier_result(tr: fdb.Transaction, space: TenantSpace, request_id: str, content: bytes) -> bytes | None:
    """What this request answered before, or ``None`` if it is new. Transactional.

    Raises:
        RequestReusedError: If the id came before with another content.
    """
    stored = tr[space.key(REQUEST, request_id)]
    if not stored.present():
        return None
    record = store.IdempotencyRecord.FromString(bytes(stored))
    if record.fingerprint != fingerprint(content):
        raise RequestReusedError(request_id)
    return record.result


def remember(
    tr: fdb.Transaction, space: TenantSpace, request_id: str, content: bytes, result: bytes, now_us: int
) -> None:
    """Keep the answer for seven days. Transactional, in the transaction of the effect."""
    record = store.IdempotencyRecord(
        fingerprint=fingerprint(content), result=result, expires_time_us=now_us + KEPT_SECONDS * 1_000_000
    )
    tr[space.key(REQUEST, request_id)] = record.SerializeToString()
    tr[space.key(REQUEST_EXPIRY, record.expires_time_us, request_id)] = b""


def forget_expired(tr: fdb.Transaction, space: TenantSpace, now_us: int, *, limit: int) -> int:
    """Remove records past their time, at most ``limit``; how many there were. Transactional."""
    keys = space.range(REQUEST_EXPIRY)
    expired = list(tr.get_range(keys.begin, space.key(REQUEST_EXPIRY, now_us), limit=limit))
    for pair in expired:
        _, request_id = space.elements(REQUEST_EXPIRY, pair.key)
        tr.clear(space.key(REQUEST, request_id))
        tr.clear(pair.key)
    return len(expired)
