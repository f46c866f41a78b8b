# SPDX-License-Identifier: Apache-2.0
"""What a rule looks at and what it answers: one source file, read and parsed once, and findings in it.

Names are resolved to where they were imported from before rules compare them, so that an alias
(`import time as t`, `from uuid import uuid4`) hides nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

PACKAGE = "enchanted"
SHIPPED = PurePosixPath("services") / PACKAGE
GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a rule."""

    line: int
    message: str
    instead: str


@dataclass(frozen=True, slots=True)
class Names:
    """Dotted names under `enchanted`.

    Attributes:
        modules: All modules and packages.
        public: What the rooms' packages list in `__all__`, modules among it.
    """

    modules: frozenset[str]
    public: frozenset[str]


@dataclass(frozen=True, slots=True)
class Source:
    """One source file.

    Attributes:
        path: Where it is, relative to the root of the repository.
        text: Its whole text.
        tree: Its syntax tree; empty for files that are not Python.
        names: The dotted names that rules compare with.
    """

    path: PurePosixPath
    text: str
    tree: ast.Module
    names: Names

    @property
    def inside(self) -> tuple[str, ...]:
        """The path's parts under `services/enchanted`, empty for anything else or for generated code."""
        if not self.path.is_relative_to(SHIPPED):
            return ()
        parts = self.path.relative_to(SHIPPED).parts
        return () if parts[0] == GENERATED else parts

    @property
    def room(self) -> str | None:
        """The room that the file belongs to; None for `platform.py` and whatever is in no room."""
        parts = self.inside
        return parts[0] if len(parts) > 1 else None


class Rule(Protocol):
    """A rule: a name to search for, and a check of one file."""

    name: str

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding for each breach in `source`."""
        ...


@dataclass(frozen=True, slots=True)
class Imported:
    """One imported thing.

    Attributes:
        line: Where the statement is.
        module: The dotted module named, made absolute.
        name: What is taken from the module; None for `import module`.
    """

    line: int
    module: str
    name: str | None

    @property
    def dotted(self) -> str:
        """The full dotted name of what is imported."""
        return self.module if self.name is None else f"{self.module}.{self.name}"


def imports(source: Source) -> Iterator[Imported]:
    """Yield everything that a file imports, wherever in it the statement stands."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(node.lineno, alias.name, None)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(source, node)
            for alias in node.names:
                yield Imported(node.lineno, module, alias.name)


def origins(source: Source) -> dict[str, str]:
    """Return the dotted origin of each local name that an import makes."""
    found: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                found[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(source, node)
            found.update({alias.asname or alias.name: f"{module}.{alias.name}" for alias in node.names})
    return found


def dotted_name(node: ast.expr, names: dict[str, str]) -> str | None:
    """Return the dotted origin of `a.b.c`, or None if its first name was not imported."""
    trailing: list[str] = []
    while isinstance(node, ast.Attribute):
        trailing.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    return ".".join([names[node.id], *reversed(trailing)])


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    """Return the module of a `from` import as an absolute dotted name."""
    if node.level == 0:
        return node.module or ""
    package = [PACKAGE, *source.inside[:-1]]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def parse(path: PurePosixPath, text: str, names: Names) -> Source:
    """Return a file's text as rules look at it.

    Args:
        path: Where the file is, relative to the root of the repository.
        text: Its whole text.
        names: The dotted names that rules compare with.
    """
    is_python = path.suffix == ".py"
    tree = ast.parse(text, filename=str(path)) if is_python else ast.Module(body=[], type_ignores=[])
    return Source(path, text, tree, names)
