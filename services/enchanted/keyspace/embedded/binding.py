# SPDX-License-Identifier: Apache-2.0
"""The module that takes the place of ``fdb.impl``.

The official package puts its layers (tuple, subspace, directory, locality) on one module, ``fdb.impl``, which
loads the C library. With this module there instead, the layers and every program written for the package run
unchanged over the embedded engine. Names are the package's; whatever it offers by them, this offers.
"""

from __future__ import annotations

import atexit
import sys
import threading
from typing import Any

from fdb.tuple import pack, unpack

from enchanted.keyspace.embedded import options as option_objects
from enchanted.keyspace.embedded.databases import Database, Tenant, _TransactionCreator, transactional
from enchanted.keyspace.embedded.errors import (
    CLIENT_INVALID_OPERATION,
    INVALID_DATABASE_NAME,
    FDBError,
)
from enchanted.keyspace.embedded.futures import (
    FormerFuture,
    Future,
    FutureInt64,
    FutureKeyArray,
    FutureString,
    FutureStringArray,
    FutureUInt64,
    FutureVoid,
    Key,
    LazyFuture,
    Value,
)
from enchanted.keyspace.embedded.locations import ENGINES, parse
from enchanted.keyspace.embedded.names import (
    KeySelector,
    KeyValue,
    keyToBytes,
    optional_parameter,
    process_tenant_name,
    valueToBytes,
)
from enchanted.keyspace.embedded.options import ConflictRangeType, StreamingMode, mutation_codes
from enchanted.keyspace.embedded.range_reads import FDBRange, FutureKeyValueArray
from enchanted.keyspace.embedded.ranges import strinc
from enchanted.keyspace.embedded.transactions import Transaction, TransactionRead

__all__ = [
    "Cluster",
    "ConflictRangeType",
    "Database",
    "FDBError",
    "FDBRange",
    "FormerFuture",
    "Future",
    "FutureInt64",
    "FutureKeyArray",
    "FutureKeyValueArray",
    "FutureString",
    "FutureStringArray",
    "FutureUInt64",
    "FutureVoid",
    "Key",
    "KeySelector",
    "KeyValue",
    "LazyFuture",
    "StreamingMode",
    "Tenant",
    "Transaction",
    "TransactionRead",
    "Value",
    "create_cluster",
    "create_database",
    "init",
    "init_c_api",
    "keyToBytes",
    "open",
    "open_databases",
    "optionalParamToBytes",
    "options",
    "pack",
    "paramToBytes",
    "predicates",
    "process_tenant_name",
    "remove_prefix",
    "strinc",
    "transactional",
    "unpack",
    "valueToBytes",
]

_capi = TransactionRead.capi
options = option_objects.NetworkOptions(sys.modules[__name__])
predicates: Any = option_objects.ErrorPredicates(sys.modules[__name__])

open_databases: dict[Any, Database] = {}
cacheLock = threading.Lock()  # noqa: N816 - the binding's name


def _set_option(code: int, param: bytes | None, length: int) -> None:
    """Accept an option of the process; there is no network that it could change."""


def init_c_api() -> None:
    """Do nothing: there is no C library to declare."""


def init(event_model: str | None = None) -> None:
    """Accept the default event model.

    Raises:
        FDBError: 2000 for any other: futures of this engine block threads.
    """
    if event_model is not None:
        raise FDBError(CLIENT_INVALID_OPERATION)


def paramToBytes(v: Any) -> bytes:  # noqa: N802 - the binding's name
    """Return text or bytes as bytes.

    Raises:
        TypeError: It is neither.
    """
    encoded = optional_parameter(v)
    if encoded is None:
        raise TypeError("Parameter must be a string")
    return encoded


def optionalParamToBytes(v: Any) -> tuple[bytes | None, int]:  # noqa: N802 - the binding's name
    """Return text or bytes as bytes, with their length; None stays None."""
    encoded = optional_parameter(v)
    return encoded, len(encoded or b"")


def remove_prefix(text: bytes, prefix: bytes) -> bytes:
    """Return ``text`` without ``prefix`` if it starts with it."""
    return text.removeprefix(prefix)


def create_database(cluster_file: Any = None) -> Database:
    """Open a database; memory is a new, empty one at each call.

    Args:
        cluster_file: ``embedded:/folder`` or a path; ``embedded:`` or None for memory.

    Raises:
        EngineError: It cannot be opened; the text says what to do.
    """
    encoded = optional_parameter(cluster_file)
    location = parse(None if encoded is None else encoded.decode("utf8", "surrogateescape"))
    return Database(ENGINES.acquire(location))


def open(cluster_file: Any = None, event_model: str | None = None) -> Database:  # noqa: A001 - the binding's name
    """Open a database, or return the handle that an earlier call with the same argument gave."""
    init(event_model)
    with cacheLock:
        database = open_databases.get(cluster_file)
        if database is None or database.dpointer.closed:
            database = open_databases[cluster_file] = create_database(cluster_file)
        return database


class Cluster:
    """A cluster of an older API: opens its one database.

    Args:
        cluster_file: As for :func:`open`.
    """

    def __init__(self, cluster_file: Any) -> None:
        self.cluster_file = cluster_file
        self.options = None

    def open_database(self, name: bytes) -> Database:
        """Open the database.

        Raises:
            FDBError: 2013 when it is not named ``DB``.
        """
        if name != b"DB":
            raise FDBError(INVALID_DATABASE_NAME)
        return create_database(self.cluster_file)


def create_cluster(cluster_file: Any = None) -> Cluster:
    """Return the cluster of an older API."""
    return Cluster(cluster_file)


def _add_operation(name: str, code: int, text: str, parameter: str) -> None:
    def operate(self: Any, key: Any, param: Any) -> None:
        self._atomic_operation(code, key, param)

    operate.__name__ = name
    operate.__doc__ = f"{text}\n\nArguments are the key to which the operation is applied and the {parameter}"
    for holder in (_TransactionCreator, Transaction):
        setattr(holder, name, operate)


for _name, (_code, _text, _parameter) in mutation_codes().items():
    _add_operation(_name, _code, _text, _parameter)

atexit.register(ENGINES.close_all)
