# SPDX-License-Identifier: Apache-2.0
"""Opens a database by URL; nothing outside this room knows which engine runs.

``fdb:/path/fdb.cluster``
    a FoundationDB cluster, by the official binding over ``libfdb_c``.
``embedded:/path/folder``
    the embedded engine on a folder, which one process owns.
``embedded:``
    the embedded engine in memory, a fresh one each time, gone with the process.
"""

from __future__ import annotations

from typing import Final

import fdb

from enchanted.keyspace import embedded
from enchanted.keyspace.model import StoreUnavailableError

API_VERSION: Final = 730
_EMBEDDED: Final = "embedded:"
_CLUSTER: Final = "fdb:"


def open_database(url: str) -> fdb.Database:
    """Open the database that the URL names.

    One process uses one kind of engine: the binding cannot be changed after it is loaded.

    Raises:
        StoreUnavailableError: If it cannot be opened; the text says what to do.
    """
    try:
        if url.startswith(_EMBEDDED):
            embedded.install()
            fdb.api_version(API_VERSION)
            return fdb.open(url) if url != _EMBEDDED else fdb.impl.create_database(url)
        if url.startswith(_CLUSTER):
            return _open_cluster(url.removeprefix(_CLUSTER) or None)
    except embedded.EngineError as error:
        raise StoreUnavailableError(str(error)) from error
    raise StoreUnavailableError(f"'{url}' is not a store: use embedded:/folder or fdb:/path/fdb.cluster")


def _open_cluster(cluster_file: str | None) -> fdb.Database:
    try:
        fdb.api_version(API_VERSION)
        return fdb.open(cluster_file)
    except Exception as error:
        # The binding raises bare exceptions where its C library is missing or of another version.
        raise StoreUnavailableError(
            f"the cluster cannot be opened: {error}; install FoundationDB's client library, 7.3 or newer"
        ) from error


def close_database(database: fdb.Database) -> None:
    """Release the folder of an embedded database; a cluster's connection ends with the process."""
    if embedded.is_installed():
        embedded.close(database)
