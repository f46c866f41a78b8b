# SPDX-License-Identifier: Apache-2.0
"""The name and version that a project would have if it were installed.

Tests run from the source tree, but many packages ask `importlib.metadata` for their own version while they
are imported; without an answer not one of their tests could run and nothing would guard them. Installing the
project would run its build. So two facts are read, from ``PKG-INFO`` or ``pyproject.toml``, and a metadata
folder that holds only these is put on the path.

Formats: core metadata 2.1 and the ``.dist-info`` folder of PEP 376.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enchanted.swarm.python_versions import read_pyproject, read_text

UNKNOWN_VERSION: Final = "0"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[A-Za-z0-9.!+_-]{1,100}")
_HEADER: Final = re.compile(r"^(Name|Version): *(\S+)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Distribution:
    """What `importlib.metadata` should answer.

    Args:
        name: as the project spells it.
        version: its version; ``0`` when only a build could tell.
    """

    name: str
    version: str

    def write_metadata(self, folder: Path) -> None:
        """Write the ``.dist-info`` folder into an existing folder."""
        file_name = re.sub(r"[-_.]+", "_", self.name)
        place = folder / f"{file_name}-{self.version}.dist-info"
        place.mkdir()
        (place / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n", encoding="utf-8"
        )


def find_distribution(root: Path) -> Distribution | None:
    """Name and version of the project in a tree; `None` when it has no usable name."""
    facts = dict(reversed(_HEADER.findall(read_text(root / "PKG-INFO").partition("\n\n")[0])))
    project = read_pyproject(root).get("project")
    if isinstance(project, dict):
        facts = {"Name": str(project.get("name", "")), "Version": str(project.get("version", "")), **facts}
    name, version = facts.get("Name", ""), facts.get("Version", "")
    if not _NAME.fullmatch(name):
        return None
    return Distribution(name, version if _VERSION.fullmatch(version) else UNKNOWN_VERSION)
