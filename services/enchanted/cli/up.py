# SPDX-License-Identifier: Apache-2.0
"""``enchanted up``: the whole platform on this machine, and its main job from beginning to end.

A first try must not need a manual: one command starts the hub, imports a repository, runs the swarm on it,
shows what it does, sums it up, proves the history, and says how to look further. Said again, it goes on with
what was not finished, and repeats no work that was.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from enchanted import platform
from enchanted.cli.exits import ExitCode, InputError
from enchanted.cli.output import Output
from enchanted.cli.projects import import_source
from enchanted.cli.session import Session, command
from enchanted.cli.verifying import show_checks, store_checks, verify_project
from enchanted.cli.watching import show_result, watch_job
from enchanted.platform import Connection
from enchanted.views import JobView, ProjectView, job_view, short_commit

PLAYBOOK: Final = "modernize"
SAMPLE: Final = Path("tests/fixtures/sample_project")


def add_commands(app: typer.Typer) -> None:
    """Add the command of this module."""
    command(app, "up")(up)


async def up(
    session: Session,
    *,
    repo: Annotated[
        str,
        typer.Option(help="A folder, or the URL of a Git repository; otherwise the sample of a checkout."),
    ] = "",
    name: Annotated[str, typer.Option(help="The project's name; otherwise the source's last part.")] = "",
    end: Annotated[bool, typer.Option("--exit", help="End after the job instead of serving on.")] = False,
    no_demo: Annotated[
        bool, typer.Option("--no-demo", help="Only serve: import nothing, run no job.")
    ] = False,
) -> ExitCode:
    """Start the platform, run the main job on a repository, show it, sum it up, verify it, and serve on."""
    if no_demo and repo:
        session.output.fail("--no-demo runs no job, so it takes no --repo", "leave out one of the two")
        return ExitCode.USAGE
    source = "" if no_demo else repo or _sample()
    async with AsyncExitStack() as stack:
        hub = await _start(session, stack, will_work=bool(source))
        serves_on = hub.reached or not end
        code = ExitCode.DONE
        if source:
            code = await _main_job(session, hub, source, name, serves_on=serves_on)
        if end or hub.reached:
            return code
        session.farewell = "stopped serving; everything is kept; to serve again: enchanted up"
        session.output.say(f"\nserving {hub.url}; Ctrl-C ends it")
        await asyncio.Event().wait()
        return code


def _sample() -> str:
    if SAMPLE.is_dir():
        return str(SAMPLE)
    raise InputError(
        "there is no sample project here", "name a repository: enchanted up --repo FOLDER-OR-GIT-URL"
    )


async def _start(session: Session, stack: AsyncExitStack, *, will_work: bool) -> Connection:
    session.farewell = "stopped before anything was done"
    hub = await platform.reach(session.settings, stack)
    if hub is None:
        if will_work:
            await platform.check_sandbox()
        hub = await stack.enter_async_context(platform.hosted(session.settings))
        told = f"the hub serves {hub.url}; its folder is {session.settings.data}"
    else:
        told = f"process {hub.pid} serves this folder already at {hub.url}; using it"
    if session.output.as_json:
        session.output.line({"type": "hub", "url": hub.url, "pid": hub.pid, "started": not hub.reached})
    session.output.say(told)
    return hub


async def _main_job(
    session: Session, hub: Connection, source: str, name: str, *, serves_on: bool
) -> ExitCode:
    output = session.output
    project, existed = await import_source(hub, source, name, output.say, numbered=True)
    if output.as_json:
        output.line({"type": "project", "project": project, "existed": existed})
    output.say(
        f"project {project.name}, {'as imported before' if existed else 'imported'} from {project.source}"
    )
    job, is_new = await _job_of(hub, project, existed=existed, output=output)
    session.farewell = (
        f"stopped; what job {job.id} did is kept and it goes on with the next: enchanted up"
        if not job.ended
        else "stopped; everything is kept"
    )
    job = await watch_job(hub, project, job, output) if not job.ended else job
    show_result(job, output)
    if not is_new:
        output.say(f"this content was done before; to run it anew: enchanted job run {project.name} --watch")
    output.say("\nverifying the history and the content")
    checks = await store_checks(session.settings)
    checks += [found async for found in verify_project(hub, session.settings, project)]
    verified = show_checks(checks, output, in_stream=True)
    _say_how_to_look_further(hub.url if serves_on else "", project, job, output)
    return verified if job.state == "succeeded" else ExitCode.ENDED_BADLY


async def _job_of(
    hub: Connection, project: ProjectView, *, existed: bool, output: Output
) -> tuple[JobView, bool]:
    """The job to show: an unfinished one, the one that did this content before, or a new one.

    Returns:
        The job, and whether it still has something to do.
    """
    newest: JobView | None = None
    async for entry in hub.jobs.list_jobs(project.id):
        newest = job_view(entry)
        break
    if newest is not None and not newest.ended:
        output.say(f"going on with job {newest.id}")
        return newest, True
    if existed and newest is not None and newest.state == "succeeded":
        return job_view(await hub.jobs.get_job(newest.id)), False
    return job_view(await hub.jobs.run_job(project.id, PLAYBOOK)), True


def _say_how_to_look_further(url: str, project: ProjectView, job: JobView, output: Output) -> None:
    lines = [
        f"enchanted diff {project.name}",
        f"enchanted history {project.name} --job {job.id}",
        f"enchanted replay {project.name} --at {short_commit(project.imported_commit)} --into FOLDER",
        f"enchanted project export {project.name} --patch -o changes.patch",
    ]
    pages = [
        f"{url}/jobs/{job.id}",
        f"{url}/projects/{project.id}",
        f"git clone {url}/git/local/{project.name}",
    ]
    output.say("\nto look further:")
    for line in (*(pages if url else ()), *lines):
        output.say(f"  {line}")
