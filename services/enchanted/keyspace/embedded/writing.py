# SPDX-License-Identifier: Apache-2.0
"""The writes of a transaction: checked, laid over what is stored, noted as conflicts for others.

Their errors come with the next read or the commit, as through the C API, where a write answers nothing.
"""

from __future__ import annotations

from typing import Final

from enchanted.keyspace.embedded.errors import (
    CLIENT_INVALID_OPERATION,
    INVALID_MUTATION_TYPE,
    INVERTED_RANGE,
    KEY_OUTSIDE_LEGAL_RANGE,
    KEY_TOO_LARGE,
    SPECIAL_KEYS_NO_WRITE_MODULE_FOUND,
    SPECIAL_KEYS_WRITE_DISABLED,
    TENANTS_DISABLED,
    VALUE_TOO_LARGE,
    FDBError,
)
from enchanted.keyspace.embedded.mutations import ATOMIC, OFFSET_BYTES, VALUE_BYTES_MAX, MutationType
from enchanted.keyspace.embedded.ranges import SPECIAL_BEGIN
from enchanted.keyspace.embedded.reading import (
    METADATA_VERSION_KEY,
    METADATA_VERSION_VALUE,
    ReadingTransaction,
    key_limit,
)

_STAMPED_KEY: Final = MutationType.SET_VERSIONSTAMPED_KEY
_STAMPED_VALUE: Final = MutationType.SET_VERSIONSTAMPED_VALUE
_TENANT_MAP: Final = b"\xff\xff/management/tenant/map/"


def _shortened(key: bytes) -> bytes:
    # No stored key is longer than the limit, so that a longer bound may be cut right after it.
    return key[: key_limit(key) + 1]


class WritingTransaction(ReadingTransaction):
    """A transaction's writes."""

    def set(self, key: bytes, value: bytes) -> None:
        """Write a value."""
        self._issue(lambda: self._set(key, value, conflict=self._begin_write()))

    def clear(self, key: bytes) -> None:
        """Remove a key."""
        self._issue(lambda: self._clear(key, conflict=self._begin_write()))

    def clear_range(self, begin: bytes, end: bytes) -> None:
        """Remove the keys of ``[begin, end)``."""
        self._issue(lambda: self._clear_range(begin, end, conflict=self._begin_write()))

    def atomic(self, operation: int, key: bytes, operand: bytes) -> None:
        """Issue an atomic mutation."""
        self._issue(lambda: self._atomic(operation, key, operand, conflict=self._begin_write()))

    def add_conflict_range(self, begin: bytes, end: bytes, *, write: bool) -> None:
        """Add a read or a ``write`` conflict range by hand.

        Raises:
            FDBError: 2005, which alone is told at once.
        """
        if begin > end:
            raise FDBError(INVERTED_RANGE)
        self._issue(lambda: self._add_conflict_range(begin, end, write=write))

    def _begin_write(self) -> bool:
        """Check that writing is allowed; tells whether the write makes a conflict range."""
        conflict = self.settings.take_write_conflict()
        self._require_idle()
        if self.settings.read_your_writes:
            self.fast = None
        return conflict

    def _set(self, key: bytes, value: bytes, *, conflict: bool) -> None:
        if key == METADATA_VERSION_KEY:
            raise FDBError(CLIENT_INVALID_OPERATION)
        self._require_legal(key)
        if len(key) > key_limit(key):
            raise FDBError(KEY_TOO_LARGE)
        if len(value) > VALUE_BYTES_MAX:
            raise FDBError(VALUE_TOO_LARGE)
        self._overlay.set(key, value)
        self.footprint.wrote_key(key, len(value), conflict=conflict)
        self._tell_watches(key, value)

    def _clear(self, key: bytes, *, conflict: bool) -> None:
        self._require_legal(key)
        if len(key) > key_limit(key):
            return
        self._overlay.clear(key)
        self.footprint.wrote_key(key, len(key) + 1, conflict=conflict)
        self._tell_watches(key, None)

    def _clear_range(self, begin: bytes, end: bytes, *, conflict: bool) -> None:
        if begin > end:
            raise FDBError(INVERTED_RANGE)
        if begin >= SPECIAL_BEGIN:
            raise FDBError(self._special_write_error(begin))
        if begin > self._write_end or end > self._write_end:
            raise FDBError(KEY_OUTSIDE_LEGAL_RANGE)
        low, high = _shortened(begin), _shortened(end)
        if low >= high:
            return
        self._overlay.clear_range(low, high)
        self.footprint.wrote_range(low, high, conflict=conflict)
        for key in [key for key in self._watches if low <= key < high]:
            self._tell_watches(key, None)

    def _atomic(self, operation: int, key: bytes, operand: bytes, *, conflict: bool) -> None:
        if key == METADATA_VERSION_KEY:
            if operation != _STAMPED_VALUE or operand != METADATA_VERSION_VALUE:
                raise FDBError(CLIENT_INVALID_OPERATION)
        else:
            self._require_legal(key)
        if operation not in ATOMIC:
            raise FDBError(INVALID_MUTATION_TYPE)
        if len(key) > key_limit(key) + (OFFSET_BYTES if operation == _STAMPED_KEY else 0):
            raise FDBError(KEY_TOO_LARGE)
        if len(operand) > VALUE_BYTES_MAX + (OFFSET_BYTES if operation == _STAMPED_VALUE else 0):
            raise FDBError(VALUE_TOO_LARGE)
        if operation == _STAMPED_KEY:
            self._overlay.set_stamped_key(key, operand, self._read_version or 0, self.read_end)
        elif operation == _STAMPED_VALUE:
            self._overlay.set_stamped_value(key, operand)
        else:
            self._overlay.operate(operation, key, operand)
        # The key that a stamp completes is known to the committer alone, which adds its conflict.
        self.footprint.wrote_key(key, len(operand), conflict=conflict and operation != _STAMPED_KEY)
        for watch in self._watches.pop(key, ()):
            watch.fire()

    def _add_conflict_range(self, begin: bytes, end: bytes, *, write: bool) -> None:
        self._require_idle()
        limit = self._write_end if write else self.read_end
        if begin > limit or end > limit:
            raise FDBError(KEY_OUTSIDE_LEGAL_RANGE)
        low, high = _shortened(begin), _shortened(end)
        if write:
            self.footprint.write_ranges.add(low, high)
        else:
            self.footprint.read_range(low, high, self._overlay if self.settings.read_your_writes else None)

    def _require_legal(self, key: bytes) -> None:
        if key >= SPECIAL_BEGIN:
            raise FDBError(self._special_write_error(key))
        if key >= self._write_end:
            raise FDBError(KEY_OUTSIDE_LEGAL_RANGE)

    def _special_write_error(self, key: bytes) -> int:
        if not self.settings.special_keys_writes:
            return SPECIAL_KEYS_WRITE_DISABLED
        return TENANTS_DISABLED if key.startswith(_TENANT_MAP) else SPECIAL_KEYS_NO_WRITE_MODULE_FOUND

    def _tell_watches(self, key: bytes, value: bytes | None) -> None:
        """Fire own watches on a key that now has another value than the one they saw."""
        if key not in self._watches:
            return
        watches = self._watches.pop(key)
        kept = [watch for watch in watches if watch.seen == value]
        if kept:
            self._watches[key] = kept
        for watch in watches:
            if watch.seen != value:
                watch.fire()
