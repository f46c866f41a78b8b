# SPDX-License-Identifier: Apache-2.0
"""Templates and what they need: short times, short commits, a patch as lines with kinds.

Everything that is shown was written by others, so templates escape whatever they print; a patch is turned
into plain values here, and no function makes HTML.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from enchanted.views import short_commit, suite_text

SUMMARY_CHARACTERS_MAX: Final = 300
PATCH_LINES_MAX: Final = 5_000
_FILE: Final = "diff --git "
_UNKNOWN: Final = "changes"


@dataclass(frozen=True, slots=True)
class PatchLine:
    """One line of a patch.

    Attributes:
        kind: ``added``, ``removed``, ``place``, ``note`` or ``same``.
        text: The line with its sign.
    """

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class PatchFile:
    """The changes to one file."""

    path: str
    lines: tuple[PatchLine, ...]


def templates() -> Environment:
    """The pages' templates; every variable is escaped, and one that is not given is an error."""
    environment = Environment(
        loader=PackageLoader("enchanted.gateway"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        enable_async=False,
    )
    environment.filters.update(
        patch_files=patch_files,
        short_commit=short_commit,
        short_time=short_time,
        shortened=shortened,
        suite_text=suite_text,
    )
    return environment


def short_time(text: str) -> str:
    """An RFC 3339 time for reading: date and time to the second."""
    return text[:19].replace("T", " ")


def shortened(text: str) -> str:
    """A text cut for a table."""
    return text if len(text) <= SUMMARY_CHARACTERS_MAX else text[: SUMMARY_CHARACTERS_MAX - 1] + "…"


def patch_files(patch: str) -> tuple[PatchFile, ...]:
    """A unified diff by file, at most ``PATCH_LINES_MAX`` lines of it."""
    return tuple(PatchFile(_path(lines), tuple(_classified(lines))) for lines in _by_file(patch))


def _by_file(patch: str) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in patch.rstrip("\n").split("\n")[:PATCH_LINES_MAX]:
        if line.startswith(_FILE) and lines:
            yield lines
            lines = []
        lines.append(line)
    if any(lines):
        yield lines


def _path(lines: list[str]) -> str:
    """The file's name after the change, or before it where it was removed."""
    named = [_name(line) for line in _head(lines) if line.startswith(("--- ", "+++ ", "rename to "))]
    there = [name for name in named if name != "/dev/null"]
    return there[-1] if there else lines[0].removeprefix(_FILE).partition(" b/")[2] or _UNKNOWN


def _name(line: str) -> str:
    path = line.removeprefix("--- ").removeprefix("+++ ").removeprefix("rename to ").partition("\t")[0]
    return path[2:] if path.startswith(("a/", "b/")) else path


def _head(lines: list[str]) -> list[str]:
    return list(itertools.takewhile(lambda line: not line.startswith("@@"), lines))


def _classified(lines: list[str]) -> Iterator[PatchLine]:
    head = _head(lines)
    yield from (PatchLine("note", line) for line in head)
    yield from (PatchLine(_KINDS.get(line[:1], "note"), line) for line in lines[len(head) :])


_KINDS: Final = {"+": "added", "-": "removed", " ": "same", "@": "place", "": "same"}
