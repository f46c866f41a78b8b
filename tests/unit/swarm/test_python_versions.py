# SPDX-License-Identifier: Apache-2.0
"""The lowest Python version comes from what the project declares, and never exceeds the interpreter's."""

from __future__ import annotations

from pathlib import Path

import pytest

from enchanted.swarm.model import PythonVersion
from enchanted.swarm.python_versions import DEFAULT_MINIMUM, MinimumVersion, lowest_allowed, minimum_version

pytestmark = pytest.mark.feature("E-07")

RUNNING = PythonVersion(3, 11)


def of(root: Path, chosen: PythonVersion | None = None) -> MinimumVersion:
    return minimum_version(root, running=RUNNING, chosen=chosen)


@pytest.mark.parametrize(
    ("specifier", "lowest"),
    [
        (">=3.8", PythonVersion(3, 8)),
        (">= 3.8.1, <4", PythonVersion(3, 8)),
        (">3.7", PythonVersion(3, 7)),
        ("~=3.10", PythonVersion(3, 10)),
        ("==3.11.*", PythonVersion(3, 11)),
        ("^3.9", PythonVersion(3, 9)),
        ("~3.10", PythonVersion(3, 10)),
        (">=2.7, !=3.0.*, !=3.1.*", PythonVersion(2, 7)),
        (">=3", PythonVersion(3, 0)),
        ("<4", PythonVersion(2, 7)),
        ("", None),
        ("three", None),
        (">=4", None),
    ],
)
def test_the_lowest_version_a_specifier_lets_in(specifier: str, lowest: PythonVersion | None) -> None:
    assert lowest_allowed(specifier) == lowest


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("pyproject.toml", '[project]\nrequires-python = ">=3.8"', PythonVersion(3, 8)),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.10"', PythonVersion(3, 10)),
        (
            "pyproject.toml",
            '[project]\nclassifiers = ["Programming Language :: Python :: 3.7"]',
            PythonVersion(3, 7),
        ),
        ("setup.cfg", "[options]\npython_requires = >=3.6", PythonVersion(3, 6)),
        ("setup.py", "from setuptools import setup\nsetup(python_requires='>=3.5')", PythonVersion(3, 5)),
        (
            "setup.py",
            "c = 'Programming Language :: Python :: 3.9', 'Programming Language :: Python :: 3.10'",
            PythonVersion(3, 9),
        ),
    ],
)
def test_each_kind_of_declaration_is_read(
    tmp_path: Path, name: str, text: str, version: PythonVersion
) -> None:
    (tmp_path / name).write_text(text)
    found = of(tmp_path)
    assert found.version == version
    assert name in found.origin
    assert not found.capped


def test_a_project_that_declares_nothing_gets_the_default(tmp_path: Path) -> None:
    assert of(tmp_path).version == DEFAULT_MINIMUM


def test_a_project_for_a_newer_python_is_capped_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.14"')
    assert of(tmp_path).version == RUNNING
    assert of(tmp_path).capped


def test_the_job_may_choose_another_version(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = ">=2.7"')
    assert of(tmp_path).version == PythonVersion(2, 7)
    assert of(tmp_path, PythonVersion(3, 9)).version == PythonVersion(3, 9)


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.cfg", "setup.py"])
@pytest.mark.parametrize("data", [b"\xff\xfe[", b"[" * 5_000, b"a = [\n", b"\0", b"(" * 100_000])
def test_malformed_project_files_count_as_silent(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert of(tmp_path).version == DEFAULT_MINIMUM


def test_project_files_that_lead_elsewhere_are_not_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside.toml"
    outside.write_text('[project]\nrequires-python = ">=3.7"')
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").symlink_to(outside)
    assert of(project).version == DEFAULT_MINIMUM
