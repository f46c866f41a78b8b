# SPDX-License-Identifier: Apache-2.0
"""What the tests of the platform share: settings of a folder of their own, and a small repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from enchanted.settings import Settings
from tests.integration.platform.repositories import make_repository


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a fresh folder and any free port."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ENCHANTED_{name.upper()}", raising=False)
    return Settings(data=tmp_path / "data", port=0)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository."""
    return make_repository(tmp_path / "basket")
