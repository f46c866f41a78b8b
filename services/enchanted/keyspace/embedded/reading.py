# SPDX-License-Identifier: Apache-2.0
"""The reads of a transaction, and what each of them depended on.

A read conflict is noted only for what was really read: for a range that a limit cut off, only up to the last
pair; for a selector, only the way from its key to the key it found; for a key that the transaction itself
wrote, nothing.
"""

from __future__ import annotations

from typing import Final

from enchanted.keyspace.embedded import special
from enchanted.keyspace.embedded.errors import (
    KEY_OUTSIDE_LEGAL_RANGE,
    READ_VERSION_ALREADY_SET,
    VERSION_INVALID,
    FDBError,
)
from enchanted.keyspace.embedded.mutations import OFFSET_BYTES, STAMP_BYTES
from enchanted.keyspace.embedded.overlay import Overlay
from enchanted.keyspace.embedded.ranges import SPECIAL_BEGIN, SYSTEM_BEGIN, key_after
from enchanted.keyspace.embedded.selectors import Selector
from enchanted.keyspace.embedded.state import TransactionBase
from enchanted.keyspace.embedded.store import Pair, Quota, View

KEY_BYTES_MAX: Final = 10_000
SYSTEM_KEY_BYTES_MAX: Final = 30_000
METADATA_VERSION_KEY: Final = b"\xff/metadataVersion"
METADATA_VERSION_VALUE: Final = b"\0" * (STAMP_BYTES + OFFSET_BYTES)


def key_limit(key: bytes) -> int:
    """Return how long a key like ``key`` may be."""
    return SYSTEM_KEY_BYTES_MAX if key.startswith(SYSTEM_BEGIN) else KEY_BYTES_MAX


class ReadingTransaction(TransactionBase):
    """A transaction's reads."""

    def get_read_version(self) -> int:
        """Return the read version, taking one if there is none yet."""
        with self._lock:
            self._require_usable()
            self._acquire()
            assert self._read_version is not None
            return self._read_version

    def set_read_version(self, version: int) -> None:
        """Read at a version that was given before; errors come with the next read."""

        def apply() -> None:
            self._require_idle()
            if self._read_version is not None:
                raise FDBError(READ_VERSION_ALREADY_SET)
            if version <= 0:
                raise FDBError(VERSION_INVALID)
            self._read_version = version

        self._issue(apply)

    def get(self, key: bytes, *, snapshot: bool) -> bytes | None:
        """Return the value of ``key``, None when it is absent."""
        with self._lock:
            self._require_usable()
            if key >= SPECIAL_BEGIN:
                return special.get(self.engine, key)
            if key >= self.read_end and key != METADATA_VERSION_KEY:
                raise FDBError(KEY_OUTSIDE_LEGAL_RANGE)
            if len(key) > key_limit(key):
                return None
            reader = self._reader(snapshot=snapshot)
            value = reader.get(key)
            if not snapshot:
                self.footprint.read_key(key, reader.overlay)
            return value

    def get_key(self, selector: Selector, *, snapshot: bool) -> bytes:
        """Return the key that ``selector`` names, within the keys that may be read."""
        with self._lock:
            self._require_usable()
            if selector.base > self.read_end:
                raise FDBError(KEY_OUTSIDE_LEGAL_RANGE)
            reader = self._reader(snapshot=snapshot)
            key = reader.resolve(selector)
            if not snapshot:
                self._note_resolution(selector, key, reader.overlay)
            return key

    def get_range(
        self, begin: Selector, end: Selector, quota: Quota, *, reverse: bool, snapshot: bool
    ) -> tuple[list[Pair], bool]:
        """Return pairs from ``begin`` to before ``end``, and whether the quota cut them off."""
        with self._lock:
            self._require_usable()
            if begin.base >= SPECIAL_BEGIN:
                return special.get_range(self.engine, begin.base, end.base), False
            if begin.base > self.read_end or end.base > self.read_end:
                raise FDBError(KEY_OUTSIDE_LEGAL_RANGE)
            if begin.offset >= end.offset and begin.key >= end.key:
                return [], False
            reader = self._reader(snapshot=snapshot)
            low = begin.key if begin.is_key else reader.resolve(begin)
            high = min(end.key if end.is_key else reader.resolve(end), self.read_end)
            pairs, whole = reader.scan(low, high, reverse=reverse, quota=quota)
            if not snapshot:
                last = pairs[-1][0] if pairs and not whole else None
                self._note_range(begin, end, (low, high), last, reader.overlay, reverse=reverse)
            return pairs, not whole

    def _note_resolution(self, selector: Selector, key: bytes, overlay: Overlay | None) -> None:
        if selector.offset >= 1:
            self.footprint.read_range(selector.key, min(key_after(key), self.read_end), overlay)
        else:
            self.footprint.read_range(key, selector.key, overlay)

    def _note_range(
        self,
        begin: Selector,
        end: Selector,
        found: tuple[bytes, bytes],
        last: bytes | None,
        overlay: Overlay | None,
        *,
        reverse: bool,
    ) -> None:
        """Note what a range read depended on; ``last`` is the pair at which the quota cut it off.

        Beyond that pair nothing was returned. A selector that counts keys towards the cut from this side
        stays beyond it whatever is written there, so that its way counts up to the cut only; one that counts
        from the far side does not.
        """
        low, high = found
        if last is None:
            self.footprint.read_range(low, high, overlay)
        elif reverse:
            self.footprint.read_range(last, high, overlay)
        else:
            self.footprint.read_range(low, key_after(last), overlay)
        if not begin.is_key:
            if last is not None and reverse and begin.offset < 1:
                self.footprint.read_range(last, begin.key, overlay)
            else:
                self._note_resolution(begin, low, overlay)
        if not end.is_key:
            if last is not None and not reverse and end.offset >= 1:
                self.footprint.read_range(end.key, key_after(last), overlay)
            else:
                self._note_resolution(end, high, overlay)

    def estimate_view(self) -> View:
        """Return the state that size estimates look at."""
        with self._lock:
            self._require_usable()
            return self._acquire()
