# SPDX-License-Identifier: Apache-2.0
"""The Critic with the real sandbox: harm is found and left out, hostile projects end with a reason."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from enchanted.sandbox import Command, Limits, Mount, Outcome, Sandbox
from enchanted.swarm.bisection import Fate
from enchanted.swarm.checks import Guard
from enchanted.swarm.edits import apply, unified_diff
from enchanted.swarm.model import Check, EditError, ModulePath, ToolError
from enchanted.swarm.suite_runs import Configuration, RunEnding, SuiteLimits
from tests.fixtures import bad_projects
from tests.integration.swarm.workshop import Workshops, snapshot, write

pytestmark = pytest.mark.feature("E-07")

HARMFUL_TEST = "tests.test_settings::test_optional_fields_may_be_missing"

BASKET = """from typing import List, Optional


class Basket(object):
    def __init__(self, fruits: Optional[List[str]] = None) -> None:
        self.fruits = list(fruits or [])

    def label(self) -> str:
        return "{} fruits".format(len(self.fruits))
"""
BASKET_TEST = """from basket import Basket


def test_label() -> None:
    assert Basket(["fig"]).label() == "1 fruits"
"""


def apply_with_git(tree: Path, patch: bytes) -> None:
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tree, check=True)


async def test_all_of_the_sample_is_modernised_but_for_the_planted_harm(
    workshops: Workshops, sample: Path
) -> None:
    workshop = workshops.open(sample)
    baseline = await workshop.baseline()
    assert baseline.run.ending is RunEnding.REPORTED
    assert baseline.known_failures == frozenset()

    harmful, accepted = {}, 0
    for path in (path for group in workshop.view.work_order() for path in group):
        proposal = await workshop.propose(path)
        review = await workshop.review(proposal, baseline)
        accepted += len(review.accepted)
        apply_with_git(sample, unified_diff(path, (sample / path).read_bytes(), review.result))
        assert (sample / path).read_bytes() == review.result
        for left in review.left_out:
            if left.fate is Fate.HARMFUL:
                harmful[path, left.part.rules] = left
        assert not review.limit_reached
        assert not review.flaky

    assert accepted > 130
    settings = ModulePath("src/lendinglibrary/settings.py")
    assert {path for path, _ in harmful} == {settings}
    (reason,) = harmful[settings, ("UP045",)].reasons
    assert (reason.check, reason.subject) == (Check.TESTS, HARMFUL_TEST)
    # The import that the annotations need is the only other part that had to stay.
    assert {rules for _, rules in harmful} == {("UP045",), ("F401",)}
    text = (sample / settings).read_text()
    assert "from typing import Any, Optional\n" in text
    assert "fine_cap_pence: Optional[int]\n" in text
    assert "class Settings:\n" in text
    assert "import sys" not in text

    after = await workshop.critic.measure_again(sample, baseline)
    assert after.report.passed == baseline.guards


async def test_what_was_run_can_be_recorded(workshops: Workshops, project: Path) -> None:
    write(project, {"basket.py": BASKET, "test_basket.py": BASKET_TEST})
    workshop = workshops.open(project)
    await workshop.baseline()
    (run,) = workshop.runs
    assert run.ending is RunEnding.REPORTED
    assert run.exit_code == 0
    assert run.command.argv[:3] == (sys.executable, "-m", "pytest")
    assert run.command.argv[-1] == "./test_basket.py"
    assert run.command.environment["PYTHONHASHSEED"] == "0"
    assert run.mounts == (("/workspace", True), ("/report", True), ("/metadata", False))
    assert "1 passed" in run.output_end


async def test_the_tree_itself_is_never_written_to(workshops: Workshops, project: Path) -> None:
    vandal = "import shutil\n\n\ndef test_v():\n    shutil.rmtree('data')\n    open('x', 'w').close()\n"
    write(project, {"basket.py": BASKET, "test_basket.py": BASKET_TEST + vandal, "data/a.txt": "a"})
    before = snapshot(project)
    workshop = workshops.open(project)
    baseline = await workshop.baseline()
    assert len(baseline.guards) == 2
    await workshop.review(await workshop.propose("basket.py"), baseline)
    assert snapshot(project) == before
    assert list(workshops.scratch.iterdir()) == []


async def test_tests_that_failed_before_are_not_blamed_on_the_edit(
    workshops: Workshops, project: Path
) -> None:
    bad_projects.write_project_with_failing_tests(project)
    workshop = workshops.open(project)
    baseline = await workshop.baseline()
    assert baseline.known_failures == {"tests.test_wording::test_one_fruit_is_singular"}
    assert len(baseline.guards) == 2
    review = await workshop.review(await workshop.propose("basket.py"), baseline)
    assert review.verdict.accepted
    assert review.left_out == ()


async def test_without_tests_only_what_no_program_can_observe_is_taken(
    workshops: Workshops, project: Path
) -> None:
    bad_projects.write_project_without_tests(project)
    workshop = workshops.open(project)
    baseline = await workshop.baseline()
    assert baseline.run.ending is RunEnding.NO_TESTS
    review = await workshop.review(await workshop.propose("basket.py"), baseline)
    assert review.guard is Guard.STATIC_ONLY
    assert {left.fate for left in review.left_out} == {Fate.UNGUARDED}
    assert b"class Basket:" in review.result
    assert b"Optional[List[str]]" in review.result
    assert workshop.runs == []


async def test_a_module_that_no_test_imports_counts_as_unguarded(workshops: Workshops, project: Path) -> None:
    write(project, {"basket.py": BASKET, "test_other.py": "def test_nothing():\n    pass\n"})
    workshop = workshops.open(project)
    baseline = await workshop.baseline()
    assert len(baseline.guards) == 1
    assert (await workshop.review(await workshop.propose("basket.py"), baseline)).guard is Guard.STATIC_ONLY


async def test_a_test_file_that_hangs_is_left_out_and_the_others_guard(
    workshops: Workshops, project: Path
) -> None:
    bad_projects.write_project_with_hanging_tests(project)
    short = Limits(wall_seconds=3, memory_bytes=1 << 30)
    workshop = workshops.open(project, SuiteLimits(suite=short, file=short))
    baseline = await workshop.baseline()
    assert [(left.path, left.ending) for left in baseline.run.left_out] == [
        ("tests/test_delivery.py", RunEnding.TIMED_OUT)
    ]
    assert baseline.plan.one_by_one == ("tests/test_basket.py", "tests/test_empty.py")
    assert len(baseline.guards) == 2
    review = await workshop.review(await workshop.propose("basket.py"), baseline)
    assert review.verdict.accepted
    assert review.guard is Guard.TESTS


async def test_a_test_that_eats_memory_costs_no_more_than_itself(workshops: Workshops, project: Path) -> None:
    bad_projects.write_project_with_greedy_tests(project)
    workshop = workshops.open(project)
    baseline = await workshop.baseline()
    assert baseline.guards == {"tests.test_basket::test_a_basket_is_labelled"}
    assert (await workshop.review(await workshop.propose("basket.py"), baseline)).verdict.accepted


async def test_a_test_that_ends_the_interpreter_costs_its_file(workshops: Workshops, project: Path) -> None:
    write(project, {"basket.py": BASKET, "tests/test_a.py": BASKET_TEST})
    write(project, {"tests/test_b.py": "import os\n\n\ndef test_b():\n    os._exit(0)\n"})
    baseline = await workshops.open(project).baseline()
    assert [(left.path, left.ending) for left in baseline.run.left_out] == [
        ("tests/test_b.py", RunEnding.NO_REPORT)
    ]
    assert baseline.guards == {"tests.test_a::test_label"}


async def test_an_edit_that_makes_a_test_hang_is_refused(workshops: Workshops, project: Path) -> None:
    # The annotation is read at run time: once it is not spelled Optional any more, the test waits for ever.
    waiting = "from typing import Optional\n\nHINT: Optional[int] = 1\n"
    reading = (
        "import threading\nimport basket\n\n\ndef test_hint():\n"
        "    if 'Optional' not in str(basket.__annotations__['HINT']):\n        threading.Event().wait()\n"
    )
    write(
        project,
        {
            "basket.py": waiting,
            "test_basket.py": reading,
            "pyproject.toml": '[project]\nrequires-python=">=3.10"',
        },
    )
    short = Limits(wall_seconds=3, memory_bytes=1 << 30)
    workshop = workshops.open(project, SuiteLimits(suite=short, file=short))
    review = await workshop.review(await workshop.propose("basket.py"), await workshop.baseline())
    assert review.result.decode() == waiting
    assert review.verdict.failed_check is Check.TESTS
    assert "did not end in time" in review.verdict.reasons[0].text


@pytest.mark.parametrize(
    ("configuration", "honoured"),
    [
        ("[pytest]\naddopts = -q\n", Configuration.HONOURED),
        ("[pytest]\naddopts = --cov=basket -n auto\n", Configuration.WITHOUT_OPTIONS),
        ("[pytest]\nrequired_plugins = pytest-nowhere\n", Configuration.WITHOUT_OPTIONS),
        ("[pytest]\nnowhere_mode = auto\nfilterwarnings = error\n", Configuration.WITHOUT_OPTIONS),
        ("[pytest]\nminversion = 99\n", Configuration.IGNORED),
    ],
)
async def test_a_configuration_that_needs_what_is_not_here_is_given_up_step_by_step(
    workshops: Workshops, project: Path, configuration: str, honoured: Configuration
) -> None:
    write(project, {"basket.py": BASKET, "test_basket.py": BASKET_TEST, "pytest.ini": configuration})
    baseline = await workshops.open(project).baseline()
    assert baseline.plan.configuration is honoured
    assert baseline.guards == {"test_basket::test_label"}


async def test_unittest_style_and_async_tests_run(workshops: Workshops, project: Path) -> None:
    old = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_a(self):\n        pass\n"
    write(
        project,
        {
            "tests.py": old,
            "test_b.py": "async def test_b():\n    pass\n",
            "pyproject.toml": '[tool.pytest.ini_options]\nasyncio_mode = "auto"\n',
        },
    )
    baseline = await workshops.open(project).baseline()
    assert baseline.guards == {"tests.T::test_a", "test_b::test_b"}


async def test_a_package_that_asks_for_its_own_version_can_be_tested(
    workshops: Workshops, project: Path
) -> None:
    write(
        project,
        {
            "src/my_basket/__init__.py": "from importlib.metadata import version\nV = version('my-basket')\n",
            "tests/test_version.py": "import my_basket\n\n\ndef test_v():\n    assert my_basket.V == '1.2'\n",
            "pyproject.toml": '[project]\nname = "My.Basket"\nversion = "1.2"\n',
        },
    )
    baseline = await workshops.open(project).baseline()
    assert baseline.guards == {"tests.test_version::test_v"}


async def test_the_platforms_own_code_and_the_network_are_out_of_reach(
    workshops: Workshops, project: Path
) -> None:
    probe = (
        "import importlib.util, socket, pytest\n\n\ndef test_p():\n"
        "    assert importlib.util.find_spec('enchanted') is None\n"
        "    with pytest.raises(OSError):\n        socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
    )
    write(project, {"test_probe.py": probe})
    baseline = await workshops.open(project).baseline()
    assert baseline.guards == {"test_probe::test_p"}


async def test_a_project_whose_tests_cannot_be_collected_says_so(workshops: Workshops, project: Path) -> None:
    write(project, {"basket.py": BASKET, "test_basket.py": "import nowhere\n" + BASKET_TEST})
    baseline = await workshops.open(project).baseline()
    assert baseline.guards == frozenset()
    assert "No module named 'nowhere'" in baseline.run.report.messages[next(iter(baseline.known_failures))]


async def test_a_link_in_the_place_of_the_report_is_not_followed(workshops: Workshops, project: Path) -> None:
    forger = (
        "import atexit, os\n\n\ndef swap():\n    os.remove('/report/junit.xml')\n"
        "    os.symlink('/etc/passwd', '/report/junit.xml')\n\n\ndef test_f():\n    atexit.register(swap)\n"
    )
    write(project, {"test_forger.py": forger})
    baseline = await workshops.open(project).baseline()
    assert baseline.guards == frozenset()
    assert [left.ending for left in baseline.run.left_out] == [RunEnding.NO_REPORT]


class NumberedSandbox:
    """The real sandbox, which tells each run its number, so that a test can be unsteady in a steady way."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._runs = 0

    async def run(self, command: Command, mounts: Sequence[Mount], limits: Limits) -> Outcome:
        self._runs += 1
        environment = {**command.environment, "RUN": str(self._runs)}
        return await self._sandbox.run(dataclasses.replace(command, environment=environment), mounts, limits)


