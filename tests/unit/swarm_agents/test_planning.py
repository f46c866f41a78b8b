# SPDX-License-Identifier: Apache-2.0
"""A plan follows the import graph: a module is scouted when what it imports has been judged."""

from __future__ import annotations

import graphlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.model import DEPENDENTS_MAX, PLANNED_TICKETS_MAX, check_plan
from enchanted.swarm.agents.orchestrator import (
    LEFT_ALONE_SHOWN_MAX,
    MODULES_MAX,
    SUMMARY_BYTES_MAX,
    choose_work,
    headline,
    left_alone_text,
    left_alone_texts,
    plan_text,
    planned_tickets,
    shorten,
    waits,
    work_order,
)
from enchanted.swarm.agents.terrain import RUNNING
from enchanted.swarm.checks import Baseline
from enchanted.swarm.import_graph import ImportGraph, order_groups
from enchanted.swarm.model import ModulePath
from enchanted.swarm.repository import RepositoryView, survey
from enchanted.swarm.suite_runs import RunEnding, SuitePlan, SuiteRun
from enchanted.swarm.test_reports import EMPTY_REPORT


@pytest.fixture
def untested() -> Baseline:
    """The baseline of a repository without tests."""
    return Baseline(SuitePlan(), SuiteRun(EMPTY_REPORT, RunEnding.NO_TESTS))


def repository(folder: Path, **files: str) -> RepositoryView:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return survey(folder, running=RUNNING)


def plan(view: RepositoryView) -> list[v1.PlannedTicket]:
    return list(planned_tickets(choose_work(work_order(view)).paths, view.graph))


@pytest.mark.feature("E-07")
def test_each_module_has_a_scout_a_coder_and_a_critic_in_this_order(tmp_path: Path) -> None:
    tickets = plan(repository(tmp_path, alone="x = 1\n"))
    assert [(ticket.key, list(ticket.depends_on)) for ticket in tickets] == [
        ("scout:0", []),
        ("coder:0", ["scout:0"]),
        ("critic:0", ["coder:0"]),
        ("finish", ["critic:0"]),
    ]
    assert tickets[-1].role == events.AGENT_ROLE_ORCHESTRATOR


@pytest.mark.feature("E-07")
def test_a_module_waits_for_the_critics_of_what_it_imports(tmp_path: Path) -> None:
    tickets = plan(
        repository(tmp_path, base="x = 1\n", middle="import base\n", top="import base\nimport middle\n")
    )
    waits_of = {ticket.key: set(ticket.depends_on) for ticket in tickets}
    assert [ticket.title for ticket in tickets if ticket.role == events.AGENT_ROLE_SCOUT] == [
        "Scout base.py",
        "Scout middle.py",
        "Scout top.py",
    ]
    assert waits_of["scout:0"] == set()
    assert waits_of["scout:1"] == {"critic:0"}
    # What it imports besides is judged before that, too.
    assert waits_of["scout:2"] == {"critic:1"}


@pytest.mark.feature("E-07")
def test_modules_that_import_each_other_do_not_wait_in_a_circle(tmp_path: Path) -> None:
    tickets = plan(repository(tmp_path, one="import two\n", two="import one\n", user="import one\n"))
    order = graphlib.TopologicalSorter({ticket.key: ticket.depends_on for ticket in tickets})
    assert list(order.static_order())[-1] == "finish"


