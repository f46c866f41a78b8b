# SPDX-License-Identifier: Apache-2.0
"""Find the files that rules apply to, and apply them.

Fixtures are left out: they are other people's projects as the tests pretend, with faults on purpose.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from tests.house_rules.source import PACKAGE, SHIPPED, Finding, Names, Rule, Source, parse

TOPS = ("services", "tests", "proto")
SUFFIXES = frozenset({".py", ".proto"})
FIXTURES = PurePosixPath("tests/fixtures")


def names(root: Path) -> Names:
    """Return the dotted names of all modules under `enchanted`, and of what its packages make public."""
    modules: set[str] = set()
    public: set[str] = set()
    for path in (root / SHIPPED).rglob("*.py"):
        parts = path.relative_to(root / SHIPPED).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        dotted = ".".join([PACKAGE, *(parts[:-1] if is_package else parts)])
        modules.add(dotted)
        if is_package:
            public.update(f"{dotted}.{name}" for name in listed(path.read_text(encoding="utf-8")))
    return Names(frozenset(modules), frozenset(public))


def listed(text: str) -> list[str]:
    """Return what a module lists in `__all__`, nothing if it has no such list of literals."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def sources(root: Path) -> Iterator[Source]:
    """Yield every file that rules apply to, in the order of their paths."""
    known = names(root)
    for top in TOPS:
        for path in sorted((root / top).rglob("*")):
            relative = PurePosixPath(path.relative_to(root).as_posix())
            if path.suffix in SUFFIXES and not relative.is_relative_to(FIXTURES):
                yield parse(relative, path.read_text(encoding="utf-8"), known)


def findings(files: Iterable[Source], rules: Iterable[Rule]) -> Iterator[tuple[Source, Rule, Finding]]:
    """Yield what each rule finds in each file."""
    every_rule = tuple(rules)
    for source in files:
        for rule in every_rule:
            for finding in rule.check(source):
                yield source, rule, finding
