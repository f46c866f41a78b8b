# SPDX-License-Identifier: Apache-2.0
"""Run a repository's tests in the sandbox and say, test by test, what happened.

Strangers' test suites hang, eat memory, end the interpreter, and configure plugins that are not here. Each of
these must cost the file it comes from and not the whole guard. So a run that pytest refuses is repeated
without the project's extra options, then without its configuration; and one that ends without a report,
because time or memory ran out or a test ended the interpreter, is repeated file by file, where a file that
misbehaves is left out with its reason.

The environment is fixed (no network, no plugins but those asked for, hash seed 0, UTC). Each process gets a
fresh writable copy of the tree at ``/workspace``, so that what one leaves behind, or has deleted, is nothing
to the next; the report goes to ``/report`` outside it. What was run is a value, so that
it can be recorded.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from enchanted.sandbox import Command, Ending, Limits, Mount, Outcome, PythonEnvironment, Sandbox
from enchanted.swarm.model import ModulePath, ReportError
from enchanted.swarm.scratch import copy_tree
from enchanted.swarm.test_layout import TestLayout
from enchanted.swarm.test_reports import EMPTY_REPORT, REPORT_BYTES_MAX, TestReport, merge, parse_report

WORKSPACE: Final = "/workspace"
REPORT_FOLDER: Final = "/report"
METADATA_FOLDER: Final = "/metadata"
FILES_ONE_BY_ONE_MAX: Final = 500
_NO_TESTS_EXIT_CODE: Final = 5
_REFUSED_EXIT_CODES: Final = (2, 3, 4)
"""Interrupted, internal error, usage error (``pytest.ExitCode``)."""
_OUTPUT_CHARACTERS_SHOWN: Final = 400
_UNCHANGED: Final[Mapping[ModulePath, bytes]] = MappingProxyType({})
_ENVIRONMENT: Final = (
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONHASHSEED", "0"),
    ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1"),
    ("LC_ALL", "C.UTF-8"),
    ("TZ", "UTC"),
)


class Configuration(Enum):
    """How much of the project's pytest configuration a run honours."""

    HONOURED = "honoured"
    WITHOUT_OPTIONS = "its extra options are left out"
    IGNORED = "ignored"


_ARGUMENTS_OF: Final = {
    Configuration.HONOURED: (),
    Configuration.WITHOUT_OPTIONS: ("-o", "addopts=", "-o", "required_plugins=", "-o", "filterwarnings="),
    Configuration.IGNORED: ("-c", "/dev/null"),
}


class RunEnding(Enum):
    """How a run of pytest ended."""

    REPORTED = "with a report"
    NO_TESTS = "no test was found"
    REFUSED = "pytest refused to run"
    TIMED_OUT = "it did not end in time"
    OUT_OF_MEMORY = "it ran out of memory"
    OUTPUT_LIMIT = "it flooded its output"
    NO_REPORT = "it ended without a report"


_ENDING_OF: Final = {
    Ending.TIMED_OUT: RunEnding.TIMED_OUT,
    Ending.CPU_LIMIT: RunEnding.TIMED_OUT,
    Ending.OUT_OF_MEMORY: RunEnding.OUT_OF_MEMORY,
    Ending.OUTPUT_LIMIT: RunEnding.OUTPUT_LIMIT,
    Ending.KILLED: RunEnding.NO_REPORT,
}


