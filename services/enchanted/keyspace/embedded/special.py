# SPDX-License-Identifier: Apache-2.0
r"""The special key space: what programs ask a cluster about itself.

Monitoring and tools read ``\xff\xff/status/json``; a program that gets nothing there concludes that there is
no database. An embedded engine answers the same keys with what is true of it, in the cluster's form, reduced.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from enchanted.keyspace.embedded.errors import SPECIAL_KEYS_NO_MODULE_FOUND, FDBError
from enchanted.keyspace.embedded.store import Pair

if TYPE_CHECKING:
    from enchanted.keyspace.embedded.engine import Engine

STATUS_KEY: Final = b"\xff\xff/status/json"
FILE_KEY: Final = b"\xff\xff/cluster_file_path"
CONNECTION_KEY: Final = b"\xff\xff/connection_string"
# Modules that a program may list and that are always empty here.
EMPTY_MODULES: Final = (b"\xff\xff/management/tenant/map/", b"\xff\xff/worker_interfaces/")


def get(engine: Engine, key: bytes) -> bytes | None:
    """Return the value of a special key, None where there is none."""
    if key == STATUS_KEY:
        return status_json(engine)
    if key == FILE_KEY:
        return engine.name.encode()
    if key == CONNECTION_KEY:
        return b"embedded:" + engine.name.encode()
    return None


def get_range(engine: Engine, begin: bytes, end: bytes) -> list[Pair]:
    """Return the special keys of ``[begin, end)``.

    Raises:
        FDBError: 2113 when the range meets no module.
    """
    if begin.startswith(EMPTY_MODULES):
        return []
    found = [
        (key, value)
        for key in sorted((STATUS_KEY, FILE_KEY, CONNECTION_KEY))
        if begin <= key < end and (value := get(engine, key)) is not None
    ]
    if not found and begin < end:
        raise FDBError(SPECIAL_KEYS_NO_MODULE_FOUND)
    return found


def status_json(engine: Engine) -> bytes:
    """Return the status document, reduced to what an embedded engine knows."""
    healthy = engine.failure is None
    document = {
        "client": {
            "cluster_file": {"path": engine.name, "up_to_date": True},
            "database_status": {"available": True, "healthy": healthy},
            "coordinators": {"quorum_reachable": True, "coordinators": []},
            "messages": [] if healthy else [{"name": "commits_stopped", "description": engine.failure}],
        },
        "cluster": {
            "configuration": {
                "redundancy_mode": "single",
                "storage_engine": "embedded",
                "tenant_mode": "disabled",
            },
            "data": {
                "state": {"name": "healthy", "healthy": healthy},
                "total_disk_used_bytes": engine.size_bytes(),
            },
            "database_available": True,
            "database_lock_state": {"locked": False},
            "generation": 1,
            "processes": {},
            "workload": {},
        },
    }
    return json.dumps(document, separators=(",", ":")).encode()
