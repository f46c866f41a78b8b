# SPDX-License-Identifier: Apache-2.0
"""The options of transactions and databases, as data.

An option that is silently ignored, or that outlives the retry it should not, changes what a program does
without a word. Codes come from the binding's own ``fdboptions``; this module says what each value may be,
which survive ``on_error``, and what they mean to a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from enchanted.keyspace.embedded.errors import (
    INVALID_OPTION_VALUE,
    TAG_TOO_LONG,
    TOO_MANY_TAGS,
    FDBError,
)

CAUSAL_READ_RISKY: Final = 20
INCLUDE_PORT_IN_ADDRESS: Final = 23
NEXT_WRITE_NO_WRITE_CONFLICT_RANGE: Final = 30
READ_YOUR_WRITES_DISABLE: Final = 51
ACCESS_SYSTEM_KEYS: Final = 301
READ_SYSTEM_KEYS: Final = 302
TIMEOUT: Final = 500
RETRY_LIMIT: Final = 501
MAX_RETRY_DELAY: Final = 502
SIZE_LIMIT: Final = 503
SNAPSHOT_RYW_ENABLE: Final = 600
SNAPSHOT_RYW_DISABLE: Final = 601
USED_DURING_COMMIT_PROTECTION_DISABLE: Final = 701
SPECIAL_KEY_SPACE_RELAXED: Final = 713
SPECIAL_KEY_SPACE_ENABLE_WRITES: Final = 714
TAG: Final = 800
AUTO_THROTTLE_TAG: Final = 801
BYPASS_UNREADABLE: Final = 1100

DATABASE_MAX_WATCHES: Final = 20
# Options of a database that set an option of each transaction it makes.
DATABASE_TO_TRANSACTION: Final = {
    26: SNAPSHOT_RYW_ENABLE,
    27: SNAPSHOT_RYW_DISABLE,
    405: 405,
    500: TIMEOUT,
    501: RETRY_LIMIT,
    502: MAX_RETRY_DELAY,
    503: SIZE_LIMIT,
    504: CAUSAL_READ_RISKY,
    505: INCLUDE_PORT_IN_ADDRESS,
    506: 505,
    700: BYPASS_UNREADABLE,
    701: USED_DURING_COMMIT_PROTECTION_DISABLE,
    702: 712,
}
# Options that hold until the transaction is reset; all others must be set again after `on_error`.
PERSISTENT: Final = frozenset(
    {
        403,  # debug_transaction_identifier
        404,  # log_transaction
        405,  # transaction_logging_max_field_length
        406,  # server_request_tracing
        505,  # automatic_idempotency
        2000,  # authorization_token
        TIMEOUT,
        RETRY_LIMIT,
        MAX_RETRY_DELAY,
        SIZE_LIMIT,
        TAG,
        AUTO_THROTTLE_TAG,
    }
)

INT_MAX: Final = (1 << 31) - 1
TRANSACTION_BYTES_MAX: Final = 10_000_000
TRANSACTION_BYTES_MIN: Final = 32
RETRY_DELAY_SECONDS: Final = 1.0
MILLISECONDS: Final = 1000
TAGS_MAX: Final = 5
TAG_BYTES_MAX: Final = 16
INTEGER_BYTES: Final = 8


def integer(parameter: bytes | None, low: int, high: int) -> int:
    """Return an integer option's value, given as eight little-endian bytes.

    Raises:
        FDBError: 2006 when it is not one between ``low`` and ``high``.
    """
    if parameter is None or len(parameter) != INTEGER_BYTES:
        raise FDBError(INVALID_OPTION_VALUE)
    value = int.from_bytes(parameter, "little", signed=True)
    if not low <= value <= high:
        raise FDBError(INVALID_OPTION_VALUE)
    return value


@dataclass(slots=True)
class TransactionSettings:
    """What a transaction's options amount to.

    Attributes:
        timeout_seconds: From the transaction's creation or reset; 0 for none.
        retry_limit: How many retries ``on_error`` allows; -1 for any number.
        max_retry_delay_seconds: The most that ``on_error`` waits.
        size_limit_bytes: The most that a commit may hold.
        snapshot_ryw: Snapshot reads see own writes while this is positive.
    """

    timeout_seconds: float = 0.0
    retry_limit: int = -1
    max_retry_delay_seconds: float = RETRY_DELAY_SECONDS
    size_limit_bytes: int = TRANSACTION_BYTES_MAX
    snapshot_ryw: int = 1
    read_your_writes: bool = True
    read_system_keys: bool = False
    write_system_keys: bool = False
    bypass_unreadable: bool = False
    commit_protection: bool = True
    next_write_without_conflict: bool = False
    special_keys_relaxed: bool = False
    special_keys_writes: bool = False
    tags: set[bytes] = field(default_factory=set)

    def set(self, code: int, parameter: bytes | None) -> None:
        """Apply one option; codes without a meaning for an embedded engine are accepted and do nothing.

        Raises:
            FDBError: 2006 for a value out of range, 2109 and 2110 for tags.
        """
        action = _SETTERS.get(code)
        if action is not None:
            action(self, parameter)

    def take_write_conflict(self) -> bool:
        """Tell whether the next write makes a conflict range; asked once a write."""
        conflict = not self.next_write_without_conflict
        self.next_write_without_conflict = False
        return conflict


def _timeout(settings: TransactionSettings, parameter: bytes | None) -> None:
    settings.timeout_seconds = integer(parameter, 0, INT_MAX) / MILLISECONDS


def _retry_limit(settings: TransactionSettings, parameter: bytes | None) -> None:
    settings.retry_limit = integer(parameter, -1, INT_MAX)


def _max_retry_delay(settings: TransactionSettings, parameter: bytes | None) -> None:
    settings.max_retry_delay_seconds = integer(parameter, 0, INT_MAX) / MILLISECONDS


def _size_limit(settings: TransactionSettings, parameter: bytes | None) -> None:
    settings.size_limit_bytes = integer(parameter, TRANSACTION_BYTES_MIN, TRANSACTION_BYTES_MAX)


def _access_system_keys(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.read_system_keys = settings.write_system_keys = True


def _read_system_keys(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.read_system_keys = True


def _read_your_writes_disable(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.read_your_writes = False


def _snapshot_ryw_enable(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.snapshot_ryw += 1


def _snapshot_ryw_disable(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.snapshot_ryw -= 1


def _no_write_conflict(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.next_write_without_conflict = True


def _no_commit_protection(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.commit_protection = False


def _bypass_unreadable(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.bypass_unreadable = True


def _special_relaxed(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.special_keys_relaxed = True


def _special_writes(settings: TransactionSettings, _parameter: bytes | None) -> None:
    settings.special_keys_writes = True


def _tag(settings: TransactionSettings, parameter: bytes | None) -> None:
    tag = parameter or b""
    if len(tag) > TAG_BYTES_MAX:
        raise FDBError(TAG_TOO_LONG)
    if tag not in settings.tags and len(settings.tags) >= TAGS_MAX:
        raise FDBError(TOO_MANY_TAGS)
    settings.tags.add(tag)


_SETTERS: Final[dict[int, Callable[[TransactionSettings, bytes | None], None]]] = {
    NEXT_WRITE_NO_WRITE_CONFLICT_RANGE: _no_write_conflict,
    READ_YOUR_WRITES_DISABLE: _read_your_writes_disable,
    ACCESS_SYSTEM_KEYS: _access_system_keys,
    READ_SYSTEM_KEYS: _read_system_keys,
    TIMEOUT: _timeout,
    RETRY_LIMIT: _retry_limit,
    MAX_RETRY_DELAY: _max_retry_delay,
    SIZE_LIMIT: _size_limit,
    SNAPSHOT_RYW_ENABLE: _snapshot_ryw_enable,
    SNAPSHOT_RYW_DISABLE: _snapshot_ryw_disable,
    USED_DURING_COMMIT_PROTECTION_DISABLE: _no_commit_protection,
    SPECIAL_KEY_SPACE_RELAXED: _special_relaxed,
    SPECIAL_KEY_SPACE_ENABLE_WRITES: _special_writes,
    TAG: _tag,
    AUTO_THROTTLE_TAG: _tag,
    BYPASS_UNREADABLE: _bypass_unreadable,
}
