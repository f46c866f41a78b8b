# SPDX-License-Identifier: Apache-2.0
"""A machine without a sandbox is found out at the start, with what to do about it."""

from pathlib import Path

import pytest

from enchanted.sandbox import (
    BubblewrapSandbox,
    Command,
    Limits,
    Obstacle,
    SandboxUnavailableError,
    open_sandbox,
)
from enchanted.sandbox.arguments import system_arguments

pytestmark = pytest.mark.feature("E-12")


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


async def test_without_bubblewrap_one_is_told_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailableError, match="run `make setup`, or install") as caught:
        await open_sandbox(search_path=str(tmp_path))
    assert caught.value.obstacle is Obstacle.NO_BUBBLEWRAP


async def test_an_old_bubblewrap_is_not_trusted(tmp_path: Path) -> None:
    write_program(tmp_path / "bwrap", "echo bubblewrap 0.6.1")
    with pytest.raises(SandboxUnavailableError, match=r"older than 0\.8\.0") as caught:
        await open_sandbox(search_path=str(tmp_path))
    assert caught.value.detail == "bubblewrap 0.6.1"


async def test_a_program_that_does_not_run_is_no_bubblewrap(tmp_path: Path) -> None:
    write_program(tmp_path / "bwrap", "exit 7")
    with pytest.raises(SandboxUnavailableError, match="not installed"):
        await open_sandbox(search_path=str(tmp_path))


async def test_a_machine_that_forbids_namespaces_is_found_out(tmp_path: Path) -> None:
    # The real bubblewrap, inside a sandbox in which no further namespace can be made.
    inner = (
        'exec /usr/bin/env bwrap --unshare-user --disable-userns --dev-bind / / -- "$(command -v bwrap)" "$@"'
    )
    write_program(tmp_path / "bwrap", inner)
    with pytest.raises(SandboxUnavailableError, match="allow unprivileged user namespaces") as caught:
        await open_sandbox(search_path=str(tmp_path))
    assert "namespace" in caught.value.detail


async def test_a_bubblewrap_that_has_gone_since_is_told(tmp_path: Path) -> None:
    sandbox = BubblewrapSandbox(tmp_path / "bwrap", Path("/usr/bin/prlimit"), system_arguments(), None)
    with pytest.raises(SandboxUnavailableError, match="not installed"):
        await sandbox.run(Command(("true",)), (), Limits())
