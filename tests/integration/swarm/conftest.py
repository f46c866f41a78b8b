# SPDX-License-Identifier: Apache-2.0
"""Projects to work on, and the real sandbox and tools to do it with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from enchanted.sandbox import open_sandbox
from tests.integration.swarm.workshop import SAMPLE, Workshops


@pytest.fixture
async def workshops(tmp_path: Path) -> Workshops:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Workshops(scratch.resolve(), await open_sandbox())


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLE, tmp_path / "sample"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder to write a project into."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder
