# SPDX-License-Identifier: Apache-2.0
"""A launcher whose processes are the tests': they live until a test ends them, or the supervisor does."""

from __future__ import annotations

import asyncio

from enchanted.jobs import AgentsProcess, Assignment, LaunchError


class StagedProcess:
    """An agents' process that does what the test says."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.stopped = False
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def exit(self, ending: str) -> None:
        """End, by itself."""
        self._ended.set_result(ending)

    async def wait(self) -> str:
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        self.stopped = True
        if not self._ended.done():
            self._ended.set_result("stopped")


class Stage:
    """Launches staged processes, and hands each to the test."""

    def __init__(self) -> None:
        self.refuses = False
        self.running: list[StagedProcess] = []
        self._launched: asyncio.Queue[StagedProcess] = asyncio.Queue()

    async def launch(self, assignment: Assignment) -> AgentsProcess:
        if self.refuses:
            raise LaunchError("there is no room")
        process = StagedProcess(assignment)
        self.running.append(process)
        self._launched.put_nowait(process)
        return process

    async def launched(self) -> StagedProcess:
        """The next process that was started."""
        return await self._launched.get()

    @property
    def nothing_more_was_launched(self) -> bool:
        return self._launched.empty()
