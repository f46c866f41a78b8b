# SPDX-License-Identifier: Apache-2.0
"""Which tests a repository has and what pytest needs to find them.

Running pytest on the whole tree would also collect examples and documentation that were never meant to run;
naming every file would make commands that no record can hold. So the targets are the outermost test folders,
and lone test files beside the modules. Where the project's own pytest configuration says ``testpaths``, that
decides.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Final

from enchanted.swarm.distribution import Distribution, find_distribution
from enchanted.swarm.model import ModulePath
from enchanted.swarm.python_versions import read_pyproject, read_text

_TEST_FOLDERS: Final = frozenset({"tests", "test"})
_PLUGIN_OF_SETTING: Final = {"asyncio_mode": "pytest_asyncio.plugin", "anyio_mode": "anyio.pytest_plugin"}


@dataclass(frozen=True, slots=True)
class TestLayout:
    """Tests of a repository.

    Args:
        files: files that hold tests, by path; each can be run alone.
        targets: arguments for pytest; empty when the project's configuration names them.
        python_path: folders for ``PYTHONPATH``, relative to the tree; ``""`` is the tree itself.
        plugins: modules of pytest plugins that the project's configuration asks for.
        distribution: what the project would be called if it were installed.
    """

    __test__: ClassVar[bool] = False

    files: tuple[ModulePath, ...]
    targets: tuple[str, ...]
    python_path: tuple[str, ...]
    plugins: tuple[str, ...]
    distribution: Distribution | None = None


def is_test_path(path: str) -> bool:
    """Whether a file belongs to the tests, by its name and folders."""
    pure = PurePosixPath(path)
    return pure.name == "conftest.py" or _holds_tests(pure) or not _TEST_FOLDERS.isdisjoint(pure.parts[:-1])


def find_test_layout(root: Path, test_paths: Iterable[ModulePath], source_roots: Sequence[str]) -> TestLayout:
    """Describe the tests of a tree.

    Args:
        root: folder of the tree.
        test_paths: all files for which `is_test_path` holds.
        source_roots: folders that dotted names start from.
    """
    files = tuple(sorted(path for path in test_paths if _holds_tests(PurePosixPath(path))))
    settings = _pytest_settings(root)
    return TestLayout(
        files=files,
        targets=() if settings.get("testpaths") else _targets(files),
        python_path=tuple(source_roots) or ("",),
        plugins=tuple(sorted(plugin for name, plugin in _PLUGIN_OF_SETTING.items() if name in settings)),
        distribution=find_distribution(root),
    )


def _holds_tests(path: PurePosixPath) -> bool:
    return path.name == "tests.py" or path.match("test_*.py") or path.match("*_test.py")


def _targets(files: Sequence[ModulePath]) -> tuple[str, ...]:
    """Outermost test folder of every file, or the file itself."""
    targets: set[str] = set()
    for file in files:
        parts = PurePosixPath(file).parts
        depth = next((index for index, name in enumerate(parts[:-1]) if name in _TEST_FOLDERS), None)
        # tests.py is outside pytest's default pattern, so its folder would not find it.
        named = depth is None or parts[-1] == "tests.py"
        targets.add(file if named else "/".join(parts[: (depth or 0) + 1]))
    return tuple(sorted(targets))


def _pytest_settings(root: Path) -> dict[str, Any]:
    """Return the project's pytest settings, from the first file that pytest would take them from."""
    for name, section in (("pytest.ini", "pytest"), (".pytest.ini", "pytest")):
        if (root / name).is_file():
            return _ini_section(root / name, section)
    tools = read_pyproject(root).get("tool")
    table = tools.get("pytest") if isinstance(tools, dict) else None
    options = table.get("ini_options", table) if isinstance(table, dict) else None
    if isinstance(options, dict):
        return options
    return _ini_section(root / "tox.ini", "pytest") or _ini_section(root / "setup.cfg", "tool:pytest")


def _ini_section(path: Path, section: str) -> dict[str, Any]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_text(path))
    except configparser.Error:
        return {}
    return dict(parser.items(section)) if parser.has_section(section) else {}
