# SPDX-License-Identifier: Apache-2.0
"""What a transaction has read and written, for conflicts and for its size, pure.

Read conflicts are only for what was really read from the database: a read answered by the transaction's own
writes makes none, a range read only for the part that was returned. One conflict too many and unrelated work
fails under load; one too few and the order of commits is not serial.
"""

from __future__ import annotations

from enchanted.keyspace.embedded.conflicts import Reads, Writes
from enchanted.keyspace.embedded.overlay import Overlay, Pending
from enchanted.keyspace.embedded.ranges import RangeSet

# Bookkeeping that the client's size estimate counts for a mutation and for a range, besides their bytes.
MUTATION_OVERHEAD_BYTES = 28
RANGE_OVERHEAD_BYTES = 24


class Footprint:
    """The reads and writes of one transaction."""

    __slots__ = ("mutation_bytes", "read_keys", "read_ranges", "write_keys", "write_ranges")

    def __init__(self) -> None:
        self.read_keys: set[bytes] = set()
        self.read_ranges = RangeSet()
        self.write_keys: set[bytes] = set()
        self.write_ranges = RangeSet()
        self.mutation_bytes = 0

    def read_key(self, key: bytes, overlay: Overlay | None) -> None:
        """Note that ``key`` was read, unless the overlay alone answered."""
        if not overlay or not overlay.is_independent(key):
            self.read_keys.add(key)

    def read_range(self, begin: bytes, end: bytes, overlay: Overlay | None) -> None:
        """Note that ``[begin, end)`` was read, except the parts that the overlay alone answered."""
        if not overlay:
            self.read_ranges.add(begin, end)
            return
        for low, high in overlay.dependent_parts(begin, end):
            self.read_ranges.add(low, high)

    def wrote_key(self, key: bytes, parameter_bytes: int, *, conflict: bool) -> None:
        """Note a mutation of one key whose parameter has ``parameter_bytes``."""
        self.mutation_bytes += MUTATION_OVERHEAD_BYTES + len(key) + parameter_bytes
        if conflict:
            self.write_keys.add(key)

    def wrote_range(self, begin: bytes, end: bytes, *, conflict: bool) -> None:
        """Note that a range was cleared."""
        self.mutation_bytes += MUTATION_OVERHEAD_BYTES + len(begin) + len(end)
        if conflict:
            self.write_ranges.add(begin, end)

    @property
    def has_reads(self) -> bool:
        """True when a commit must be checked against what others wrote."""
        return bool(self.read_keys or self.read_ranges)

    @property
    def has_write_conflicts(self) -> bool:
        """True when others' reads must be checked against this transaction."""
        return bool(self.write_keys or self.write_ranges)

    def reads(self) -> Reads:
        """Return the read conflicts as they are now."""
        return Reads(self.read_keys, list(self.read_ranges))

    def writes(self) -> Writes:
        """Return the write conflicts as they are now."""
        return Writes(self.write_keys, list(self.write_ranges))

    def approximate_bytes(self) -> int:
        """Return about how large a commit of everything issued so far would be."""
        return self.mutation_bytes + self._conflict_bytes()

    def commit_bytes(self, overlay: Overlay) -> int:
        """Return how large the commit is: the net mutations and the conflict ranges."""
        size = self._conflict_bytes()
        for key, entry in overlay.entries.items():
            size += MUTATION_OVERHEAD_BYTES + len(key) + _entry_bytes(entry)
        for begin, end in overlay.cleared:
            size += MUTATION_OVERHEAD_BYTES + len(begin) + len(end)
        for key, value in overlay.stamped:
            size += MUTATION_OVERHEAD_BYTES + len(key) + len(value)
        return size

    def _conflict_bytes(self) -> int:
        size = 0
        for keys in (self.read_keys, self.write_keys):
            size += sum(map(len, keys)) * 2 + len(keys) * (RANGE_OVERHEAD_BYTES + 1)
        for ranges in (self.read_ranges, self.write_ranges):
            size += sum(RANGE_OVERHEAD_BYTES + len(begin) + len(end) for begin, end in ranges)
        return size


def _entry_bytes(entry: bytes | Pending | None) -> int:
    if isinstance(entry, Pending):
        return sum(len(operand) for _, operand in entry.operations)
    return len(entry or b"")