@pytest.mark.parametrize("failing_runs", [{2}, {2, 3, 4}])
async def test_a_test_that_fails_now_and_then_is_named_flaky_and_blames_no_one(
    workshops: Workshops, project: Path, failing_runs: set[int]
) -> None:
    unsteady = f"import os\n\n\ndef test_u():\n    assert int(os.environ['RUN']) not in {failing_runs}\n"
    write(project, {"basket.py": BASKET, "test_a.py": BASKET_TEST, "test_u.py": unsteady})
    workshop = dataclasses.replace(workshops, sandbox=NumberedSandbox(workshops.sandbox)).open(project)
    baseline = await workshop.baseline()
    assert "test_u::test_u" in baseline.guards
    review = await workshop.review(await workshop.propose("basket.py"), baseline)
    assert review.flaky == {"test_u::test_u"}
    assert review.left_out == ()


async def test_an_edit_that_is_not_what_its_coder_expects_is_refused(
    workshops: Workshops, project: Path
) -> None:
    write(project, {"basket.py": BASKET, "test_basket.py": BASKET_TEST})
    workshop = workshops.open(project)
    baseline = await workshop.baseline()
    proposal = await workshop.propose("basket.py")
    for wrong in ({"parts": 99}, {"result_sha256": "0" * 64}):
        expectation = dataclasses.replace(proposal.expectation, **wrong)
        review = await workshop.review(dataclasses.replace(proposal, expectation=expectation), baseline)
        assert review.verdict.failed_check is Check.EXPECTATION
        assert review.accepted == ()
        assert review.result.decode() == BASKET
    assert workshop.trials == []


