# SPDX-License-Identifier: Apache-2.0
"""Finds what a person named, and says what they may have meant when it is not there."""

from __future__ import annotations

import difflib
from typing import Final

import grpc

from enchanted.cli.exits import InputError
from enchanted.platform import Connection
from enchanted.rpc import CallError
from enchanted.views import JobView, ProjectView, job_view, project_view

NAMES_COMPARED_MAX: Final = 1_000


async def find_project(hub: Connection, text: str) -> ProjectView:
    """The project of that name or id.

    Raises:
        InputError: If there is none; the hint names one that is spelled alike.
    """
    try:
        return project_view(await hub.workspace.get_project(text))
    except CallError as error:
        if error.code not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}:
            raise
        names = await _project_names(hub)
        raise InputError(f"there is no project '{text}'", _did_you_mean(text, names)) from error


async def find_job(hub: Connection, text: str) -> JobView:
    """The job of that id.

    Raises:
        InputError: If there is none.
    """
    try:
        return job_view(await hub.jobs.get_job(text))
    except CallError as error:
        if error.code not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}:
            raise
        raise InputError(f"there is no job '{text}'", "list them: enchanted job list") from error


async def _project_names(hub: Connection) -> list[str]:
    names = []
    async for project in hub.workspace.list_projects():
        names.append(project.name)
        if len(names) == NAMES_COMPARED_MAX:
            break
    return names


def _did_you_mean(text: str, names: list[str]) -> str:
    alike = difflib.get_close_matches(text, names, n=1)
    if alike:
        return f"did you mean '{alike[0]}'?"
    if names:
        return "list them: enchanted project list"
    return "import one: enchanted project import FOLDER-OR-GIT-URL"
