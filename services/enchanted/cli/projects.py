# SPDX-License-Identifier: Apache-2.0
"""``enchanted project``: brings content in, lists it, takes the result out as a patch."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from enchanted.cli.exits import ExitCode, InputError
from enchanted.cli.finding import find_project
from enchanted.cli.histories import FromMoment, ToMoment, patch_bytes
from enchanted.cli.session import Session, command
from enchanted.ids import new_id
from enchanted.platform import Connection
from enchanted.rpc import CallError
from enchanted.views import ProjectView, project_view, short_commit
from enchanted.workspace import PackedSource, pack_source

NAMES_MAX: Final = 1_000
_NAME_CHARACTERS_MAX: Final = 63
_OTHER_CONTENT: Final = "PROJECT_EXISTS"

app = typer.Typer(help="Projects: import, list, export.", no_args_is_help=True)


@command(app, "import")
async def import_project(
    session: Session,
    source: Annotated[str, typer.Argument(help="A folder, or the URL of a Git repository.")],
    *,
    name: Annotated[str, typer.Option(help="The project's name; otherwise the source's last part.")] = "",
) -> ExitCode:
    """Import a folder or a Git repository with its history; the source itself is never written."""
    async with session.connect() as hub:
        project, existed = await import_source(hub, source, name, session.output.say)
    if session.output.as_json:
        session.output.document({"project": project, "existed": existed})
        return ExitCode.DONE
    session.output.text(project.id)
    told = (
        "is there already with this content"
        if existed
        else f"imported at {short_commit(project.head_commit)}"
    )
    session.output.say(f"{project.name}: {told}; next: enchanted job run {project.name}")
    return ExitCode.DONE


@command(app, "list")
async def list_projects(session: Session) -> ExitCode:
    """List all projects."""
    async with session.connect() as hub:
        projects = [project_view(project) async for project in hub.workspace.list_projects()]
    if session.output.as_json:
        session.output.document({"projects": projects})
    elif projects:
        rows = [
            (
                project.name,
                short_commit(project.head_commit),
                project.created_time,
                project.id,
                project.source,
            )
            for project in projects
        ]
        session.output.table(("NAME", "HEAD", "IMPORTED", "ID", "SOURCE"), rows)
    else:
        session.output.say("there is no project yet; import one: enchanted project import FOLDER-OR-GIT-URL")
    return ExitCode.DONE


@command(app, "export")
async def export_project(
    session: Session,
    project: Annotated[str, typer.Argument(help="The project's name or id.")],
    *,
    patch: Annotated[bool, typer.Option("--patch", help="As a patch that `git apply` takes.")] = False,
    from_moment: FromMoment = "",
    to_moment: ToMoment = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; otherwise standard output.")
    ] = None,
) -> ExitCode:
    """Take out what was changed, as a patch."""
    if not patch:
        session.output.fail("say how to export", f"enchanted project export {project} --patch")
        return ExitCode.USAGE
    async with session.connect() as hub:
        found = await find_project(hub, project)
        content = await patch_bytes(hub, found, from_moment, to_moment)
    if output is not None:
        output.write_bytes(content)
        session.output.say(f"wrote {output}; next: git apply {output}")
    if session.output.as_json:
        shown = "" if output is not None else content.decode("utf-8", "surrogateescape")
        session.output.document(
            {"project": found, "file": str(output or ""), "size_bytes": len(content), "patch": shown}
        )
    elif output is None:
        session.output.raw(content)
    return ExitCode.DONE


async def import_source(
    hub: Connection, source: str, name: str, progress: Callable[[str], None], *, numbered: bool = False
) -> tuple[ProjectView, bool]:
    """Import a folder or the repository at an address.

    Args:
        hub: Where to.
        source: The folder or address; it is only read.
        name: For the project; the source's own if empty.
        progress: Told what is being done.
        numbered: If the source's own name belongs to other content, take that name with a number.

    Returns:
        The project, and whether it was there already with this content.

    Raises:
        PackSourceError: If it cannot be imported.
        InputError: If the name belongs to other content.
    """
    request_id = new_id("req", time.time_ns() // 1_000, os.urandom)
    with tempfile.TemporaryDirectory(prefix="enchanted-import-") as folder:
        packed = await pack_source(source, Path(folder), progress)
        told = ""
        if numbered and not name:
            name, told = await _numbered_name(hub, packed)
        try:
            imported = await hub.workspace.import_project(packed, request_id=request_id, name=name)
        except CallError as error:
            if error.reason != _OTHER_CONTENT:
                raise
            raise InputError(
                f"project '{name or packed.name}' has other content", "choose another name with --name NAME"
            ) from error
    if told and not imported.existed:
        progress(told)
    return project_view(imported.project), imported.existed


async def _numbered_name(hub: Connection, packed: PackedSource) -> tuple[str, str]:
    """The name under which this content is there already, or else the first that is free.

    Returns:
        The name, and a line that says why it is not the source's own; empty if it is.
    """
    present = {project.name: project async for project in hub.workspace.list_projects()}
    names = [packed.name, *(_with_number(packed.name, number) for number in range(2, NAMES_MAX + 1))]
    for name in names:
        found = present.get(name)
        if found is not None and packed.tree == found.imported_tree:
            return name, ""
    free = next((name for name in names if name not in present), "")
    if not free:
        raise InputError(
            f"'{packed.name}' and its numbers up to {NAMES_MAX} are taken", "choose a name with --name NAME"
        )
    if free == packed.name:
        return free, ""
    if present[packed.name].source != packed.source:
        return free, f"project {packed.name} is from another source; imported as {free}"
    kind = "folder" if packed.source.startswith("/") else "repository"
    return free, f"the {kind} has changed since project {packed.name} was imported; imported as {free}"


def _with_number(name: str, number: int) -> str:
    ending = f"-{number}"
    return name[: _NAME_CHARACTERS_MAX - len(ending)] + ending
