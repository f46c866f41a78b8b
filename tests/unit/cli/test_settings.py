# SPDX-License-Identifier: Apache-2.0
"""Settings come from the environment, are checked, and are documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from enchanted import settings
from enchanted.settings import Settings, SettingsError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(settings.PREFIX + name.upper(), raising=False)


@pytest.mark.feature("K-01")
def test_without_any_setting_there_is_a_folder_and_a_port() -> None:
    found = settings.load()
    assert (found.host, found.port) == ("127.0.0.1", 8080)
    assert found.data.is_absolute()
    assert found.store == f"embedded:{found.data}/store"
    assert found.embedded_folder == found.data / "store"


@pytest.mark.feature("K-01")
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENCHANTED_DATA", "here")
    monkeypatch.setenv("ENCHANTED_PORT", "0")
    monkeypatch.setenv("ENCHANTED_STORE", "fdb:/etc/fdb.cluster")
    found = settings.load()
    assert (found.data, found.port, found.store) == (tmp_path / "here", 0, "fdb:/etc/fdb.cluster")
    assert found.embedded_folder is None


@pytest.mark.feature("K-01")
def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCHANTED_PORT", "")
    assert settings.load().port == 8080


@pytest.mark.feature("K-01")
@pytest.mark.parametrize(
    ("name", "value"),
    [("ENCHANTED_PORT", "http"), ("ENCHANTED_PORT", "70000"), ("ENCHANTED_LOG_LEVEL", "loud")],
    ids=["no_number", "too_great", "no_level"],
)
def test_a_value_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}={value} cannot be used: "):
        settings.load()


@pytest.mark.feature("K-01")
def test_the_page_of_settings_is_not_stale() -> None:
    page = (ROOT / "docs" / "CONFIGURATION.md").read_text("utf-8")
    assert page == settings.reference(), "write it anew: python -m enchanted.cli.reference"
