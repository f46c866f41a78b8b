# SPDX-License-Identifier: Apache-2.0
"""The first half of verification: grow the tree anew from the stored leaves, and compare what was stored.

The stored nodes, times and checkpoints are each a row of keys in the very order in which growing yields them,
so they are compared as streams, one page of each in memory, however large the log is. Whatever stands between
two expected rows is seen as surely as what is missing.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.history import merkle, records
from enchanted.history.checkpoints import Checkpoint, CheckpointVerifier
from enchanted.history.findings import CheckName, Findings
from enchanted.history.inspection import ScannedRow, Stream
from enchanted.history.model import CheckpointError, Place
from enchanted.keyspace import Keyspace, TenantSpace

_LEVELS_MAX: Final = 64
_ALONG_THE_TREE: Final = (CheckName.SEALED_TIMES, CheckName.CHECKPOINTS, CheckName.LAST_SEEN)


class TreeWalk:
    """One pass over a log's leaves, up to a tree head."""

    def __init__(
        self,
        keyspace: Keyspace,
        space: TenantSpace,
        log: str,
        head: store.TreeHead,
        verifier: CheckpointVerifier,
        findings: Findings,
    ) -> None:
        self.newest_note = ""
        self._log = log
        self._head = head
        self._verifier = verifier
        self._findings = findings
        self._frontier = merkle.Frontier()
        self._last = store.Leaf()
        self._checkpoint_size = 0
        self._leaves = Stream(keyspace, space, records.LEAF, (log,))
        self._nodes = [
            Stream(keyspace, space, records.NODE, (log, level)) for level in range(head.size.bit_length())
        ]
        self._times = Stream(keyspace, space, records.SEALED_TIME, (log,))
        self._checkpoints = Stream(keyspace, space, records.CHECKPOINT, (log,))

    async def run(self, last_seen: Checkpoint | None) -> None:
        """Walk, and report what is wrong.

        Args:
            last_seen: What the caller saw of this log before, its signature verified.
        """
        assert len(self._nodes) <= _LEVELS_MAX, "sizes have 64 bits"
        if last_seen is not None and last_seen.size > self._head.size:
            gone = last_seen.size - self._head.size
            self._report(CheckName.LAST_SEEN, f"the log is shorter than you saw it: {gone} events are gone")
        self._compare_last_seen(last_seen)
        for index in range(self._head.size):
            row = await self._leaves.next()
            if row is None or row.elements != (self._log, index):
                self._report(CheckName.TREE, f"leaf {index} is missing or not in its place")
                self._findings.give_up(_ALONG_THE_TREE, "leaves are missing")
                return
            await self._grow(row)
            await self._compare_checkpoint()
            self._compare_last_seen(last_seen)
        await self._compare_end()

    async def _grow(self, row: ScannedRow) -> None:
        index = self._frontier.size
        try:
            leaf = store.Leaf.FromString(row.value)
        except DecodeError:
            self._report(CheckName.TREE, f"leaf {index} cannot be read")
            leaf = store.Leaf()
        self._frontier, completed = self._frontier.grow(merkle.leaf_hash(row.value))
        for node in completed:
            stored = await self._nodes[node.level].next()
            expected = ((self._log, node.level, node.index), node.hash)
            if stored is None or (stored.elements, stored.value) != expected:
                self._report(
                    CheckName.TREE, f"node {node.index} of level {node.level} is not what its leaves hash to"
                )
        if leaf.sealed_time_us < self._last.sealed_time_us:
            self._report(
                CheckName.SEALED_TIMES, f"event {leaf.event_id} has an earlier time than the one before"
            )
        stored = await self._times.next()
        entry = ((self._log, leaf.sealed_time_us, index), Place.of(leaf).to_bytes())
        if stored is None or (stored.elements, stored.value) != entry:
            self._report(CheckName.SEALED_TIMES, f"the index of times does not have event {leaf.event_id}")
        self._last = leaf

    async def _compare_checkpoint(self) -> None:
        row = await self._checkpoints.peek()
        if row is None or row.elements != (self._log, self._frontier.size):
            return
        await self._checkpoints.next()
        fault = self._checkpoint_fault(row)
        if fault:
            self._report(CheckName.CHECKPOINTS, f"the checkpoint of size {self._frontier.size} {fault}")
        self._checkpoint_size = self._frontier.size

    def _checkpoint_fault(self, row: ScannedRow) -> str:
        try:
            stored = store.Checkpoint.FromString(row.value)
            signed = self._verifier.open(stored.note)
        except DecodeError:
            return "cannot be read"
        except CheckpointError as error:
            return f"is not valid: {error}"
        if (signed.size, signed.root) != (self._frontier.size, self._frontier.root()):
            return "has another root than the stored leaves"
        if stored.sealed_time_us != self._last.sealed_time_us:
            return "has another time than its last leaf"
        if stored.previous_size != self._checkpoint_size:
            return f"is not preceded by that of size {stored.previous_size}: one was removed or inserted"
        self.newest_note = stored.note
        return ""

    def _compare_last_seen(self, last_seen: Checkpoint | None) -> None:
        if last_seen is None or last_seen.size != self._frontier.size:
            return
        if last_seen.root != self._frontier.root():
            size = last_seen.size
            self._report(CheckName.LAST_SEEN, f"the first {size} events are not those that you saw")

    async def _compare_end(self) -> None:
        """The head is the whole tree's; what follows in each stream, if anything, belongs to a later head."""
        head = self._head
        grown = (self._frontier.size, self._frontier.root(), self._frontier.hashes)
        if grown != (head.size, head.root_sha256, tuple(head.frontier)):
            self._report(CheckName.TREE, "the tree head is not what the leaves hash to")
        last = self._last
        if (Place.of(last), last.sealed_time_us) != (Place.of(head), head.sealed_time_us):
            self._report(CheckName.TREE, "the tree head does not end with the last leaf")
        if self._checkpoint_size != head.size:
            self._report(CheckName.CHECKPOINTS, "the newest checkpoint is missing")

    def _report(self, check: CheckName, detail: str) -> None:
        self._findings.report(check, detail)
