# SPDX-License-Identifier: Apache-2.0
"""The agents' process: reads its order, gathers its agents, and works until the job has ended.

It ends by itself when the job has ended, when the hub is gone, and when its standard input ends, which
happens when the hub is killed; so no agent outlives its hub. On SIGTERM it ends at once and leaves its
tickets to their leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import grpc

from enchanted import rpc
from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.ids import new_id
from enchanted.jobs.client import JobsClient
from enchanted.sandbox import Limits, SandboxError, find_python, open_sandbox
from enchanted.swarm.agents.checkouts import Checkouts
from enchanted.swarm.agents.coder import Coder
from enchanted.swarm.agents.critic import Critic
from enchanted.swarm.agents.desk import Desk
from enchanted.swarm.agents.orchestrator import Orchestrator
from enchanted.swarm.agents.order import Order, OrderError, parse_order
from enchanted.swarm.agents.reporting import Reporter
from enchanted.swarm.agents.scout import Scout
from enchanted.swarm.agents.shift import HubLostError, Shift
from enchanted.swarm.agents.terrain import Laboratory, Terrain
from enchanted.swarm.suite_runs import SuiteLimits
from enchanted.swarm.tools import Tools
from enchanted.workspace.client import WorkspaceClient

EXIT_DONE: Final = 0
EXIT_NO_ORDER: Final = 2
EXIT_NO_SANDBOX: Final = 3
EXIT_HUB_LOST: Final = 4
ORDER_BYTES_MAX: Final = 65_536
FILES_PER_SUITE: Final = 10


async def run() -> int:
    """Do the job that standard input names.

    Returns:
        The process's exit code.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=ORDER_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        order = parse_order(await reader.readline())
    except (OrderError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_NO_ORDER
    working = asyncio.create_task(_work(order))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, working.cancel)
    orphaned = asyncio.create_task(_until_end(reader))
    await asyncio.wait((working, orphaned), return_when=asyncio.FIRST_COMPLETED)
    orphaned.cancel()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await working
    return EXIT_HUB_LOST


async def _until_end(reader: asyncio.StreamReader) -> None:
    while await reader.read(ORDER_BYTES_MAX):
        continue


async def _work(order: Order) -> int:
    with tempfile.TemporaryDirectory(prefix="enchanted-agents-", ignore_cleanup_errors=True) as place:
        async with rpc.connect(order.hub, order.token) as channel:
            try:
                desk = await _desk(order, channel, _resolved(place))
            except SandboxError as error:
                sys.stderr.write(f"{error}\n")
                return EXIT_NO_SANDBOX
            return await _work_together(_shifts(desk))


async def _work_together(shifts: Sequence[Shift]) -> int:
    try:
        async with asyncio.TaskGroup() as group:
            for shift in shifts:
                group.create_task(shift.work())
    except* HubLostError:
        return_code = EXIT_HUB_LOST
    else:
        return_code = EXIT_DONE
    return return_code


def _resolved(place: str) -> Path:
    """The folder without links on the way, as the sandbox wants its mounts."""
    return Path(place).resolve()


async def _desk(order: Order, channel: grpc.aio.Channel, place: Path) -> Desk:
    jobs = JobsClient(channel)
    job = await jobs.get_job(order.job_id)
    for name in ("trees", "scratch"):
        (place / name).mkdir()
    laboratory = Laboratory(
        sandbox=await open_sandbox(),
        environment=find_python(Path(sys.executable)),
        tools=Tools.installed(),
        scratch=place / "scratch",
        limits=_suite_limits(order.suite_seconds),
    )
    checkouts = Checkouts(WorkspaceClient(channel), order.project_id, place / "trees")
    terrain = Terrain(checkouts, job.base_commit, laboratory)
    return Desk(job, jobs, terrain, Reporter(_new_event_id))


def _suite_limits(seconds: int) -> SuiteLimits:
    """Limits of the whole suite by what the order says; a file that runs alone gets a tenth of it."""
    one_file = max(1, seconds // FILES_PER_SUITE)
    return SuiteLimits(
        suite=Limits(wall_seconds=float(seconds), cpu_seconds=seconds),
        file=Limits(wall_seconds=float(one_file), cpu_seconds=one_file),
    )


def _shifts(desk: Desk) -> Sequence[Shift]:
    """One Orchestrator, two Scouts, two Coders, and one Critic: the gate that edits pass one by one."""
    process = f"{os.getpid()}.{os.urandom(3).hex()}"
    crew = (
        (events.AGENT_ROLE_ORCHESTRATOR, "orchestrator", Orchestrator(desk), 1),
        (events.AGENT_ROLE_SCOUT, "scout", Scout(desk), 2),
        (events.AGENT_ROLE_CODER, "coder", Coder(desk), 2),
        (events.AGENT_ROLE_CRITIC, "critic", Critic(desk), 1),
    )
    return [
        Shift(desk.jobs, desk.job.job_id, f"{name}-{number}@{process}", [role], agent.perform)
        for role, name, agent, count in crew
        for number in range(1, count + 1)
    ]


def _new_event_id() -> str:
    return new_id("evt", time.time_ns() // 1000, os.urandom)
