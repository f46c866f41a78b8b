# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/CLI.md`` and ``docs/CONFIGURATION.md`` from the commands, views and settings themselves.

A reference written by hand is right on the day it is written. Run it by hand after a change::

    python -m enchanted.cli.reference docs

A test fails while the pages in the repository are not what this module says.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer

from enchanted import settings, views
from enchanted.cli.application import build
from enchanted.cli.exits import MEANING

COMMANDS_PAGE: Final = "CLI.md"
SETTINGS_PAGE: Final = "CONFIGURATION.md"
COMMON_OPTIONS: Final = frozenset({"json", "quiet", "no_input", "help"})

SHAPES: Final[Mapping[str, str]] = {
    "up": "lines: "
    '`{"type": "hub", "url", "pid", "started"}`, `{"type": "project", "project": Project, "existed"}`, '
    '`{"type": "event", "event": Event}` for each event, `{"type": "job", "job": Job}`, '
    '`{"type": "verification", "passed", "checks": [{"scope", "check": Check}]}`',
    "project import": '`{"project": Project, "existed": boolean}`',
    "project list": '`{"projects": [Project]}`',
    "project export": '`{"project": Project, "file", "size_bytes", "patch"}`; with `--output` no `patch`',
    "job run": '`{"job": Job}`; with `--watch` lines as of `job watch`',
    "job list": '`{"jobs": [Job]}`; without edits and tests, which `job show` has',
    "job show": '`{"job": Job, "tickets": [Ticket]}`',
    "job watch": 'lines: `{"type": "event", "event": Event}` for each, then `{"type": "job", "job": Job}`',
    "job cancel": '`{"job": Job}`',
    "history": '`{"project": Project, "events": [Event]}`, oldest first; with `--follow` lines: '
    '`{"type": "event", "event": Event}`',
    "replay": '`{"project": Project, "moment": Moment, "folder"}`',
    "diff": '`{"project": Project, "from", "to", "patch"}`',
    "verify": '`{"passed": boolean, "checks": [{"scope", "check": Check}]}`; `scope` is `store`, '
    "or a project's name and `history` or `content`",
}
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+)$", re.MULTILINE)

_HEAD: Final = """# The command line

Data goes to standard output, talk to standard error. Colours follow `NO_COLOR`. Ctrl-C ends every command
within two seconds and says what was kept.

A command reaches the hub that serves its folder (`ENCHANTED_DATA`), or, when none does, opens the folder
itself for as long as it runs. What else can be set is in [CONFIGURATION.md](CONFIGURATION.md).

Every command takes `--json` (data as JSON, in the shapes below), `--quiet` or `-q` (no talk on standard
error), `--no-input` (never ask; no command asks today) and `--help` or `-h`. `enchanted --version` shows the
version.

A moment is `now`, a time (RFC 3339; without an offset it is UTC), an age such as `-5m`, `-2h` or `-1d`, a
place of the history, an event's id, or a commit's id.

## Exit codes

| code | meaning |
|---|---|"""


def commands_page() -> str:
    """The page on the command line."""
    codes = [f"| {code.value} | {meaning} |" for code, meaning in MEANING.items()]
    sections = [section for path, command in commands() for section in _command(path, command)]
    values = [section for view in _views() for section in _value(view)]
    heading = "\n## Values in JSON\n\nTimes are RFC 3339 in UTC, empty where there is none yet.\n"
    return "\n".join((_HEAD, *codes, "\n## Commands", *sections, heading, *values))


def commands() -> Iterator[tuple[str, Any]]:
    """All commands with their paths, such as ``job run``."""
    yield from _walk(typer.main.get_command(build()), "")


def main() -> None:
    """Write both pages into the folder that the argument names."""
    folder = Path(sys.argv[1])
    (folder / COMMANDS_PAGE).write_text(commands_page(), "utf-8")
    (folder / SETTINGS_PAGE).write_text(settings.reference(), "utf-8")


def _walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - typer keeps its class private
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, entry in inner.items():
        yield from _walk(entry, f"{path} {name}".strip())


def _command(path: str, command: Any) -> Iterator[str]:  # noqa: ANN401 - typer keeps its class private
    arguments = [entry for entry in command.params if entry.param_type_name == "argument"]
    options = [entry for entry in command.params if entry.param_type_name == "option"]
    options = [entry for entry in options if entry.name not in COMMON_OPTIONS]
    usage = [_argument(entry) for entry in arguments]
    yield f"\n### {' '.join(('enchanted', path, *usage))}\n\n{command.help}\n"
    if arguments or options:
        yield "| | |\n|---|---|"
    for entry in arguments:
        yield f"| `{entry.name.upper()}` | {entry.help} |"
    for entry in options:
        written = ", ".join(f"`{name}`" for name in entry.opts)
        default = f" Default: `{entry.default}`." if entry.default not in (None, "", False) else ""
        needed = " Must be given." if entry.required else ""
        yield f"| {written} | {entry.help}{default}{needed} |"
    if arguments or options:
        yield ""
    yield f"JSON: {SHAPES[path]}"


def _argument(entry: Any) -> str:  # noqa: ANN401 - typer keeps its class private
    return entry.name.upper() if entry.required else f"[{entry.name.upper()}]"


def _views() -> Iterator[type]:
    for name in views.__all__:
        view = getattr(views, name)
        if isinstance(view, type) and dataclasses.is_dataclass(view):
            yield view


def _value(view: type) -> Iterator[str]:
    text = inspect.getdoc(view) or ""
    first_line = text.partition("\n")[0]
    yield f"### {view.__name__.removesuffix('View')}\n\n{first_line}\n\n| field | |\n|---|---|"
    told = dict(_ATTRIBUTE.findall(text))
    for entry in dataclasses.fields(view):
        yield f"| `{entry.name}` | {told[entry.name]} |"
    yield ""


if __name__ == "__main__":
    main()