async def test_an_edit_for_an_older_file_is_refused(workshops: Workshops, project: Path) -> None:
    write(project, {"basket.py": BASKET, "test_basket.py": BASKET_TEST})
    workshop = workshops.open(project)
    baseline = await workshop.baseline()
    proposal = await workshop.propose("basket.py")
    write(project, {"basket.py": BASKET + "\n"})
    with pytest.raises(EditError, match="make the edit again"):
        await workshop.review(proposal, baseline)


async def test_what_is_accepted_in_part_is_the_base_with_these_parts(
    workshops: Workshops, sample: Path
) -> None:
    workshop = workshops.open(sample)
    baseline = await workshop.baseline()
    path = ModulePath("src/lendinglibrary/settings.py")
    base = (sample / path).read_bytes()
    proposal = await workshop.propose(path)
    review = await workshop.review(proposal, baseline)
    in_part = apply(base, proposal.edit, review.accepted)
    assert review.follow_up is not None
    assert apply(in_part, review.follow_up) == review.result
    assert [trial.number for trial in workshop.trials] == list(range(1, len(review.trials) + 1))


@pytest.mark.parametrize("damage", ["os.chmod('.', 0)", "shutil.rmtree('data')"])
async def test_what_one_run_does_to_its_copy_is_nothing_to_the_next(
    workshops: Workshops, project: Path, damage: str
) -> None:
    # The first file harms the copy and ends the interpreter, so that every file is run by itself afterwards.
    vandal = f"import os, shutil\n\n\ndef test_v():\n    {damage}\n    os._exit(0)\n"
    reader = "import pathlib\n\n\ndef test_r():\n    assert pathlib.Path('data/a.txt').read_text() == 'a'\n"
    write(project, {"test_a.py": vandal, "test_b.py": reader, "data/a.txt": "a"})
    baseline = await workshops.open(project).baseline()
    assert baseline.guards == {"test_b::test_r"}
    assert [left.path for left in baseline.run.left_out] == ["test_a.py"]
    assert list(workshops.scratch.iterdir()) == []


