# SPDX-License-Identifier: Apache-2.0
"""Runs the command as a person does: as a process, with a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_START = "from enchanted.cli.main import main; main()"


@dataclass(frozen=True)
class Ended:
    """How a command ended: its code, its data, its talk."""

    code: int
    data: str
    talk: str

    @property
    def document(self) -> Any:
        """Its data as one JSON document."""
        return json.loads(self.data)

    @property
    def lines(self) -> list[Any]:
        """Its data as JSON lines."""
        return [json.loads(line) for line in self.data.splitlines()]


@dataclass(frozen=True)
class Program:
    """The command with its data folder.

    Attributes:
        data: The folder of the platform.
        place: The folder in which commands are run.
    """

    data: Path
    place: Path

    def run(self, *words: str, **variables: str) -> Ended:
        """Run a command to its end."""
        ended = subprocess.run(
            [sys.executable, "-c", _START, *words],
            cwd=self.place,
            env=self._environment(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    @contextmanager
    def running(self, *words: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command that runs for as long as the block; interrupted at its end if it still does."""
        with subprocess.Popen(
            [sys.executable, "-c", _START, *words],
            cwd=self.place,
            env=self._environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                process.communicate()

    @contextmanager
    def hub(self) -> Iterator[str]:
        """A hub that serves the folder for as long as the block; its address."""
        with self.running("up", "--no-demo", "--json") as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            yield json.loads(line)["url"]

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENCHANTED_")}
        own = {"ENCHANTED_DATA": str(self.data), "ENCHANTED_PORT": "0", "NO_COLOR": "1"}
        return {**kept, **own, **variables}


@dataclass(frozen=True)
class Imported:
    """A command with a project that was imported.

    Attributes:
        program: The command.
        repository: What was imported, under the name ``basket``.
        project_id: The project.
    """

    program: Program
    repository: Path
    project_id: str