@pytest.mark.feature("E-07")
def test_a_repository_without_python_is_a_plan_of_nothing_but_the_end(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("words")
    view = survey(tmp_path, running=RUNNING)
    assert [ticket.key for ticket in plan(view)] == ["finish"]
    assert "no Python code" in plan_text(view, (), None)
    assert "no Python code" in headline(v1.JobSummary(), view)


@pytest.mark.feature("E-07")
def test_a_module_that_does_not_parse_is_left_alone_with_its_line(tmp_path: Path) -> None:
    view = repository(tmp_path, good="x = 1\n", broken="x = 1\ndef f(:\n")
    assert [ticket.resource for ticket in plan(view) if ticket.resource] == ["good.py"] * 3
    assert left_alone_text(view, 0).startswith("broken.py: does not parse")
    assert "line 2" in left_alone_text(view, 0)


@pytest.mark.feature("E-07")
def test_the_headline_counts_what_was_taken_and_what_was_left_out(tmp_path: Path) -> None:
    view = repository(tmp_path, good="x = 1\n")
    summary = v1.JobSummary(
        edits=[
            v1.EditSummary(path="good.py", accepted_parts=3),
            v1.EditSummary(path="other.py", left_out=[v1.LeftOutPart(description="x")]),
        ]
    )
    assert headline(summary, view) == ("3 changes in 1 module accepted, 1 left out, each with its reason.")
    assert "modern already" in headline(v1.JobSummary(edits=[v1.EditSummary(path="good.py")]), view)


def graph_of(imports: dict[str, list[str]]) -> ImportGraph:
    """The graph of modules that exist in name only."""
    edges = {ModulePath(path): tuple(ModulePath(other) for other in imports[path]) for path in imports}
    return ImportGraph(imports=edges, importers={}, groups=order_groups(edges))


def plan_of(graph: ImportGraph) -> list[v1.PlannedTicket]:
    return list(planned_tickets(choose_work(graph.groups).paths, graph))


def waited_for(found: list[list[int]]) -> list[set[int]]:
    """For each module all that it waits for, directly or through others."""
    everything: list[set[int]] = []
    for needed in found:
        everything.append(set(needed).union(*(everything[other] for other in needed)))
    return everything


@st.composite
def graphs(draw: st.DrawFn) -> ImportGraph:
    """Any imports between a few modules, in circles or not."""
    names = [f"m{number:02}.py" for number in range(draw(st.integers(1, 14)))]
    return graph_of({name: draw(st.lists(st.sampled_from(names), unique=True)) for name in names})


@pytest.mark.feature("E-07")
@given(graph=graphs(), waiting_max=st.integers(1, 4), waits_max=st.integers(0, 40))
def test_whatever_the_imports_a_module_starts_after_all_that_it_imports_and_few_wait_for_one(
    graph: ImportGraph, waiting_max: int, waits_max: int
) -> None:
    paths = choose_work(graph.groups).paths
    found = waits(paths, graph, waiting_max, waits_max)

    everything = waited_for(found)
    for number, path in enumerate(paths):
        assert {paths.index(other) for other in graph.imports[path] if paths.index(other) < number} <= (
            everything[number]
        )
        assert all(other < number for other in found[number])
        assert sum(number in needed for needed in found) <= waiting_max
    assert sum(map(len, found)) <= max(waits_max, len(paths) - 1)


@pytest.mark.feature("E-07")
def test_a_module_with_a_long_path_is_planned_under_a_short_title() -> None:
    path = "package/" + "x" * 1_000 + ".py"
    tickets = plan_of(graph_of({path: []}))

    check_plan(tickets)
    assert tickets[0].resource == path
    assert tickets[0].title.startswith("Scout package/xxx")
    assert tickets[0].title.endswith("…")


@pytest.mark.feature("E-07")
def test_a_path_that_no_ticket_can_name_is_left_alone() -> None:
    path = "x" * 4_094 + ".py"
    chosen = choose_work(graph_of({path: [], "good.py": [path]}).groups)

    assert chosen.paths == ("good.py",)
    assert len(chosen.left_alone) == 1
    assert chosen.left_alone[0].endswith("…: its path is longer than a ticket can name")


@pytest.mark.feature("E-07")
def test_a_module_that_nearly_all_import_is_judged_before_all_of_them() -> None:
    importers = [f"user_{number:03}.py" for number in range(MODULES_MAX - 1)]
    graph = graph_of({"base.py": [], **{path: ["base.py"] for path in importers}})
    tickets = plan_of(graph)

    check_plan(tickets)
    direct = [ticket for ticket in tickets if "critic:0" in ticket.depends_on]
    assert 300 < len(direct) < DEPENDENTS_MAX
    found = waits(choose_work(graph.groups).paths, graph)
    assert all(0 in waited for waited in waited_for(found)[1:])


@pytest.mark.feature("E-07")
def test_modules_past_the_largest_plan_are_left_alone_with_the_reason(
    tmp_path: Path, untested: Baseline
) -> None:
    view = repository(tmp_path, **{f"m{number:04}": "x = 1\n" for number in range(MODULES_MAX + 250)})
    order = work_order(view)
    tickets = plan(view)

    check_plan(tickets)
    assert PLANNED_TICKETS_MAX - 3 < len(tickets) <= PLANNED_TICKETS_MAX
    assert len(tickets[-1].depends_on) == MODULES_MAX
    text = plan_text(view, order, untested)
    assert text.startswith(f"{MODULES_MAX} modules in {MODULES_MAX} steps")
    assert "m0999.py: one plan holds 999 modules" in text
    assert text.endswith("and 245 more.")
    told = left_alone_texts(view)
    assert len(told) == LEFT_ALONE_SHOWN_MAX + 1
    assert told[0].startswith("m0999.py: one plan holds 999 modules")
    assert told[-1] == "and 50 more"


@pytest.mark.feature("E-07")
@pytest.mark.parametrize(("edits", "parts"), [(900, 3), (10, 400), (1, 5_000)])
def test_a_summary_of_any_size_fits_into_a_call_and_names_every_file(edits: int, parts: int) -> None:
    left_out = [v1.LeftOutPart(description="x" * 100, reason="y" * 2_000) for _ in range(parts)]
    paths = [f"src/package/module_{number:04}.py" for number in range(edits)]
    summary = v1.JobSummary(
        edits=[
            v1.EditSummary(path=path, accepted_parts=1, rationale="z" * 150, left_out=left_out)
            for path in paths
        ]
    )
    shorten(summary)
    assert summary.ByteSize() <= SUMMARY_BYTES_MAX
    assert [edit.path for edit in summary.edits] == paths


@pytest.mark.feature("E-07")
def test_a_summary_that_fits_keeps_every_part_that_was_left_out() -> None:
    left_out = [v1.LeftOutPart(description="x", reason="because") for _ in range(20)]
    summary = v1.JobSummary(edits=[v1.EditSummary(path="a.py", left_out=left_out)])
    shorten(summary)
    assert list(summary.edits[0].left_out) == left_out
