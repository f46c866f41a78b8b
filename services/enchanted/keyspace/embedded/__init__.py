# SPDX-License-Identifier: Apache-2.0
"""The embedded engine: FoundationDB's API on a folder or in memory, in one process.

:func:`install` puts the engine in the place of the official binding's ``fdb.impl``, before
``fdb.api_version``; afterwards ``fdb`` and its layers are used as on a cluster::

    from enchanted.keyspace import embedded

    embedded.install()
    fdb.api_version(730)
    database = fdb.open("embedded:/var/lib/enchanted/db")   # a folder, shared by all handles of this process
    scratch = fdb.impl.create_database("embedded:")         # memory, a new one at each call
    embedded.close(database)                                # also done when the process ends

Nothing here imports other rooms. Everything above the port in ``store`` is the same for both kinds.
"""

from __future__ import annotations

import sys
from typing import Any

from enchanted.keyspace.embedded.errors import (
    BadURLError,
    BindingLoadedError,
    EngineError,
    FDBError,
    FolderDamagedError,
    FolderError,
    FolderInUseError,
    FolderTooNewError,
    FolderUnusableError,
)

__all__ = [
    "BadURLError",
    "BindingLoadedError",
    "EngineError",
    "FDBError",
    "FolderDamagedError",
    "FolderError",
    "FolderInUseError",
    "FolderTooNewError",
    "FolderUnusableError",
    "close",
    "close_all",
    "install",
    "is_installed",
]

_NAME = "fdb.impl"


def is_installed() -> bool:
    """Tell whether ``fdb`` runs on this engine."""
    module = sys.modules.get(_NAME)
    return module is not None and module.__name__ == f"{__name__}.binding"


def install() -> None:
    """Let ``fdb`` run on this engine; called before ``fdb.api_version``, and harmless when repeated.

    Raises:
        BindingLoadedError: The official binding is loaded already; one process runs one of them.
    """
    if is_installed():
        return
    if _NAME in sys.modules:
        raise BindingLoadedError(
            "the FoundationDB binding is already loaded with its C library: call"
            " enchanted.keyspace.embedded.install() before fdb.api_version(), or use another process"
        )
    import fdb  # noqa: PLC0415 - what is replaced must not be loaded by importing this package

    from enchanted.keyspace.embedded import binding  # noqa: PLC0415 - as above

    sys.modules[_NAME] = binding
    # An import finds a module in sys.modules without binding it to its package, where the layers look for it.
    fdb.impl = binding


def close(database: Any) -> None:
    """Close a handle; the last handle on a folder finishes its commits and lets go of the folder."""
    database.close()


def close_all() -> None:
    """Close every database of this process."""
    from enchanted.keyspace.embedded.locations import ENGINES  # noqa: PLC0415 - not needed before install

    ENGINES.close_all()
