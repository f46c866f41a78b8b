# SPDX-License-Identifier: Apache-2.0
"""What is installed is what `pyproject.toml` asks for, exactly known, and can be had anywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = ["build.txt", "lock.txt"]

_PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
_HASHED_PIN = re.compile(
    r"^([\w.-]+)==[^\s;]+(?: ; [^\\\n]+)? \\\n +--hash=sha256:[0-9a-f]{64}\b", re.MULTILINE
)
_PLACE = re.compile(r"\w+://|--\w*index|--find-links|--trusted-host|(?<![\w.])/\w+|@ ")


def text(name: str) -> str:
    """Return one file of pins."""
    return (ROOT / "requirements" / name).read_text(encoding="utf-8")


def dependencies() -> list[Requirement]:
    """Return what the project needs with all its extras."""
    project = PYPROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return [Requirement(line) for line in project["dependencies"] + extras]


def outside_bounds(requirements: list[Requirement], name: str) -> list[str]:
    """Return the requirements that a file does not pin to a version they allow."""
    pins = {canonicalize_name(pinned): version for pinned, version in _PIN.findall(text(name))}
    return [
        str(requirement)
        for requirement in requirements
        if not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), "0"))
    ]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    assert outside_bounds(dependencies(), "lock.txt") == []


def test_what_builds_the_project_is_pinned_within_its_bounds() -> None:
    backend = [Requirement(line) for line in PYPROJECT["build-system"]["requires"]]
    assert outside_bounds(backend, "build.txt") == []


def test_every_dependency_has_a_floor_and_a_cap() -> None:
    operators = {str(each): {bound.operator for bound in each.specifier} for each in dependencies()}
    assert {name: found for name, found in operators.items() if found != {">=", "<"}} == {}


@pytest.mark.parametrize("name", FILES)
def test_every_pin_has_a_hash(name: str) -> None:
    pinned = [package for package, _ in _PIN.findall(text(name))]
    assert pinned
    assert _HASHED_PIN.findall(text(name)) == pinned


@pytest.mark.parametrize("name", FILES)
def test_pins_name_no_address_and_no_folder_of_a_machine(name: str) -> None:
    assert _PLACE.findall(text(name)) == []
