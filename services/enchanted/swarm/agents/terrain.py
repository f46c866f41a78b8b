# SPDX-License-Identifier: Apache-2.0
"""What the agents of one process know of their job's repository: its survey, its baseline, its Critic.

All of it follows from the commit on which the job began, so a process that was started anew finds it out
again and needs nobody's memory.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enchanted.sandbox import PythonEnvironment, Sandbox
from enchanted.swarm.agents.checkouts import Checkout, Checkouts
from enchanted.swarm.checks import Baseline, Critic
from enchanted.swarm.model import ModulePath, PythonVersion, TestId
from enchanted.swarm.repository import RepositoryView, survey
from enchanted.swarm.suite_runs import RunRecord, SuiteLimits, SuiteRun, SuiteRunner
from enchanted.swarm.tools import Tools

RUNNING: Final = PythonVersion(sys.version_info.major, sys.version_info.minor)
RUNS_REMEMBERED_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Laboratory:
    """What the terrain is examined with.

    Attributes:
        sandbox: Where the repository's tests run.
        environment: The interpreter they run with.
        tools: pyupgrade and ruff.
        scratch: Folder for throw-away copies.
        limits: Of each run of tests.
    """

    sandbox: Sandbox
    environment: PythonEnvironment
    tools: Tools
    scratch: Path
    limits: SuiteLimits


class Terrain:
    """The repository of one job."""

    def __init__(self, checkouts: Checkouts, base_commit: str, laboratory: Laboratory) -> None:
        self.checkouts = checkouts
        self.tools = laboratory.tools
        self._base_commit = base_commit
        self._laboratory = laboratory
        self._finding_out = asyncio.Lock()
        self._view: RepositoryView | None = None
        self._baseline: Baseline | None = None
        self._critic: Critic | None = None
        self._reached: frozenset[ModulePath] = frozenset()
        self._runs: list[RunRecord] = []

    async def base(self) -> Checkout:
        """The tree on which the job began."""
        return await self.checkouts.at(self._base_commit, pinned=True)

    async def view(self) -> RepositoryView:
        """The survey of that tree.

        Raises:
            TreeError: If the tree cannot be worked on.
        """
        async with self._finding_out:
            return await self._find_view()

    async def baseline(self) -> Baseline:
        """What the tests said before any edit; run once in this process.

        Raises:
            TreeError: If the tree cannot be worked on.
            SandboxError: If the sandbox cannot run.
        """
        async with self._finding_out:
            return await self._find_baseline()

    async def critic(self) -> tuple[Critic, Baseline]:
        """The judge of this repository, and what it judges by."""
        async with self._finding_out:
            baseline = await self._find_baseline()
            assert self._critic is not None, "the baseline is measured by the critic"
            return self._critic, baseline

    async def is_reached_by_tests(self, path: ModulePath) -> bool:
        """Whether any test imports the module, directly or not."""
        await self.view()
        return path in self._reached

    async def measure_head(self) -> SuiteRun:
        """What the tests say now, run as at the baseline."""
        critic, baseline = await self.critic()
        return await critic.measure_again((await self.checkouts.head()).folder, baseline)

    async def regressions(self, after: SuiteRun) -> tuple[frozenset[TestId], frozenset[TestId]]:
        """Tests that the head has broken, and tests that only failed this time, found by running them again.

        Args:
            after: What the tests said of the head.

        Raises:
            TreeError: If a tree cannot be worked on.
            SandboxError: If the sandbox cannot run.
        """
        critic, baseline = await self.critic()
        base, head = await self.base(), await self.checkouts.head()
        return await critic.regressions(base.folder, head.folder, baseline, after)

    def take_runs(self) -> list[RunRecord]:
        """The runs of tests since this was asked last."""
        taken, self._runs = self._runs, []
        return taken

    async def _find_view(self) -> RepositoryView:
        if self._view is None:
            folder = (await self.base()).folder
            self._view = await asyncio.to_thread(functools.partial(survey, folder, running=RUNNING))
            self._reached = await asyncio.to_thread(self._view.reached_by_tests)
        return self._view

    async def _find_baseline(self) -> Baseline:
        if self._baseline is None:
            view = await self._find_view()
            laboratory = self._laboratory
            runner = SuiteRunner(
                laboratory.sandbox,
                laboratory.environment,
                view.tests,
                laboratory.limits,
                self._note_run,
                laboratory.scratch,
            )
            self._critic = Critic(runner, laboratory.tools, view.minimum.version, laboratory.scratch)
            self._baseline = await self._critic.measure_baseline((await self.base()).folder)
        return self._baseline

    async def _note_run(self, record: RunRecord) -> None:
        self._runs = [*self._runs[-RUNS_REMEMBERED_MAX:], record]
