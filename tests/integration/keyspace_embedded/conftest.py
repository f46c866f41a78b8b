# SPDX-License-Identifier: Apache-2.0
"""The engine under the real ``fdb`` package: installed once a process, a fresh database for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from enchanted.keyspace import embedded


@pytest.fixture(scope="session")
def fdb() -> ModuleType:
    embedded.install()
    import fdb as module  # noqa: PLC0415 - the engine must be in place first

    module.api_version(730)
    loaded: ModuleType = module
    return loaded


@pytest.fixture(params=["memory", "folder"])
def database(request: pytest.FixtureRequest, fdb: Any, tmp_path: Path) -> Iterator[Any]:
    opened = fdb.impl.create_database(
        "embedded:" if request.param == "memory" else f"embedded:{tmp_path / 'db'}"
    )
    yield opened
    embedded.close(opened)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "db"
