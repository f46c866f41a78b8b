# SPDX-License-Identifier: Apache-2.0
"""``enchanted history``, ``replay`` and ``diff``: what happened, how it was, what changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from enchanted.cli.exits import ExitCode
from enchanted.cli.finding import find_project
from enchanted.cli.output import Output, clean
from enchanted.cli.session import Session, command
from enchanted.generated.history.v1 import history_pb2
from enchanted.platform import Connection
from enchanted.views import EventView, ProjectView, event_view, moment_view, place_text, short_commit
from enchanted.workspace.client import materialise

MOMENT_HELP: Final = "A time, a place, an event, a commit, an age such as -5m, or now"
FromMoment = Annotated[str, typer.Option("--from", help=f"{MOMENT_HELP}; otherwise the imported state.")]
ToMoment = Annotated[str, typer.Option("--to", help=f"{MOMENT_HELP}; otherwise now.")]
ProjectArgument = Annotated[str, typer.Argument(help="The project's name or id.")]
_LINE_STYLES: Final = {"+": "green", "-": "red", "@": "cyan", "d": "bold"}


def add_commands(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for name, work in (("history", show_history), ("replay", replay), ("diff", show_diff)):
        command(app, name)(work)


async def show_history(
    session: Session,
    project: ProjectArgument,
    *,
    job: Annotated[str, typer.Option(help="Only events of this job.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many of the newest events.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with events as they happen.")] = False,
) -> ExitCode:
    """Show what happened: every decision with its reasons, every change, every signal."""
    output = session.output
    async with session.connect() as hub:
        found = await find_project(hub, project)
        newest = [event_view(entry) async for entry in _newest(hub, found, job, limit)]
        if follow:
            session.farewell = "stopped following; the history goes on"
            await _follow(hub, found, job, newest, output)
    if output.as_json:
        output.document({"project": found, "events": newest[::-1]})
        return ExitCode.DONE
    for event in reversed(newest):
        _show_event(event, output)
    if not newest:
        output.say("nothing happened yet")
    return ExitCode.DONE


async def _newest(
    hub: Connection, project: ProjectView, job: str, limit: int
) -> AsyncIterator[history_pb2.RecordedEvent]:
    left = limit
    async for recorded in hub.history.list_events(project.id, job_id=job, newest_first=True):
        yield recorded
        left -= 1
        if not left:
            return


async def _follow(
    hub: Connection, project: ProjectView, job: str, newest: Sequence[EventView], output: Output
) -> None:
    """Show the newest events and then all that come, in one stream, so that none falls between two calls."""
    wanted = {event.id for event in newest}
    past = bool(wanted)
    async for answer in hub.history.watch_events(project.id, job_id=job):
        for recorded in answer.events:
            past = past and recorded.event.event_id not in wanted
            if not past:
                _show_event(event_view(recorded), output)


async def replay(
    session: Session,
    project: ProjectArgument,
    *,
    at: Annotated[str, typer.Option("--at", help=f"{MOMENT_HELP}.")],
    into: Annotated[
        Path | None, typer.Option(help="The folder to write, new or empty; otherwise PROJECT-COMMIT here.")
    ] = None,
) -> ExitCode:
    """Write the project exactly as it was at a moment into a folder."""
    async with session.connect() as hub:
        found = await find_project(hub, project)
        resolved = await hub.workspace.resolve_moment(found.id, at)
        moment = moment_view(resolved)
        folder = into if into is not None else Path(f"{found.name}-{short_commit(moment.commit)}")
        # The state's own place: a relative age would name another moment a second later.
        state = place_text(resolved.root_incarnation, resolved.root_versionstamp)
        await materialise(hub.workspace, found.id, state, folder)
    if session.output.as_json:
        session.output.document({"project": found, "moment": moment, "folder": str(folder)})
        return ExitCode.DONE
    session.output.text(str(folder))
    session.output.say(f"{found.name} as of {moment.time}: commit {short_commit(moment.commit)}")
    return ExitCode.DONE


async def show_diff(
    session: Session, project: ProjectArgument, *, from_moment: FromMoment = "", to_moment: ToMoment = ""
) -> ExitCode:
    """Show what changed between two moments."""
    async with session.connect() as hub:
        found = await find_project(hub, project)
        content = await patch_bytes(hub, found, from_moment, to_moment)
    output = session.output
    if output.as_json:
        patch = content.decode("utf-8", "surrogateescape")
        output.document({"project": found, "from": from_moment, "to": to_moment, "patch": patch})
    elif output.data_console.is_terminal:
        for line in content.decode("utf-8", "replace").splitlines():
            output.data(Text(clean(line), _LINE_STYLES.get(line[:1], "")))
    else:
        output.raw(content)
    if not content:
        output.say("nothing changed")
    return ExitCode.DONE


async def patch_bytes(hub: Connection, project: ProjectView, from_moment: str, to_moment: str) -> bytes:
    """The patch between two moments, as Git writes it."""
    return b"".join([part async for part in hub.workspace.diff(project.id, from_moment, to_moment)])


def _show_event(event: EventView, output: Output) -> None:
    if output.as_json:
        output.line({"type": "event", "event": event})
    else:
        output.text(f"{event.time}  {event.role:<12} {event.summary}")
