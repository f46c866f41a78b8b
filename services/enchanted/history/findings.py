# SPDX-License-Identifier: Apache-2.0
"""What verification can find: its checks by name, and the first fault of each.

A report that stops at the first fault hides the others, and one that lists every consequence of a fault hides
its cause. So every check is told, each with the first thing that is wrong.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from enchanted.generated.history.v1.events_pb2 import Check


class CheckName(enum.StrEnum):
    """The checks of a verification, in the order in which they are told."""

    STORAGE = "storage"
    """What is stored can be read."""
    SEALED = "sealed"
    """Every event is sealed, and the sealer trusts what it builds on."""
    TREE = "tree"
    """Perfect subtrees and head are what the leaves hash to, and nothing else stands there."""
    SEALED_TIMES = "sealed times"
    """Times never go back, and none is later than its writer claimed without need; their index."""
    CHECKPOINTS = "checkpoints"
    """Each is signed and has the root that the tree had at its size, and none is missing."""
    LAST_SEEN = "last seen checkpoint"
    """The log begins with what the caller saw."""
    EVENTS = "events"
    """Each leaf is its event's: none was changed, removed, inserted or reordered."""
    CONTENT = "content"
    """Each event opens, and is the one that its place says."""
    INDEXES = "indexes"
    """Every index points at its event, and at nothing else."""
    TIMELINES = "timelines"
    """Each state of a timeline begins where the one before ended."""


@dataclass(slots=True)
class Findings:
    """The first fault of each check."""

    faults: dict[CheckName, str] = field(default_factory=dict)

    def report(self, check: CheckName, detail: str) -> None:
        """Note a fault, unless the check has one already."""
        self.faults.setdefault(check, detail)

    def give_up(self, checks: Iterable[CheckName], because: str) -> None:
        """Note that some checks could not be finished: what was not looked at has not passed."""
        for check in checks:
            self.report(check, f"could not be completed, because {because}")

    def checks(self, passed_detail: str) -> tuple[Check, ...]:
        """All checks, with the fault of those that failed and ``passed_detail`` for the others."""
        return tuple(
            Check(
                name=name.value, passed=name not in self.faults, detail=self.faults.get(name, passed_detail)
            )
            for name in CheckName
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What verification found.

    Attributes:
        checks: All of them, in order.
        size: Number of leaves that were looked at.
        note: The newest checkpoint, for the caller to keep; empty if a check failed.
    """

    checks: tuple[Check, ...]
    size: int
    note: str

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.passed for check in self.checks)
