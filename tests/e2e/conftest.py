# SPDX-License-Identifier: Apache-2.0
"""An installation as a person has it: the `enchanted` command, a data folder of its own, a free port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ENCHANTED = Path(sys.executable).with_name("enchanted")
SAMPLE = Path(__file__).parents[1] / "fixtures" / "sample_project"
RUN_SECONDS_MAX = 600
FIRST_LINE = "hub"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """One data folder, and the command that works on it."""

    data: Path
    port: int = field(default_factory=free_port)
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        own = {"ENCHANTED_DATA": str(self.data), "ENCHANTED_PORT": str(self.port), "NO_COLOR": "1"}
        return {**os.environ, **own, **self.variables}

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ENCHANTED, *arguments],
            env=self.environment(),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )

    def start(self, *arguments: str) -> Started:
        self.data.parent.mkdir(parents=True, exist_ok=True)
        told = self.data.parent / f"told-{self.port}-{len(list(self.data.parent.glob('told-*')))}"
        with told.open("w") as errors:
            process = subprocess.Popen(
                [ENCHANTED, *arguments],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        return Started(process, told)

    def answer(self, *arguments: str) -> Any:
        """What a command prints as JSON; the command must succeed."""
        ended = self.run(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def up(self, repo: Path | str, *arguments: str) -> Run:
        """The main job from beginning to end."""
        ended = self.run("up", "--json", "--exit", "--repo", str(repo), *arguments)
        return Run(ended.returncode, lines_of(ended.stdout), ended.stderr)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """A hub without a job, and its address."""
        started = self.start("up", "--no-demo", "--json")
        try:
            yield str(json.loads(next(started.lines()))["url"])
        finally:
            started.process.send_signal(signal.SIGINT)
            started.end()


@dataclass
class Started:
    """A command that runs beside the test; its errors go to a file, so that no stream waits for the other."""

    process: subprocess.Popen[str]
    told: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        # Not "yield from", which would close the stream when a reader stops half-way.
        for line in self.process.stdout:  # noqa: UP028 - as said
            yield line

    def end(self, seconds_max: float = RUN_SECONDS_MAX) -> Run:
        """Read the rest of its lines and wait for its end."""
        with self.process:
            rest = list(self.lines())
            self.process.wait(seconds_max)
        return Run(self.process.returncode, [json.loads(line) for line in rest], self.told.read_text())


@dataclass
class Run:
    """What `enchanted up --json --exit` came to."""

    exit_code: int
    lines: list[dict[str, Any]]
    told: str

    def one(self, kind: str) -> dict[str, Any]:
        found = [line for line in self.lines if line["type"] == kind]
        assert len(found) == 1, f"{kind}: {found}\n{self.told}"
        return found[0]

    @property
    def job(self) -> dict[str, Any]:
        return dict(self.one("job")["job"])

    @property
    def project(self) -> dict[str, Any]:
        return dict(self.one("project")["project"])

    @property
    def verified(self) -> bool:
        return bool(self.one("verification")["passed"])


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "data")


@pytest.fixture(scope="module")
def done_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("done")


@pytest.fixture(scope="module")
def done(done_folder: Path) -> tuple[Installation, Run]:
    """The main job on the sample, done once for all tests of a module."""
    used = Installation(done_folder / "data")
    return used, used.up(SAMPLE)
