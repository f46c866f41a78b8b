# SPDX-License-Identifier: Apache-2.0
"""A plan follows the import graph: a module is scouted when what it imports has been judged."""

from __future__ import annotations

import graphlib
from pathlib import Path

import pytest

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.swarm.agents.orchestrator import (
    headline,
    left_alone_text,
    plan_text,
    planned_tickets,
    work_order,
)
from enchanted.swarm.agents.terrain import RUNNING
from enchanted.swarm.repository import RepositoryView, survey


def repository(folder: Path, **files: str) -> RepositoryView:
    for name, text in files.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return survey(folder, running=RUNNING)


def plan(view: RepositoryView) -> list[v1.PlannedTicket]:
    return list(planned_tickets(work_order(view), view.graph))


@pytest.mark.feature("E-07")
def test_each_module_has_a_scout_a_coder_and_a_critic_in_this_order(tmp_path: Path) -> None:
    tickets = plan(repository(tmp_path, alone="x = 1\n"))
    assert [(ticket.key, list(ticket.depends_on)) for ticket in tickets] == [
        ("scout:alone.py", []),
        ("coder:alone.py", ["scout:alone.py"]),
        ("critic:alone.py", ["coder:alone.py"]),
        ("finish", ["critic:alone.py"]),
    ]
    assert tickets[-1].role == events.AGENT_ROLE_ORCHESTRATOR


@pytest.mark.feature("E-07")
def test_a_module_waits_for_the_critics_of_what_it_imports(tmp_path: Path) -> None:
    tickets = plan(
        repository(tmp_path, base="x = 1\n", middle="import base\n", top="import base\nimport middle\n")
    )
    waits = {ticket.key: set(ticket.depends_on) for ticket in tickets}
    assert waits["scout:top.py"] == {"critic:base.py", "critic:middle.py"}
    assert waits["scout:base.py"] == set()


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
