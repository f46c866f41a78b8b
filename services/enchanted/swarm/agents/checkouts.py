# SPDX-License-Identifier: Apache-2.0
"""Trees of the job's project on the agents' disk, one folder a tree, fetched once.

Agents read trees and never write to them; tests run on copies. Only the newest few are kept, so that a
long job does not fill the disk.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enchanted.workspace.client import WorkspaceClient, materialise

KEPT_TREES_MAX: Final = 6


@dataclass(frozen=True, slots=True)
class Checkout:
    """A tree on disk.

    Attributes:
        tree: Its Git id.
        commit: The commit it was fetched by.
        folder: Where it is; not to be written to.
    """

    tree: str
    commit: str
    folder: Path


class Checkouts:
    """Fetches trees of one project. Safe to use from many tasks."""

    def __init__(self, workspace: WorkspaceClient, project_id: str, folder: Path) -> None:
        self._workspace = workspace
        self._project_id = project_id
        self._folder = folder
        self._fetching = asyncio.Lock()
        self._kept: OrderedDict[str, Checkout] = OrderedDict()
        self._pinned: set[str] = set()

    async def head(self) -> Checkout:
        """The project as it is now."""
        return await self.at("now")

    async def at(self, moment: str, *, pinned: bool = False) -> Checkout:
        """The project as it was at a moment.

        Args:
            moment: A commit, or anything else that the workspace resolves.
            pinned: Keep it for as long as the process lives.
        """
        resolved = await self._workspace.resolve_moment(self._project_id, moment)
        async with self._fetching:
            found = self._kept.get(resolved.tree)
            if found is None:
                folder = self._folder / resolved.tree
                await materialise(self._workspace, self._project_id, resolved.commit, folder)
                found = self._kept[resolved.tree] = Checkout(resolved.tree, resolved.commit, folder)
            if pinned:
                self._pinned.add(found.tree)
            self._kept.move_to_end(found.tree)
            await self._forget_oldest()
            return found

    async def _forget_oldest(self) -> None:
        loose = [tree for tree in self._kept if tree not in self._pinned]
        for tree in loose[: max(0, len(loose) - KEPT_TREES_MAX)]:
            await asyncio.to_thread(shutil.rmtree, self._kept.pop(tree).folder, ignore_errors=True)
