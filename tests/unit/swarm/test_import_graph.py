# SPDX-License-Identifier: Apache-2.0
"""The order of work: imported modules first, cycles together, the same for every order of input."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm.import_graph import ImportGraph, ModuleNode, build_import_graph, order_groups
from enchanted.swarm.model import ModuleName, ModulePath

pytestmark = pytest.mark.feature("E-07")

Edges = dict[ModulePath, list[ModulePath]]
_NAMES = [ModulePath(f"m{number}.py") for number in range(12)]


def node(path: str, source_root: str = "") -> ModuleNode:
    inner = path.removeprefix(f"{source_root}/").removesuffix(".py")
    is_package = inner.endswith("__init__")
    name = inner.removesuffix("__init__").rstrip("/").replace("/", ".")
    return ModuleNode(ModulePath(path), ModuleName(name), source_root, is_package)


def graph(sources: Mapping[str, str], source_root: str = "") -> ImportGraph:
    return build_import_graph((node(path, source_root), ast.parse(text)) for path, text in sources.items())


@st.composite
def edge_maps(draw: st.DrawFn) -> Edges:
    count = draw(st.integers(0, len(_NAMES)))
    names = _NAMES[:count]
    targets = st.lists(st.sampled_from(names), max_size=4) if names else st.just([])
    return {name: draw(targets) for name in names}


def reaches(edges: Edges, start: ModulePath, goal: ModulePath) -> bool:
    waiting, seen = list(edges[start]), set()
    while waiting:
        path = waiting.pop()
        if path == goal:
            return True
        if path not in seen:
            seen.add(path)
            waiting.extend(edges[path])
    return False


@given(edge_maps())
def test_every_edge_outside_a_cycle_points_to_an_earlier_group(edges: Edges) -> None:
    place = {path: index for index, group in enumerate(order_groups(edges)) for path in group}
    for path, targets in edges.items():
        for target in targets:
            if place[path] != place[target]:
                assert place[target] < place[path]


@given(edge_maps())
def test_two_modules_share_a_group_exactly_when_they_import_each_other(edges: Edges) -> None:
    groups = order_groups(edges)
    assert sorted(path for group in groups for path in group) == sorted(edges)
    place = {path: index for index, group in enumerate(groups) for path in group}
    for one in edges:
        for other in edges:
            together = one == other or (reaches(edges, one, other) and reaches(edges, other, one))
            assert (place[one] == place[other]) == together


@given(edge_maps(), st.randoms(use_true_random=False))
def test_the_order_of_input_changes_nothing(edges: Edges, random: Random) -> None:
    shuffled = list(edges.items())
    random.shuffle(shuffled)
    assert order_groups(dict(shuffled)) == order_groups(edges)


def test_a_chain_longer_than_the_stack_is_ordered() -> None:
    names = [ModulePath(f"m{number:05}.py") for number in range(5_000)]
    edges = {name: [target] for name, target in zip(names, [*names[1:], names[-1]], strict=True)}
    assert order_groups(edges) == tuple((name,) for name in reversed(names))


def test_absolute_and_relative_imports_lead_to_the_most_specific_module() -> None:
    found = graph(
        {
            "shop/__init__.py": "",
            "shop/basket.py": "from . import fruit\nfrom .fruit import fig\nimport os",
            "shop/fruit.py": "",
            "shop/till/__init__.py": "from ..basket import Basket",
            "shop/till/coins.py": "from shop import till, nothing\nimport shop.fruit as f",
        }
    )
    assert found.imports[ModulePath("shop/basket.py")] == ("shop/fruit.py",)
    assert found.imports[ModulePath("shop/till/__init__.py")] == ("shop/basket.py",)
    assert found.imports[ModulePath("shop/till/coins.py")] == (
        "shop/__init__.py",
        "shop/fruit.py",
        "shop/till/__init__.py",
    )
    assert found.importers[ModulePath("shop/fruit.py")] == ("shop/basket.py", "shop/till/coins.py")


def test_importing_a_name_below_a_module_is_an_edge_to_the_module() -> None:
    found = graph({"a.py": "import b.c.d\nfrom b import *", "b.py": ""})
    assert found.imports[ModulePath("a.py")] == ("b.py",)


def test_a_relative_import_above_the_source_root_is_no_edge() -> None:
    found = graph({"a.py": "from ... import b\nfrom .. import b", "b.py": ""})
    assert found.imports[ModulePath("a.py")] == ()


def test_imports_in_functions_and_for_type_checkers_count() -> None:
    found = graph({"a.py": "def f():\n    import b\nif TYPE_CHECKING:\n    import c", "b.py": "", "c.py": ""})
    assert found.imports[ModulePath("a.py")] == ("b.py", "c.py")


def test_a_cycle_is_one_group_ordered_by_path() -> None:
    found = graph({"z.py": "import y", "y.py": "import z", "a.py": "import z"})
    assert found.groups == (("y.py", "z.py"), ("a.py",))


def test_of_two_modules_with_one_name_the_one_of_the_same_source_root_is_meant() -> None:
    nodes = [
        node("one/a.py", "one"),
        node("one/b.py", "one"),
        node("two/a.py", "two"),
        node("two/b.py", "two"),
    ]
    found = build_import_graph((each, ast.parse("import b")) for each in nodes)
    assert found.imports[ModulePath("two/a.py")] == ("two/b.py",)


def test_a_module_that_cannot_be_parsed_has_no_imports_but_can_be_imported() -> None:
    found = build_import_graph([(node("a.py"), ast.parse("import b")), (node("b.py"), None)])
    assert found.groups == (("b.py",), ("a.py",))
