# SPDX-License-Identifier: Apache-2.0
"""``enchanted verify``: proves that what is kept is what was recorded, from the bytes on disk to the history.

Three layers can lie for each other: a store may return a changed value, a history may be rewritten whole, and
a project may not be what its history says. So each is checked by its own means, and the history also against
the last checkpoint that this machine remembers. What cannot be checked has not passed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

import grpc
import typer

from enchanted import platform
from enchanted.cli.checkpoints import SeenCheckpoints
from enchanted.cli.exits import ExitCode, explain
from enchanted.cli.finding import find_project
from enchanted.cli.output import Output
from enchanted.cli.session import Session, command
from enchanted.cli.summary import checks_summary
from enchanted.platform import Connection, StoreUnusableError
from enchanted.rpc import CallError
from enchanted.settings import Settings
from enchanted.views import CheckView, ProjectView, check_view, project_view

STORE: Final = "store"
ScopedCheck = tuple[str, CheckView]
# Failures of a call that mean damage; others mean that nothing could be asked.
_DAMAGE: Final = frozenset(
    {
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


def add_commands(app: typer.Typer) -> None:
    """Add the command of this module."""
    command(app, "verify")(verify)


async def verify(
    session: Session,
    project: Annotated[str, typer.Argument(help="The project's name or id; otherwise all projects.")] = "",
) -> ExitCode:
    """Check the store's files, every history and every project's content; exit code 0 only if all hold."""
    session.farewell = "verification was stopped before its end; nothing was changed"
    output = session.output
    checks: list[ScopedCheck] = []
    try:
        checks += await store_checks(session.settings)
        async with session.connect() as hub:
            if project:
                projects = [await find_project(hub, project)]
            else:
                projects = [project_view(entry) async for entry in hub.workspace.list_projects()]
            for entry in projects:
                checks += [found async for found in verify_project(hub, session.settings, entry)]
    except (StoreUnusableError, CallError) as error:
        checks.append((STORE, _not_passed("can be read", error)))
    return show_checks(checks, output)


async def store_checks(settings: Settings) -> list[ScopedCheck]:
    """Check the store's files on the disk."""
    return [(STORE, check) for check in await platform.check_store(settings)]


async def verify_project(
    hub: Connection, settings: Settings, project: ProjectView
) -> AsyncIterator[ScopedCheck]:
    """Check a project's history and content; a check that cannot be made has not passed."""
    seen = SeenCheckpoints(settings.data)
    recorded, content = f"{project.name} history", f"{project.name} content"
    try:
        answer = await hub.history.verify_log(project.id, last_seen_note=seen.read(project.id))
        for check in answer.checks:
            yield recorded, check_view(check)
        if answer.note and all(check.passed for check in answer.checks):
            seen.keep(project.id, answer.note)
    except CallError as error:
        yield recorded, _not_passed("can be read", error)
    try:
        for check in await hub.workspace.verify_project(project.id):
            yield content, check_view(check)
    except CallError as error:
        yield content, _not_passed("can be read", error)


def show_checks(checks: Sequence[ScopedCheck], output: Output, *, in_stream: bool = False) -> ExitCode:
    """Print the checks, and say by the exit code whether all passed.

    Args:
        checks: What was checked.
        output: Where it is printed.
        in_stream: Whether the JSON is one line of a stream.
    """
    passed = all(check.passed for _, check in checks)
    shown = {"passed": passed, "checks": [{"scope": scope, "check": check} for scope, check in checks]}
    if output.as_json and in_stream:
        output.line({"type": "verification", **shown})
    elif output.as_json:
        output.document(shown)
    else:
        output.data(checks_summary(checks))
    failed = sum(not check.passed for _, check in checks)
    told = f"all {len(checks)} checks passed" if passed else f"{failed} of {len(checks)} checks FAILED"
    output.say(told if checks else "there is nothing to verify yet")
    return ExitCode.DONE if passed else ExitCode.ENDED_BADLY


def _not_passed(name: str, error: CallError | StoreUnusableError) -> CheckView:
    if isinstance(error, CallError) and error.code not in _DAMAGE:
        raise error
    return CheckView(name, passed=False, detail=explain(error).text)
