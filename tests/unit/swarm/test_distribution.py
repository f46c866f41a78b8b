# SPDX-License-Identifier: Apache-2.0
"""A project's name and version are read without building it, and nothing hostile gets into a path."""

from __future__ import annotations

from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from enchanted.swarm.distribution import Distribution, find_distribution

pytestmark = pytest.mark.feature("E-07")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("pyproject.toml", '[project]\nname = "a-b"\nversion = "1.2"', Distribution("a-b", "1.2")),
        ("pyproject.toml", '[project]\nname = "a"\ndynamic = ["version"]', Distribution("a", "0")),
        ("PKG-INFO", "Metadata-Version: 2.1\nName: a\nVersion: 3.0\n\nName: text", Distribution("a", "3.0")),
        ("pyproject.toml", '[project]\nname = "../../etc"\nversion = "1"', None),
        ("pyproject.toml", '[project]\nname = "a"\nversion = "../x"', Distribution("a", "0")),
        ("pyproject.toml", "[tool]", None),
        ("README", "", None),
    ],
)
def test_name_and_version_come_from_what_is_written(
    tmp_path: Path, name: str, text: str, found: Distribution | None
) -> None:
    (tmp_path / name).write_text(text)
    assert find_distribution(tmp_path) == found


def test_what_was_built_counts_more_than_what_was_declared(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\ndynamic = ["version"]')
    (tmp_path / "PKG-INFO").write_text("Name: a\nVersion: 3.0\n")
    assert find_distribution(tmp_path) == Distribution("a", "3.0")


def test_the_metadata_is_what_python_reads(tmp_path: Path) -> None:
    Distribution("My.Basket", "1.2").write_metadata(tmp_path)
    read = PathDistribution(tmp_path / "My_Basket-1.2.dist-info")
    assert (read.metadata["Name"], read.version) == ("My.Basket", "1.2")
