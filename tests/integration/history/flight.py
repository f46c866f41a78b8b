# SPDX-License-Identifier: Apache-2.0
"""What the tests of history fly: a keyspace on the embedded engine, a clock, a sealer, and events."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp

from enchanted import history
from enchanted.generated.history.v1.events_pb2 import StateChange, SwarmEvent, SystemSignal
from enchanted.generated.history.v1.history_pb2 import RecordedEvent
from enchanted.history import Sealer
from enchanted.history.checkpoints import CheckpointSigner
from enchanted.keyspace import (
    LOCAL_TENANT,
    OWNER_SCOPES,
    Keyspace,
    Principal,
    Subspace,
    TenantSpace,
    TipWatcher,
)

LOG = "prj_1"
OWNER = Principal(LOCAL_TENANT, "owner", OWNER_SCOPES)
SIGNER = CheckpointSigner(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
BEGINNING_US = 1_800_000_000_000_000


@dataclass(slots=True)
class Clock:
    """Time that goes on only when a test says so."""

    now_us: int = BEGINNING_US
    monotonic_seconds: float = 0.0

    def now(self) -> int:
        return self.now_us

    def monotonic(self) -> float:
        return self.monotonic_seconds

    async def sleep(self, seconds: float) -> None:
        self.monotonic_seconds += seconds


@dataclass(slots=True)
class Flight:
    """One tenant's history in a fresh store."""

    keyspace: Keyspace
    space: TenantSpace
    clock: Clock = field(default_factory=Clock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def sealer(self, holder: str = "sealer-1", **changes: Any) -> Sealer:
        parts: dict[str, Any] = {
            "holder": holder,
            "now_us": self.clock.now,
            "monotonic_seconds": self.clock.monotonic,
            "sleep": self.clock.sleep,
        }
        return Sealer(self.keyspace, TipWatcher(self.keyspace), [OWNER], SIGNER, **(parts | changes))

    def event(self, **changes: Any) -> SwarmEvent:
        """The next event: its number is in its id, and the clock goes on by a second."""
        self.clock.now_us += 1_000_000
        timestamp = Timestamp()
        timestamp.FromMicroseconds(self.clock.now_us)
        fields: dict[str, Any] = {
            "event_id": f"evt_{next(self.numbers):04}",
            "timestamp": timestamp,
            "agent_id": "agt_1",
        }
        if not {"state_change", "decision"} & changes.keys():
            fields["system_signal"] = SystemSignal(status="HEALTHY")
        return SwarmEvent(**(fields | changes))

    async def record(self, *events: SwarmEvent, log: str = LOG) -> None:
        """Append events in one transaction."""

        def body(tr: Any, space: TenantSpace) -> None:
            for event in events:
                history.append(tr, space, log, event)

        await self.keyspace.run(self.space, body)

    async def record_each(self, count: int, **changes: Any) -> list[SwarmEvent]:
        """Append some events, each in a transaction of its own."""
        events = [self.event(**changes) for _ in range(count)]
        for event in events:
            await self.record(event)
        return events

    async def recorded(self, **selection: Any) -> list[RecordedEvent]:
        """All events of the log, read in pages of three."""
        found: list[RecordedEvent] = []
        after = None
        while page := await self.keyspace.run(
            self.space, history.events_after, LOG, after, limit=3, **selection
        ):
            found += page
            after = history.Place.of(page[-1])
        return found

    async def write(self, change: Callable[[Any, TenantSpace], object]) -> None:
        """Change the store behind history's back."""
        await self.keyspace.run(self.space, change)

    async def rows(self, subspace: Subspace, *within: str | int) -> list[tuple[bytes, bytes]]:
        """Keys and values as stored."""

        def body(tr: Any, space: TenantSpace) -> list[tuple[bytes, bytes]]:
            keys = space.range(subspace, *within)
            return [(bytes(pair.key), bytes(pair.value)) for pair in tr.get_range(keys.begin, keys.end)]

        return await self.keyspace.run(self.space, body)


def state(before: str, after: str) -> StateChange:
    """A step of a timeline."""
    return StateChange(
        target_type=history.TIMELINE, target_resource="main", previous_tree=before, new_tree=after
    )
