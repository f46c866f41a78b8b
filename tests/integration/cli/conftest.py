# SPDX-License-Identifier: Apache-2.0
"""What the tests of commands share: a program with a folder of its own, reached both ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.integration.cli.program import Imported, Program
from tests.integration.platform.repositories import make_repository


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The command with a fresh folder."""
    place = tmp_path / "place"
    place.mkdir()
    return Program(tmp_path / "data", place)


@pytest.fixture(scope="module", params=["here", "hub"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """A project imported once, and the command: hosting the rooms itself, and as the client of a live hub."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "place").mkdir()
    program = Program(folder / "data", folder / "place")
    repository = make_repository(folder / "basket")
    with program.hub() if request.param == "hub" else nullcontext():
        ended = program.run("project", "import", str(repository), "--quiet")
        assert (ended.code, ended.talk) == (0, "")
        yield Imported(program, repository, ended.data.strip())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository with two commits."""
    return make_repository(tmp_path / "basket")
