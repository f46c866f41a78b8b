# SPDX-License-Identifier: Apache-2.0
"""Versionstamps: the order in which the database committed, as 12 bytes that sort.

Eight bytes commit version, two bytes order in the commit's batch, two bytes order inside the transaction
(the "user version"), all big-endian, as FoundationDB's tuple layer has it. One transaction often appends to
several logs through functions that know nothing of each other, so the user version is counted here, once
per transaction.
"""

from __future__ import annotations

import threading
from typing import Final
from weakref import WeakKeyDictionary

import fdb

TRANSACTION_STAMP_BYTES: Final = 10
_USER_VERSIONS_MAX: Final = 1 << 16

_counters: WeakKeyDictionary[fdb.Transaction, int] = WeakKeyDictionary()
_counters_lock = threading.Lock()


def next_user_version(tr: fdb.Transaction) -> int:
    """Count one more versionstamped write of this transaction.

    Raises:
        OverflowError: Past 65,536 writes, which no transaction of ours comes near.
    """
    with _counters_lock:
        number = _counters.get(tr, 0)
        if number >= _USER_VERSIONS_MAX:
            raise OverflowError("too many versionstamped writes in one transaction")
        _counters[tr] = number + 1
        return number


def restart_user_versions(tr: fdb.Transaction) -> None:
    """Begin to count anew, when a transaction's body runs again."""
    with _counters_lock:
        _counters.pop(tr, None)
