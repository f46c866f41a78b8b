# SPDX-License-Identifier: Apache-2.0
"""A Critic with the real sandbox and the real tools, on copies of small projects."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from enchanted.sandbox import Limits, Sandbox, find_python
from enchanted.swarm.bisection import Trial
from enchanted.swarm.checks import Baseline, Critic, Review
from enchanted.swarm.model import ModulePath, PythonVersion
from enchanted.swarm.modernize import Proposal, propose
from enchanted.swarm.repository import RepositoryView, survey
from enchanted.swarm.suite_runs import RunRecord, SuiteLimits, SuiteRunner
from enchanted.swarm.tools import Tools

SAMPLE = Path(__file__).parents[2] / "fixtures" / "sample_project"
LIMITS = SuiteLimits(
    suite=Limits(wall_seconds=60, cpu_seconds=60, memory_bytes=1 << 30),
    file=Limits(wall_seconds=60, cpu_seconds=60, memory_bytes=1 << 30),
)


@dataclass
class Workshop:
    """One project on the bench, with everything that was run and tried."""

    tree: Path
    scratch: Path
    sandbox: Sandbox
    limits: SuiteLimits = LIMITS
    tools: Tools = field(default_factory=Tools.installed)
    runs: list[RunRecord] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.view: RepositoryView = survey(self.tree, running=PythonVersion(3, 11))
        self.target = self.view.minimum.version
        self.runner = SuiteRunner(
            self.sandbox,
            find_python(Path(sys.executable)),
            self.view.tests,
            self.limits,
            self._note_run,
            self.scratch,
        )
        self.critic = Critic(self.runner, self.tools, self.target, self.scratch)

    async def baseline(self) -> Baseline:
        return await self.critic.measure_baseline(self.tree)

    async def propose(self, path: str) -> Proposal:
        return await propose(ModulePath(path), (self.tree / path).read_bytes(), self.target, self.tools)

    async def review(self, proposal: Proposal, baseline: Baseline) -> Review:
        return await self.critic.review(
            self.tree,
            proposal.edit,
            proposal.expectation,
            baseline,
            self._note_trial,
            reached_by_tests=proposal.edit.path in self.view.reached_by_tests(),
        )

    async def _note_run(self, run: RunRecord) -> None:
        self.runs.append(run)

    async def _note_trial(self, trial: Trial) -> None:
        self.trials.append(trial)


@dataclass(frozen=True)
class Workshops:
    """Makes a workshop for the project in a folder."""

    scratch: Path
    sandbox: Sandbox

    def open(self, tree: Path, limits: SuiteLimits = LIMITS) -> Workshop:
        return Workshop(tree, self.scratch, self.sandbox, limits)


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def snapshot(root: Path) -> Sequence[tuple[str, bytes]]:
    """Every file of a tree with its bytes."""
    return [
        (str(path.relative_to(root)), path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()
    ]
