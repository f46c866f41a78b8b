# SPDX-License-Identifier: Apache-2.0
"""Which module imports which, and the order of work that follows.

A module is worked on after the modules it imports, so that a test that breaks blames the newest change and
not an importer of it. Files come from strangers and imports may be circular: without grouping the cycles the
order would depend on the order of the file system, and two runs of one job would differ.

Edges go to the most specific module that an import names: ``from pkg import name`` is an edge to ``pkg.name``
if that is a module, otherwise to ``pkg``. The packages on the way (``pkg/__init__.py``) are run by Python as
well, but as edges they would tie nearly every package into one cycle, so they are left out on purpose.
Imports under ``if TYPE_CHECKING`` and inside functions count like any other.
"""

from __future__ import annotations

import ast
import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from enchanted.swarm.model import ModuleName, ModulePath


@dataclass(frozen=True, slots=True)
class ModuleNode:
    """One module as the graph sees it.

    Args:
        path: its file.
        name: its dotted name.
        source_root: the folder its name starts from, ``""`` for the tree itself.
        is_package: whether the file is an ``__init__.py``.
    """

    path: ModulePath
    name: ModuleName
    source_root: str
    is_package: bool


@dataclass(frozen=True, slots=True)
class ImportGraph:
    """Edges between the modules of one repository, and the order that respects them.

    Args:
        imports: for every module the modules it imports, sorted.
        importers: for every module the modules that import it, sorted.
        groups: all modules, imported ones first; a group of several is a cycle, ordered by path.
    """

    imports: Mapping[ModulePath, tuple[ModulePath, ...]]
    importers: Mapping[ModulePath, tuple[ModulePath, ...]]
    groups: tuple[tuple[ModulePath, ...], ...]


def build_import_graph(modules: Iterable[tuple[ModuleNode, ast.Module | None]]) -> ImportGraph:
    """Build the graph of a repository.

    Args:
        modules: each module with its syntax tree, `None` for one that cannot be parsed (it has no imports).
    """
    parsed = sorted(modules, key=lambda pair: pair[0].path)
    index = _index([node for node, _ in parsed])
    edges: dict[ModulePath, set[ModulePath]] = {node.path: set() for node, _ in parsed}
    for node, tree in parsed:
        if tree is not None:
            edges[node.path] = set(_targets(node, tree, index)) - {node.path}
    reverse: dict[ModulePath, set[ModulePath]] = defaultdict(set)
    for path, targets in edges.items():
        for target in targets:
            reverse[target].add(path)
    return ImportGraph(
        imports={path: tuple(sorted(targets)) for path, targets in edges.items()},
        importers={path: tuple(sorted(reverse[path])) for path in edges},
        groups=order_groups(edges),
    )


def order_groups(edges: Mapping[ModulePath, Iterable[ModulePath]]) -> tuple[tuple[ModulePath, ...], ...]:
    """Order modules so that every edge outside a cycle points to an earlier group.

    The result depends on the names and edges only, never on the order they are given in: among the groups
    that are ready, the one whose first path is smallest comes first.

    Args:
        edges: for every module the modules it imports; targets that are no keys are ignored.
    """
    plain = {path: sorted({t for t in targets if t in edges}) for path, targets in sorted(edges.items())}
    groups = [tuple(sorted(group)) for group in _strongly_connected(plain)]
    group_of = {path: group for group in groups for path in group}
    waiting = {group: {group_of[t] for path in group for t in plain[path]} - {group} for group in groups}
    dependants: dict[tuple[ModulePath, ...], list[tuple[ModulePath, ...]]] = defaultdict(list)
    for group, needed in waiting.items():
        for other in needed:
            dependants[other].append(group)
    ready = [group for group in groups if not waiting[group]]
    heapq.heapify(ready)
    order: list[tuple[ModulePath, ...]] = []
    while ready:
        group = heapq.heappop(ready)
        order.append(group)
        for dependant in dependants[group]:
            waiting[dependant].discard(group)
            if not waiting[dependant]:
                heapq.heappush(ready, dependant)
    assert len(order) == len(groups), "the graph of groups has no cycles"
    return tuple(order)


def _index(nodes: list[ModuleNode]) -> dict[str, list[ModuleNode]]:
    index: dict[str, list[ModuleNode]] = defaultdict(list)
    for node in nodes:
        index[node.name].append(node)
    return index


def _targets(
    node: ModuleNode, tree: ast.Module, index: Mapping[str, list[ModuleNode]]
) -> Iterator[ModulePath]:
    for candidates in _imported_names(node, tree):
        for name in candidates:
            found = index.get(name)
            if found:
                same_root = [other for other in found if other.source_root == node.source_root]
                yield (same_root or found)[0].path
                break


def _imported_names(node: ModuleNode, tree: ast.Module) -> Iterator[tuple[str, ...]]:
    """For every imported name the dotted names it may mean, most specific first."""
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield tuple(_prefixes(alias.name))
        elif isinstance(statement, ast.ImportFrom):
            base = _base_name(node, statement)
            if base is not None:
                for alias in statement.names:
                    yield (f"{base}.{alias.name}" if base else alias.name, base)


def _prefixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _base_name(node: ModuleNode, statement: ast.ImportFrom) -> str | None:
    """Absolute name of the package an import starts from; `None` when it points above the source root."""
    if statement.level == 0:
        return statement.module or ""
    package = node.name.split(".") if node.name else []
    climb = statement.level - 1 if node.is_package else statement.level
    if climb > len(package):
        return None
    kept = package[: len(package) - climb]
    return ".".join([*kept, *([statement.module] if statement.module else [])])


def _strongly_connected(edges: Mapping[ModulePath, list[ModulePath]]) -> list[list[ModulePath]]:
    """Strongly connected components, by Tarjan's algorithm (1972), without recursion.

    A chain of imports may be longer than Python's stack, hence the explicit stack of iterators.
    """
    number: dict[ModulePath, int] = {}
    lowest: dict[ModulePath, int] = {}
    open_nodes: list[ModulePath] = []
    is_open: set[ModulePath] = set()
    components: list[list[ModulePath]] = []
    for start in edges:
        if start in number:
            continue
        work: list[tuple[ModulePath, Iterator[ModulePath]]] = [(start, iter(edges[start]))]
        number[start] = lowest[start] = len(number)
        open_nodes.append(start)
        is_open.add(start)
        while work:
            node, targets = work[-1]
            target = next(targets, None)
            if target is None:
                work.pop()
                if work:
                    parent = work[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[node])
                if lowest[node] == number[node]:
                    components.append(_close(node, open_nodes, is_open))
            elif target not in number:
                number[target] = lowest[target] = len(number)
                open_nodes.append(target)
                is_open.add(target)
                work.append((target, iter(edges[target])))
            elif target in is_open:
                lowest[node] = min(lowest[node], number[target])
    return components


def _close(node: ModulePath, open_nodes: list[ModulePath], is_open: set[ModulePath]) -> list[ModulePath]:
    component: list[ModulePath] = []
    while True:
        member = open_nodes.pop()
        is_open.discard(member)
        component.append(member)
        if member == node:
            return component
