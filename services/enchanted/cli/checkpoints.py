# SPDX-License-Identifier: Apache-2.0
"""The last checkpoint of each history that this machine saw: the client's own memory.

A hub that rewrote a history could sign the new one as well as the old; only somebody who remembers an earlier
checkpoint can demand that the new tree contains it. So notes are kept outside the store, one file a log. A
folder that is rolled back whole takes its notes along: keep a copy of them elsewhere where that matters.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

FOLDER: Final = "checkpoints"
_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,100}")


class SeenCheckpoints:
    """Checkpoint notes as files.

    Args:
        data: The data folder.
    """

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER

    def read(self, log: str) -> str:
        """The last note of a log; empty if none was seen."""
        try:
            return self._path(log).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def keep(self, log: str, note: str) -> None:
        """Remember a note, in place of the one before; only after it was found consistent with that one."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._path(log)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(note, "utf-8")
        temporary.replace(path)

    def _path(self, log: str) -> Path:
        assert _NAME.fullmatch(log), "a log's name is a project's id"
        return self._folder / f"{log}.note"
