# SPDX-License-Identifier: Apache-2.0
"""All commands under one name, with one help that documents the exit codes."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated, Final

import typer

from enchanted.cli import histories, jobs, projects, up, verifying
from enchanted.cli.exits import MEANING

_CODES: Final = "  \n".join(f"{code.value}  {meaning}" for code, meaning in MEANING.items())
_EPILOGUE: Final = (
    f"Exit codes:  \n{_CODES}\n\n"
    "Data goes to standard output, talk to standard error. Settings are environment variables such as "
    "ENCHANTED_DATA and ENCHANTED_PORT; docs/CONFIGURATION.md lists them."
)


def build() -> typer.Typer:
    """The application with all its commands."""
    app = typer.Typer(
        name="enchanted",
        help="A software swarm in a glass box: agents change a repository, and every decision is recorded.",
        epilog=_EPILOGUE,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    up.add_commands(app)
    app.add_typer(projects.app, name="project")
    app.add_typer(jobs.app, name="job")
    histories.add_commands(app)
    verifying.add_commands(app)
    return app


def _program(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda asked: _show_version(asked=asked),
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def _show_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"enchanted {metadata.version('enchanted')}")
        raise typer.Exit
