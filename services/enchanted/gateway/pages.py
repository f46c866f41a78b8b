# SPDX-License-Identifier: Apache-2.0
"""The pages: projects, jobs and their history, plain, until the web app takes their place.

Each page asks the rooms' clients, turns answers into views and renders one template. Every list is bounded
and says so where it was cut.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import Environment
from starlette.exceptions import HTTPException

from enchanted.gateway.rendering import PATCH_LINES_MAX, patch_files
from enchanted.gateway.rooms import Rooms
from enchanted.views import ProjectView, event_view, job_view, moment_view, project_view, ticket_view

T = TypeVar("T")

PROJECTS_MAX: Final = 500
JOBS_MAX: Final = 100
MOMENTS_MAX: Final = 200
EVENTS_MAX: Final = 100
NEWEST_EVENTS: Final = 25
JOB_EVENTS_MAX: Final = 500
TICKETS_MAX: Final = 1_000
PATCH_BYTES_SHOWN: Final = 1 << 20
PAGES_MAX: Final = 100
EVENTS_SCANNED_MAX: Final = 20_000
MOMENT_CHARACTERS_MAX: Final = 200
_SCAN_PAGE: Final = 1_000
FromMoment = Annotated[str, Query(alias="from", max_length=MOMENT_CHARACTERS_MAX)]
ToMoment = Annotated[str, Query(alias="to", max_length=MOMENT_CHARACTERS_MAX)]
PageNumber = Annotated[int, Query(ge=1, le=PAGES_MAX)]


def router(rooms: Rooms, environment: Environment, git_url: str) -> APIRouter:
    """The routes of all pages.

    Args:
        rooms: Where the pages get what they show.
        environment: Their templates.
        git_url: Where Git is mounted, as a person writes it, without a slash at the end.
    """
    pages = Pages(rooms, environment, git_url)
    routes = APIRouter(default_response_class=HTMLResponse)
    for path, page in (
        ("/", pages.home),
        ("/projects/{project_id}", pages.project),
        ("/projects/{project_id}/history", pages.history),
        ("/projects/{project_id}/events/{event_id}", pages.event),
        ("/projects/{project_id}/diff", pages.diff),
        ("/projects/{project_id}/changes.patch", pages.patch),
        ("/jobs/{job_id}", pages.job),
    ):
        routes.add_api_route(path, page, methods=["GET", "HEAD"], response_model=None)
    return routes


class Pages:
    """One method a page."""

    def __init__(self, rooms: Rooms, environment: Environment, git_url: str) -> None:
        self._rooms = rooms
        self._environment = environment
        self._git_url = git_url

    async def home(self) -> Response:
        """All projects and jobs."""
        projects = await take(self._rooms.workspace.list_projects(), PROJECTS_MAX)
        jobs = await take(self._rooms.jobs.list_jobs(), JOBS_MAX)
        return self._page(
            "home.html",
            projects=[project_view(project) for project in projects],
            jobs=[job_view(job) for job in jobs],
        )

    async def project(self, project_id: str) -> Response:
        """A project: how to clone it, its jobs, its states, its newest events."""
        project = await self._project(project_id)
        jobs = await take(self._rooms.jobs.list_jobs(project.id), JOBS_MAX)
        moments = await take(self._rooms.workspace.list_moments(project.id), MOMENTS_MAX)
        events = await take(self._rooms.history.list_events(project.id, newest_first=True), NEWEST_EVENTS)
        return self._page(
            "project.html",
            project=project,
            clone_url=f"{self._git_url}/local/{project.name}",
            jobs=[job_view(job) for job in jobs],
            moments=[moment_view(moment) for moment in moments],
            all_moments=len(moments) < MOMENTS_MAX,
            events=[event_view(event) for event in events],
        )

    async def diff(
        self,
        project_id: str,
        from_moment: FromMoment = "",
        to_moment: ToMoment = "",
    ) -> Response:
        """What changed between two moments."""
        project = await self._project(project_id)
        shown = b""
        async for part in self._rooms.workspace.diff(project.id, from_moment, to_moment):
            shown += part
            if len(shown) > PATCH_BYTES_SHOWN:
                break
        cut = len(shown) > PATCH_BYTES_SHOWN or shown.count(b"\n") > PATCH_LINES_MAX
        return self._page(
            "diff.html",
            project=project,
            from_moment=from_moment,
            to_moment=to_moment,
            files=patch_files(shown[:PATCH_BYTES_SHOWN].decode("utf-8", "replace")),
            cut=cut,
        )

    async def patch(
        self, project_id: str, from_moment: FromMoment = "", to_moment: ToMoment = ""
    ) -> Response:
        """The same as a patch that ``git apply`` takes."""
        project = await self._project(project_id)
        parts = self._rooms.workspace.diff(project.id, from_moment, to_moment)
        # The first part is awaited here, so that a moment that does not exist is still answered as a page.
        first = await anext(parts, b"")

        async def content() -> AsyncIterator[bytes]:
            yield first
            async for part in parts:
                yield part

        return StreamingResponse(content(), media_type="text/plain; charset=utf-8")

    async def history(self, project_id: str, page: PageNumber = 1) -> Response:
        """A page of a project's events, newest first."""
        project = await self._project(project_id)
        events = self._rooms.history.list_events(project.id, newest_first=True, page_size=EVENTS_MAX)
        found = await take(events, EVENTS_MAX + 1, skip=(page - 1) * EVENTS_MAX)
        return self._page(
            "history.html",
            project=project,
            events=[event_view(event) for event in found[:EVENTS_MAX]],
            number=page,
            more=len(found) > EVENTS_MAX and page < PAGES_MAX,
            cut=len(found) > EVENTS_MAX and page == PAGES_MAX,
        )

    async def event(self, project_id: str, event_id: str, ticket: str = "", job: str = "") -> Response:
        """One event in full; ``ticket`` or ``job`` say in which part of the history it stands."""
        project = await self._project(project_id)
        events = self._rooms.history.list_events(
            project.id, newest_first=True, ticket_id=ticket, job_id=job, page_size=_SCAN_PAGE
        )
        scanned = 0
        async for recorded in events:
            scanned += 1
            if recorded.event.event_id == event_id:
                return self._page("event.html", project=project, event=event_view(recorded))
            if scanned == EVENTS_SCANNED_MAX:
                break
        raise HTTPException(HTTPStatus.NOT_FOUND)

    async def job(self, job_id: str) -> Response:
        """A job: its summary, what was left out and why, its decisions, its tickets."""
        job = job_view(await self._rooms.jobs.get_job(job_id))
        project = await self._project(job.project_id)
        tickets = await take(self._rooms.jobs.list_tickets(job.id), TICKETS_MAX)
        events = await take(
            self._rooms.history.list_events(project.id, job_id=job.id, newest_first=True), JOB_EVENTS_MAX
        )
        views = [event_view(event) for event in events]
        return self._page(
            "job.html",
            job=job,
            project=project,
            tickets=[ticket_view(ticket) for ticket in tickets],
            all_tickets=len(tickets) < TICKETS_MAX,
            decisions=[event for event in views if event.decision is not None],
            all_decisions=len(events) < JOB_EVENTS_MAX,
        )

    async def _project(self, project_id: str) -> ProjectView:
        return project_view(await self._rooms.workspace.get_project(project_id))

    def _page(self, template: str, **shown: object) -> Response:
        return HTMLResponse(self._environment.get_template(template).render(shown))


async def take(items: AsyncIterator[T], limit: int, skip: int = 0) -> list[T]:
    """The first items after some, at most so many."""
    taken: list[T] = []
    position = 0
    async for item in items:
        position += 1
        if position > skip:
            taken.append(item)
        if len(taken) == limit:
            break
    return taken