UNSTEADY_RUN = """import os
import threading


def test_s():
    if int(os.environ['RUN']) in {runs}:
        threading.Event().wait()
"""


async def test_a_suite_that_hangs_once_is_not_blamed_on_the_edit(workshops: Workshops, project: Path) -> None:
    write(project, {"basket.py": BASKET, "test_a.py": BASKET_TEST})
    write(project, {"test_s.py": UNSTEADY_RUN.format(runs={2})})
    short = Limits(wall_seconds=3, memory_bytes=1 << 30)
    numbered = dataclasses.replace(workshops, sandbox=NumberedSandbox(workshops.sandbox))
    workshop = numbered.open(project, SuiteLimits(suite=short, file=short))
    review = await workshop.review(await workshop.propose("basket.py"), await workshop.baseline())
    assert review.verdict.accepted
    assert review.left_out == ()


async def test_a_suite_that_hangs_without_the_edit_too_decides_nothing(
    workshops: Workshops, project: Path
) -> None:
    write(project, {"basket.py": BASKET, "test_a.py": BASKET_TEST})
    write(project, {"test_s.py": UNSTEADY_RUN.format(runs={2, 3, 4})})
    short = Limits(wall_seconds=3, memory_bytes=1 << 30)
    numbered = dataclasses.replace(workshops, sandbox=NumberedSandbox(workshops.sandbox))
    workshop = numbered.open(project, SuiteLimits(suite=short, file=short))
    baseline = await workshop.baseline()
    with pytest.raises(ToolError, match="with the edit or without"):
        await workshop.review(await workshop.propose("basket.py"), baseline)


@pytest.mark.feature("E-01")
async def test_a_test_that_the_later_tree_breaks_is_told_from_a_flaky_one(
    workshops: Workshops, project: Path, tmp_path: Path
) -> None:
    unsteady = "import os\n\n\ndef test_u():\n    assert os.environ['RUN'] != '2'\n"
    write(project, {"basket.py": BASKET, "test_a.py": BASKET_TEST, "test_u.py": unsteady})
    head = tmp_path / "head"
    write(
        head,
        {"basket.py": BASKET.replace("fruits", "pears"), "test_a.py": BASKET_TEST, "test_u.py": unsteady},
    )
    workshop = dataclasses.replace(workshops, sandbox=NumberedSandbox(workshops.sandbox)).open(project)
    baseline = await workshop.baseline()
    after = await workshop.critic.measure_again(head, baseline)
    steady, flaky = await workshop.critic.regressions(project, head, baseline, after)
    assert steady == {"test_a::test_label"}
    assert flaky == {"test_u::test_u"}
    # A test known to be flaky is asked no more.
    assert await workshop.critic.regressions(project, head, baseline, after) == (steady, frozenset())
