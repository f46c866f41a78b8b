# SPDX-License-Identifier: Apache-2.0
"""The real sandbox of this machine, as it is opened and as an ordinary user would have it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from enchanted.sandbox import BubblewrapSandbox, Mount, PythonEnvironment, find_python, open_sandbox


@pytest.fixture
async def sandbox() -> BubblewrapSandbox:
    """The sandbox as the platform opens it."""
    return await open_sandbox()


@pytest.fixture(params=["as-opened", "ordinary-user"])
async def any_sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> BubblewrapSandbox:
    """Both ways in turn; where we are an ordinary user already, they are the same."""
    if request.param == "as-opened" or os.getuid() != 0:
        return await open_sandbox()
    return await open_sandbox(search_path=str(launcher(tmp_path, "setpriv --reuid=65534 --clear-groups")))


def launcher(folder: Path, prefix: str) -> Path:
    """A folder with a program that starts the real bubblewrap by way of another command."""
    program = folder / "bwrap"
    program.write_text(f'#!/bin/sh\nexec {prefix} {shutil.which("bwrap")} "$@"\n')
    program.chmod(0o755)
    return folder


@pytest.fixture
def python() -> PythonEnvironment:
    """The interpreter that runs these tests."""
    return find_python(Path(sys.executable))


@pytest.fixture
def work() -> Iterator[Mount]:
    """A folder that can be written at `/home/sandbox/work`, and that an ordinary user reaches."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o777)
        yield Mount(folder, "/home/sandbox/work", writable=True)
