# SPDX-License-Identifier: Apache-2.0
"""``enchanted job``: runs the swarm on a project, and looks at what it does."""

from __future__ import annotations

from typing import Annotated

import typer

from enchanted.cli.exits import ExitCode
from enchanted.cli.finding import find_job, find_project
from enchanted.cli.session import Session, command
from enchanted.cli.summary import tickets_table
from enchanted.cli.watching import show_result, watch_job
from enchanted.platform import Connection
from enchanted.views import JobView, job_view, project_view, ticket_view

app = typer.Typer(help="Jobs: run, list, show, watch, cancel.", no_args_is_help=True)
JobArgument = Annotated[str, typer.Argument(help="The job's id.")]


@command(app, "run")
async def run_job(
    session: Session,
    project: Annotated[str, typer.Argument(help="The project's name or id.")],
    *,
    playbook: Annotated[str, typer.Option(help="What to do.")] = "modernize",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the job until it ends.")] = False,
) -> ExitCode:
    """Run the swarm on a project."""
    async with session.connect(work=watch) as hub:
        found = await find_project(hub, project)
        job = job_view(await hub.jobs.run_job(found.id, playbook))
        if watch:
            return await _watch(session, hub, job)
    if session.output.as_json:
        session.output.document({"job": job})
        return ExitCode.DONE
    session.output.text(job.id)
    waits = "" if hub.live else "; it begins when a hub runs: enchanted up --no-demo"
    session.output.say(f"{job.state}{waits}; to see it: enchanted job watch {job.id}")
    return ExitCode.DONE


@command(app, "list")
async def list_jobs(
    session: Session, *, project: Annotated[str, typer.Option(help="Only jobs of this project.")] = ""
) -> ExitCode:
    """List jobs, newest first."""
    async with session.connect() as hub:
        project_id = (await find_project(hub, project)).id if project else ""
        jobs = [job_view(job) async for job in hub.jobs.list_jobs(project_id)]
        names = {entry.project_id: entry.name async for entry in hub.workspace.list_projects()}
    if session.output.as_json:
        session.output.document({"jobs": jobs})
    elif jobs:
        rows = [
            (job.id, job.state, names.get(job.project_id, job.project_id), job.created_time, job.headline)
            for job in jobs
        ]
        session.output.table(("ID", "STATE", "PROJECT", "ASKED FOR", "RESULT"), rows)
    else:
        session.output.say("there is no job yet; run one: enchanted job run PROJECT")
    return ExitCode.DONE


@command(app, "show")
async def show_job(session: Session, job: JobArgument) -> ExitCode:
    """Show a job: its tickets, and its result with what was left out and why."""
    async with session.connect() as hub:
        found = await find_job(hub, job)
        tickets = [ticket_view(ticket) async for ticket in hub.jobs.list_tickets(found.id)]
    if session.output.as_json:
        session.output.document({"job": found, "tickets": tickets})
        return ExitCode.DONE
    show_result(found, session.output)
    session.output.data(tickets_table(tickets))
    return ExitCode.DONE


@command(app, "watch")
async def watch(session: Session, job: JobArgument) -> ExitCode:
    """Show a job until it ends, then its result; the exit code says how it ended."""
    async with session.connect(work=True) as hub:
        return await _watch(session, hub, await find_job(hub, job))


@command(app, "cancel")
async def cancel_job(
    session: Session,
    job: JobArgument,
    *,
    reason: Annotated[
        str, typer.Option(help="Why; kept in the history.")
    ] = "cancelled from the command line",
) -> ExitCode:
    """Cancel a job; what it changed so far stays, and is in the history."""
    async with session.connect() as hub:
        found = await find_job(hub, job)
        cancelled = job_view(await hub.jobs.cancel_job(found.id, reason))
    if session.output.as_json:
        session.output.document({"job": cancelled})
    else:
        session.output.text(f"{cancelled.id} {cancelled.state}")
    return ExitCode.DONE


async def _watch(session: Session, hub: Connection, job: JobView) -> ExitCode:
    goes_on = "it goes on" if hub.live else "it is kept and goes on when a hub runs"
    session.farewell = f"stopped watching {job.id}; {goes_on}; to see it: enchanted job watch {job.id}"
    project = project_view(await hub.workspace.get_project(job.project_id))
    ended = await watch_job(hub, project, job, session.output)
    show_result(ended, session.output)
    return ExitCode.DONE if ended.state == "succeeded" else ExitCode.ENDED_BADLY
