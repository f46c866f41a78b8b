# SPDX-License-Identifier: Apache-2.0
"""Follows a job to its end: events as they are recorded, state as it is, into one board.

Events alone would make every watcher replay the rules of jobs; polling alone would miss what happened between
two looks. So events are streamed, and the job and its tickets are asked for whenever something happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from rich.live import Live

from enchanted.cli.board import Board, news, picture
from enchanted.cli.output import Output
from enchanted.cli.summary import job_summary
from enchanted.platform import Connection
from enchanted.views import EventView, JobView, ProjectView, TicketView, event_view, job_view, ticket_view

REFRESH_SECONDS: Final = 1.0
GATHER_SECONDS: Final = 0.2
EVENTS_WAITING_MAX: Final = 1_000
REDRAWN_PER_SECOND: Final = 4.0


async def watch_job(hub: Connection, project: ProjectView, job: JobView, output: Output) -> JobView:
    """Show a job until it ends: a live picture on a terminal, lines elsewhere, JSON lines of events as data.

    Returns:
        The ended job.
    """
    board = Board(project.name, job)
    if output.live and not output.as_json:
        return await _watch_picture(hub, board, output)
    async with aclosing(follow(hub, board)) as steps:
        async for after, events in steps:
            if output.as_json:
                for event in events:
                    output.line({"type": "event", "event": event})
            for line in news(board, after):
                output.say(line)
            board = after
    return board.job


async def follow(hub: Connection, board: Board) -> AsyncGenerator[tuple[Board, Sequence[EventView]], None]:
    """Yield the board and the events since the last one, whenever something happened, until the job ended."""
    inbox = _Inbox()
    collecting = asyncio.create_task(_collect(hub, board.job, inbox))
    last_id = ""
    try:
        while True:
            # The state is asked for before the events are taken, so an ended job leaves no event unseen.
            job, tickets = await _state(hub, board.job.id)
            events = inbox.take()
            last_id = events[-1].id if events else last_id
            if job.ended:
                events += await _newer(hub, job, last_id)
            for event in events:
                board = board.with_event(event)
            board = board.with_state(job, tickets)
            yield board, events
            if job.ended:
                return
            await inbox.wait()
            if collecting.done():
                collecting.result()
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)


def show_result(job: JobView, output: Output) -> None:
    """Print what a job came to."""
    if output.as_json:
        output.line({"type": "job", "job": job})
    else:
        output.data(job_summary(job))


async def _watch_picture(hub: Connection, board: Board, output: Output) -> JobView:
    began = time.monotonic()
    shown = [board]
    live = Live(
        get_renderable=lambda: picture(shown[0], time.monotonic() - began),
        console=output.talk_console,
        refresh_per_second=REDRAWN_PER_SECOND,
        transient=True,
    )
    with live:
        async with aclosing(follow(hub, board)) as steps:
            async for after, _ in steps:
                shown[0] = after
    return shown[0].job


class _Inbox:
    """Events that arrived and were not taken yet; bounded, so that a flood waits at the other side."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[EventView] = asyncio.Queue(EVENTS_WAITING_MAX)
        self._arrived = asyncio.Event()

    async def put(self, event: EventView) -> None:
        await self._waiting.put(event)
        self._arrived.set()

    def wake(self) -> None:
        self._arrived.set()

    def take(self) -> list[EventView]:
        self._arrived.clear()
        return [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]

    async def wait(self) -> None:
        """Return soon after an event arrived, or when it is time to look anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_SECONDS):
                await self._arrived.wait()
                await asyncio.sleep(GATHER_SECONDS)


async def _collect(hub: Connection, job: JobView, inbox: _Inbox) -> None:
    try:
        async for answer in hub.history.watch_events(job.project_id, job_id=job.id):
            for recorded in answer.events:
                await inbox.put(event_view(recorded))
    finally:
        inbox.wake()


async def _state(hub: Connection, job_id: str) -> tuple[JobView, list[TicketView]]:
    job = job_view(await hub.jobs.get_job(job_id))
    return job, [ticket_view(ticket) async for ticket in hub.jobs.list_tickets(job_id)]


async def _newer(hub: Connection, job: JobView, last_id: str) -> list[EventView]:
    """The events after one of them, oldest first; all of them if it is empty."""
    newest: list[EventView] = []
    async for recorded in hub.history.list_events(job.project_id, job_id=job.id, newest_first=True):
        if recorded.event.event_id == last_id:
            break
        newest.append(event_view(recorded))
    return newest[::-1]
