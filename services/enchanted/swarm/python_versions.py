# SPDX-License-Identifier: Apache-2.0
"""The lowest Python version a repository promises to run on.

Modern syntax that the project's oldest supported interpreter cannot read would break users whom no test of
ours speaks for. So the target of every rewrite is the lowest version that the project declares, never the
version that happens to run here; a project that declares none is taken to support 3.9, the oldest release
still widely shipped by distributions. Project files are only read, never run.

Read in this order, the first hit wins: ``requires-python`` (PEP 621), Poetry's ``python`` dependency,
``python_requires`` in ``setup.cfg``, the same as a literal in ``setup.py``, then the lowest trove classifier
``Programming Language :: Python :: 3.x`` of these files or of ``PKG-INFO``.
"""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from enchanted.swarm.model import PythonVersion

DEFAULT_MINIMUM: Final = PythonVersion(3, 9)
PROJECT_FILE_BYTES_MAX: Final = 1024 * 1024
_KNOWN: Final = (PythonVersion(2, 7), *(PythonVersion(3, minor) for minor in range(40)))
_CLASSIFIER: Final = re.compile(r"Programming Language :: Python :: (\d+\.\d+)\b")


@dataclass(frozen=True, slots=True)
class MinimumVersion:
    """The version that rewrites aim at.

    Args:
        version: the version.
        origin: where it comes from, for people.
        capped: whether the project asks for a newer interpreter than the one that runs here.
    """

    version: PythonVersion
    origin: str
    capped: bool


def minimum_version(root: Path, *, running: PythonVersion, chosen: PythonVersion | None) -> MinimumVersion:
    """Lowest supported version of the project in `root`.

    Args:
        root: folder of the project.
        running: the interpreter's version; the result never exceeds it.
        chosen: overrides what the project declares.
    """
    if chosen is not None:
        version, origin = chosen, "chosen for this job"
    else:
        version, origin = _declared(root) or (DEFAULT_MINIMUM, "not declared by the project; default")
    return MinimumVersion(min(version, running), origin, version > running)


def _declared(root: Path) -> tuple[PythonVersion, str] | None:
    pyproject = read_pyproject(root)
    setup_cfg = _read_setup_cfg(root)
    setup_py = read_text(root / "setup.py")
    candidates = (
        (_mapping(pyproject, "project").get("requires-python"), "requires-python in pyproject.toml"),
        (_poetry_python(pyproject), "Poetry's python dependency in pyproject.toml"),
        (setup_cfg.get("options", "python_requires", fallback=None), "python_requires in setup.cfg"),
        (_setup_py_argument(setup_py), "python_requires in setup.py"),
    )
    for text, origin in candidates:
        version = lowest_allowed(text) if isinstance(text, str) else None
        if version is not None:
            return version, origin
    for name in ("pyproject.toml", "setup.cfg", "setup.py", "PKG-INFO"):
        versions = [PythonVersion.parse(found) for found in _CLASSIFIER.findall(read_text(root / name))]
        if versions:
            return min(versions), f"trove classifiers in {name}"
    return None


def lowest_allowed(specifier: str) -> PythonVersion | None:
    """Lowest known minor version that a specifier (PEP 440, or Poetry's ``^`` and ``~``) lets in.

    Returns `None` for what cannot be read or lets nothing in.
    """
    plain = re.sub(r"[\^~](?=\d)", ">=", specifier.split("||", 1)[0].strip())
    try:
        allowed = SpecifierSet(plain)
    except InvalidSpecifier:
        return None
    if not plain:
        return None
    for version in _KNOWN:
        # A bound such as >=3.8.1 or >3.7.2 still counts as its minor version, hence the late patch release.
        if allowed.contains(f"{version}.99") or allowed.contains(f"{version}.0"):
            return version
    return None


def read_pyproject(root: Path) -> dict[str, Any]:
    """``pyproject.toml`` as a mapping; empty when absent, too large or malformed."""
    try:
        return tomllib.loads(read_text(root / "pyproject.toml"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _read_setup_cfg(root: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_text(root / "setup.cfg"))
    except configparser.Error:
        return configparser.RawConfigParser()
    return parser


def read_text(path: Path) -> str:
    """Return the text of a small regular file; empty when it is absent, a link, too large or not UTF-8."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > PROJECT_FILE_BYTES_MAX:
        return ""
    return path.read_bytes().decode("utf-8-sig", "replace")


def _mapping(document: object, *names: str) -> dict[str, Any]:
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def _poetry_python(pyproject: dict[str, Any]) -> object:
    return _mapping(pyproject, "tool", "poetry", "dependencies").get("python")


def _setup_py_argument(source: str) -> str | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "python_requires":
            value = node.value
            return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None
    return None
