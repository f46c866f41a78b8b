# SPDX-License-Identifier: Apache-2.0
"""The Scout's slice of a repository for one module.

A Coder that reads the whole repository pays for it and is distracted by it; one that reads too little breaks
importers it never saw. A pack holds what matters to one module within a budget of tokens, says what was cut,
and is recorded by the hash of its canonical bytes, so that every later decision can name exactly what it
knew.

When a pack exceeds its budget, items are cut from the end of its least important list first: tests, then
definitions, importers, imports, and findings last. The cut depends on the content alone.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from enchanted.swarm.edits import sha256_hex
from enchanted.swarm.model import ModuleName, ModulePath, PackError, PythonVersion
from enchanted.swarm.modernize import Finding
from enchanted.swarm.repository import LeftAlone, ModuleRole, RepositoryView, parse_module

FORMAT: Final = "enchanted.swarm.context-pack/1"
TOKENS_MAX: Final = 4_000
BYTES_PER_TOKEN: Final = 4
"""Rule of thumb for code and English under byte-pair encodings: good enough for a budget, not for a bill."""

_CUT_ORDER: Final = ("tests", "definitions", "importers", "imports", "findings")


@dataclass(frozen=True, slots=True)
class Definition:
    """A class or function of the module.

    Args:
        kind: ``class``, ``function`` or ``async function``.
        name: dotted within the module.
        line: first line, from 1, decorators not counted.
        end_line: last line, inclusive.
    """

    kind: str
    name: str
    line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of a list was left out for the budget.

    Args:
        section: name of the list.
        dropped: items left out.
        kept: items still there.
    """

    section: str
    dropped: int
    kept: int


@dataclass(frozen=True, slots=True)
class ContextPack:
    """What the Coder is told of one module.

    Args:
        path: the module.
        name: its dotted name.
        source_sha256: hex SHA-256 of its bytes.
        source_bytes: its size.
        target: lowest Python version it must run on.
        definitions: its classes and functions, in the order of lines.
        imports: modules of the repository that it imports.
        importers: modules that would notice a change, tests excluded.
        tests: test files that import it, directly or through one importer.
        findings: rules with something to change.
        token_budget: most tokens the pack may have.
        cut: what was left out for the budget.
    """

    path: ModulePath
    name: ModuleName
    source_sha256: str
    source_bytes: int
    target: PythonVersion
    definitions: tuple[Definition, ...]
    imports: tuple[ModulePath, ...]
    importers: tuple[ModulePath, ...]
    tests: tuple[ModulePath, ...]
    findings: tuple[Finding, ...]
    token_budget: int
    cut: tuple[Cut, ...] = ()

    @property
    def tokens(self) -> int:
        """Estimated tokens of the canonical bytes."""
        return -(-len(to_json_bytes(self)) // BYTES_PER_TOKEN)

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the canonical bytes: the pack's identity in the history."""
        return sha256_hex(to_json_bytes(self))


def gather(
    view: RepositoryView, path: ModulePath, findings: Sequence[Finding], *, token_budget: int = TOKENS_MAX
) -> ContextPack:
    """Make the pack of one module.

    Args:
        view: the surveyed tree.
        path: the module.
        findings: what the rules would change in it.
        token_budget: most tokens of the pack; even an empty pack has about a hundred, so a smaller budget
            cuts everything that can be cut and no more.

    Raises:
        TreeError: the view has no such module.
    """
    module = view.module(path)
    tree = parse_module(view.read(path), path)
    tests = {each.path for each in view.modules if each.role is ModuleRole.TEST}
    pack = ContextPack(
        path=path,
        name=module.node.name,
        source_sha256=module.sha256,
        source_bytes=module.size_bytes,
        target=view.minimum.version,
        definitions=() if isinstance(tree, LeftAlone) else tuple(_definitions(tree.body, "")),
        imports=view.graph.imports[path],
        importers=tuple(each for each in view.graph.importers[path] if each not in tests),
        tests=_near_tests(view, path, tests),
        findings=tuple(findings),
        token_budget=token_budget,
    )
    return _within_budget(pack)


def to_json_bytes(pack: ContextPack) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8."""
    document = {**asdict(pack), "target": str(pack.target), "format": FORMAT}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def from_json_bytes(data: bytes) -> ContextPack:
    """Read a pack back.

    Raises:
        PackError: the bytes are not a pack in its canonical form.
    """
    try:
        document = json.loads(data)
        if document.pop("format") != FORMAT:
            raise PackError("the context pack has an unknown format")
        pack = _from_document(document)
        canonical = to_json_bytes(pack)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PackError("the bytes are not a context pack") from error
    if canonical != data:
        raise PackError("the context pack is not in canonical form")
    return pack


def _from_document(document: dict[str, Any]) -> ContextPack:
    findings = tuple(Finding(**{**item, "lines": tuple(item["lines"])}) for item in document.pop("findings"))
    return ContextPack(
        target=PythonVersion.parse(document.pop("target")),
        definitions=tuple(Definition(**item) for item in document.pop("definitions")),
        cut=tuple(Cut(**item) for item in document.pop("cut")),
        findings=findings,
        imports=tuple(document.pop("imports")),
        importers=tuple(document.pop("importers")),
        tests=tuple(document.pop("tests")),
        **document,
    )


def _definitions(body: Sequence[ast.stmt], prefix: str) -> Iterator[Definition]:
    kinds = {ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "async function"}
    for node in body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield Definition(
                kinds[type(node)], prefix + node.name, node.lineno, node.end_lineno or node.lineno
            )
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{prefix}{node.name}.")


def _near_tests(view: RepositoryView, path: ModulePath, tests: set[ModulePath]) -> tuple[ModulePath, ...]:
    direct = view.graph.importers[path]
    indirect = (each for importer in direct for each in view.graph.importers[importer])
    return tuple(sorted({each for each in (*direct, *indirect) if each in tests}))


def _within_budget(pack: ContextPack) -> ContextPack:
    for section in _CUT_ORDER:
        if pack.tokens <= pack.token_budget:
            return pack
        pack = _cut(pack, section)
    return pack


def _cut(pack: ContextPack, section: str) -> ContextPack:
    """Keep as many first items of one list as the budget allows, found by halving."""
    items: tuple[object, ...] = getattr(pack, section)
    if not items:
        return pack
    low, high = 0, len(items) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if _shortened(pack, section, items[:middle]).tokens <= pack.token_budget:
            low = middle
        else:
            high = middle - 1
    return _shortened(pack, section, items[:low])


def _shortened(pack: ContextPack, section: str, kept: tuple[object, ...]) -> ContextPack:
    dropped = len(getattr(pack, section)) - len(kept)
    changes: dict[str, Any] = {section: kept, "cut": (*pack.cut, Cut(section, dropped, len(kept)))}
    return replace(pack, **changes)
