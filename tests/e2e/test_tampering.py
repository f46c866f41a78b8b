# SPDX-License-Identifier: Apache-2.0
"""What was changed behind the platform's back is caught, wherever it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Installation, Run
from tests.e2e.scenarios import check_flips_are_caught, copy_of

FLIPS = 10
pytestmark = pytest.mark.timeout(900)


@pytest.mark.feature("E-02")
def test_a_flipped_byte_is_caught_by_verify(done: tuple[Installation, Run], tmp_path: Path) -> None:
    installation, run = done
    assert run.exit_code == 0, run.told
    check_flips_are_caught(installation, tmp_path, FLIPS)


@pytest.mark.feature("E-02")
def test_an_untouched_copy_verifies(done: tuple[Installation, Run], tmp_path: Path) -> None:
    copy = copy_of(done[0], tmp_path / "copy")
    assert copy.run("verify").returncode == 0


@pytest.mark.feature("E-02")
def test_a_history_rolled_back_to_an_older_copy_is_caught(
    done: tuple[Installation, Run], tmp_path: Path
) -> None:
    installation, run = done
    copy = copy_of(installation, tmp_path / "data")
    assert copy.run("job", "run", run.project["name"], "--watch").returncode == 0
    assert copy.run("verify").returncode == 0
    shutil.rmtree(copy.data / "store")
    shutil.copytree(installation.data / "store", copy.data / "store")
    ended = copy.run("verify", "--json")
    assert ended.returncode == 1, ended.stdout
