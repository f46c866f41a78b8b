# SPDX-License-Identifier: Apache-2.0
"""Which database a text names, and the databases that this process has open.

Two openings of one folder in one process must be one engine: two would not see each other's conflicts. A
folder's engine is therefore shared by all handles and closed with the last of them.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from enchanted.keyspace.embedded.engine import Engine, open_folder, open_memory
from enchanted.keyspace.embedded.errors import BadURLError

SCHEME: Final = "embedded:"
_NAME: Final = "name"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a database is: a folder, or memory when ``folder`` is None."""

    folder: Path | None
    name: str


def parse(text: str | None) -> Location:
    """Return what ``text`` names.

    Args:
        text: ``embedded:/folder`` or a plain path for a folder; ``embedded:`` or None for memory; memory may
            be named, ``embedded:?name=NAME``, so that ``fdb.open`` gives one database a name.

    Raises:
        BadURLError: It is of another kind, or has a parameter that is not known.
    """
    if text is None:
        return Location(None, "memory")
    path, _, query = text.removeprefix(SCHEME).partition("?")
    if not text.startswith(SCHEME):
        path, query = text, ""
        if ":" in text.partition("/")[0]:
            raise BadURLError(f"{text!r} does not name an embedded database: use embedded:/folder or a path")
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(parameters.keys() - {_NAME})
    if unknown:
        raise BadURLError(f"{text!r} has parameters that are not known here: {', '.join(unknown)}")
    if not path:
        return Location(None, parameters.get(_NAME) or "memory")
    return Location(Path(unquote(path) if text.startswith(SCHEME) else path).expanduser().absolute(), path)


class OpenEngines:
    """The engines of this process, counted by their handles."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._handles: dict[Engine, int] = {}
        self._folders: dict[Path, Engine] = {}
        self._numbers = itertools.count(1)

    def acquire(self, location: Location) -> Engine:
        """Open the database, or share the engine that has its folder open; memory is always a new one.

        Raises:
            FolderError: The folder cannot be opened.
        """
        with self._lock:
            if location.folder is None:
                engine = open_memory(f"{location.name}-{next(self._numbers)}")
            else:
                folder = location.folder.resolve()
                shared = self._folders.get(folder)
                engine = shared if shared is not None else open_folder(folder)
                self._folders[folder] = engine
            self._handles[engine] = self._handles.get(engine, 0) + 1
            return engine

    def release(self, engine: Engine) -> None:
        """Give up one handle; the last one closes the engine."""
        with self._lock:
            left = self._handles.get(engine, 0) - 1
            if left > 0:
                self._handles[engine] = left
                return
            self._close(engine)

    def close_all(self) -> None:
        """Close every engine, whatever handles there are."""
        with self._lock:
            for engine in list(self._handles):
                self._close(engine)

    def _close(self, engine: Engine) -> None:
        self._handles.pop(engine, None)
        self._folders = {path: other for path, other in self._folders.items() if other is not engine}
        engine.close()


ENGINES: Final = OpenEngines()