@dataclass(frozen=True, slots=True)
class SuitePlan:
    """How the tests of a repository are run, once that is found out.

    Args:
        configuration: how much of the project's configuration is honoured.
        one_by_one: files to run each in its own process; empty: the whole suite in one.
    """

    configuration: Configuration = Configuration.HONOURED
    one_by_one: tuple[ModulePath, ...] = ()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of pytest as it can be recorded.

    Args:
        command: what ran, with environment and folder.
        mounts: paths inside the sandbox that the run could see beside the interpreter, and whether it could
            write.
        limits: its limits.
        ending: how it ended.
        exit_code: pytest's exit code; `None` when it was ended.
        wall_seconds: how long it took.
        output_end: the last characters of what it printed.
    """

    command: Command
    mounts: tuple[tuple[str, bool], ...]
    limits: Limits
    ending: RunEnding
    exit_code: int | None
    wall_seconds: float
    output_end: str


@dataclass(frozen=True, slots=True)
class LeftOutFile:
    """A test file that cannot be run here.

    Args:
        path: the file.
        ending: how its run ended.
    """

    path: ModulePath
    ending: RunEnding


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """The outcome of a suite.

    Args:
        report: results by test, of all processes joined.
        ending: how the run ended; of several the worst one.
        left_out: files without results, in a run file by file.
    """

    report: TestReport
    ending: RunEnding
    left_out: tuple[LeftOutFile, ...] = ()


OnRun = Callable[[RunRecord], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SuiteLimits:
    """Limits of a whole suite, and of a file that runs alone."""

    suite: Limits
    file: Limits


class SuiteRunner:
    """Runs one repository's tests.

    Args:
        sandbox: where untrusted code runs.
        python: the interpreter to use inside; it has pytest installed.
        layout: the repository's tests.
        limits: of each process.
        on_run: awaited after each process, so that it can be recorded.
        scratch: existing folder for copies of the tree and for reports.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        python: PythonEnvironment,
        layout: TestLayout,
        limits: SuiteLimits,
        on_run: OnRun,
        scratch: Path,
    ) -> None:
        self._sandbox = sandbox
        self._python = python
        self._layout = layout
        self._limits = limits
        self._on_run = on_run
        self._scratch = scratch

    async def discover(self, tree: Path) -> tuple[SuitePlan, SuiteRun]:
        """Find out how the suite can be run, and run it.

        Args:
            tree: the tree; not written to.

        Raises:
            TreeError: the tree is too large to copy.
            SandboxError: the sandbox cannot run at all.
        """
        if not self._layout.files:
            return SuitePlan(), SuiteRun(EMPTY_REPORT, RunEnding.NO_TESTS)
        plan = SuitePlan()
        run = await self.run(tree, plan)
        for configuration in (Configuration.WITHOUT_OPTIONS, Configuration.IGNORED):
            if run.ending is RunEnding.REFUSED:
                plan = SuitePlan(configuration)
                run = await self.run(tree, plan)
        if run.ending in (RunEnding.REPORTED, RunEnding.NO_TESTS):
            return plan, run
        every = replace(plan, one_by_one=self._layout.files[:FILES_ONE_BY_ONE_MAX])
        run = await self.run(tree, every)
        bad = {left_out.path for left_out in run.left_out}
        return replace(every, one_by_one=tuple(path for path in every.one_by_one if path not in bad)), run

    async def run(
        self,
        tree: Path,
        plan: SuitePlan,
        files: Sequence[str] = (),
        changed: Mapping[ModulePath, bytes] = _UNCHANGED,
    ) -> SuiteRun:
        """Run the suite, or some files of it.

        Args:
            tree: the tree; not written to.
            plan: how.
            files: only these files, in one process.
            changed: new bytes of some of the tree's files.

        Raises:
            TreeError: the tree is too large to copy.
            SandboxError: the sandbox cannot run at all.
        """
        source = _Source(tree, changed)
        if files or not plan.one_by_one:
            targets = tuple(files) or self._layout.targets
            report, ending = await self._process(source, plan.configuration, targets, self._limits.suite)
            return SuiteRun(report, ending)
        reports: list[TestReport] = []
        left_out: list[LeftOutFile] = []
        for path in plan.one_by_one:
            report, ending = await self._process(source, plan.configuration, (path,), self._limits.file)
            reports.append(report)
            if ending not in (RunEnding.REPORTED, RunEnding.NO_TESTS):
                left_out.append(LeftOutFile(path, ending))
        worst = left_out[0].ending if left_out else RunEnding.REPORTED
        return SuiteRun(merge(*reports), worst, tuple(left_out))

    async def _process(
        self, source: _Source, configuration: Configuration, targets: Sequence[str], limits: Limits
    ) -> tuple[TestReport, RunEnding]:
        command = self.command(configuration, targets)
        place = tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True)
        try:
            folder = Path(place.name)
            await asyncio.to_thread(copy_tree, source.tree, folder / "tree", source.changed)
            mounts = self._own_mounts(folder)
            outcome = await self._sandbox.run(command, (*self._python.mounts, *mounts), limits)
            report, ending = await asyncio.to_thread(_read_report, folder / "report" / "junit.xml", outcome)
        finally:
            await asyncio.to_thread(place.cleanup)
        seen = tuple((mount.target, mount.writable) for mount in mounts)
        await self._on_run(_record(command, seen, limits, ending, outcome))
        return report, ending

    def _own_mounts(self, place: Path) -> tuple[Mount, ...]:
        report, metadata = place / "report", place / "metadata"
        report.mkdir()
        metadata.mkdir()
        if self._layout.distribution is not None:
            self._layout.distribution.write_metadata(metadata)
        return (
            Mount(place / "tree", WORKSPACE, writable=True),
            Mount(report, REPORT_FOLDER, writable=True),
            Mount(metadata, METADATA_FOLDER),
        )

    def command(self, configuration: Configuration, targets: Sequence[str]) -> Command:
        """Return the command of one run, with paths as they are inside the sandbox."""
        plugins = [argument for plugin in self._layout.plugins for argument in ("-p", plugin)]
        folders = [f"{WORKSPACE}/{folder}".rstrip("/") for folder in self._layout.python_path]
        python_path = ":".join([*folders, METADATA_FOLDER])
        argv = [
            *(str(self._python.interpreter), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(f"--rootdir={WORKSPACE}", f"--junitxml={REPORT_FOLDER}/junit.xml", "-o", "junit_family=xunit1"),
            *("--continue-on-collection-errors", "--maxfail=0"),
            *(plugins if configuration is Configuration.HONOURED else ()),
            *_ARGUMENTS_OF[configuration],
            # A file name may begin with a dash.
            *(f"./{target}" for target in targets),
        ]
        return Command(tuple(argv), dict((*_ENVIRONMENT, ("PYTHONPATH", python_path))), WORKSPACE)


@dataclass(frozen=True, slots=True)
class _Source:
    tree: Path
    changed: Mapping[ModulePath, bytes]


def _read_report(path: Path, outcome: Outcome) -> tuple[TestReport, RunEnding]:
    if outcome.ended is not Ending.EXITED:
        return EMPTY_REPORT, _ENDING_OF[outcome.ended]
    if outcome.exit_code in _REFUSED_EXIT_CODES:
        return EMPTY_REPORT, RunEnding.REFUSED
    # The folder was the stranger's to write: a link in the report's place would lead the reader out of it.
    if path.is_symlink() or not path.is_file() or path.stat().st_size > REPORT_BYTES_MAX:
        return EMPTY_REPORT, RunEnding.NO_REPORT
    try:
        report = parse_report(path.read_bytes())
    except ReportError:
        return EMPTY_REPORT, RunEnding.NO_REPORT
    return report, RunEnding.NO_TESTS if outcome.exit_code == _NO_TESTS_EXIT_CODE else RunEnding.REPORTED


def _record(
    command: Command, seen: tuple[tuple[str, bool], ...], limits: Limits, ending: RunEnding, outcome: Outcome
) -> RunRecord:
    printed = (outcome.stdout + outcome.stderr)[-_OUTPUT_CHARACTERS_SHOWN:].decode("utf-8", "replace")
    return RunRecord(command, seen, limits, ending, outcome.exit_code, outcome.wall_seconds, printed)
