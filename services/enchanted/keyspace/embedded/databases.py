# SPDX-License-Identifier: Apache-2.0
"""The databases that applications hold, and the retry loop.

Every convenience of a database is a transaction of its own that is retried until it commits, so that a
program of one line is as safe as one that writes the loop itself.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from enchanted.keyspace.embedded import settings as option
from enchanted.keyspace.embedded.cells import Cell
from enchanted.keyspace.embedded.engine import Engine
from enchanted.keyspace.embedded.errors import TENANTS_DISABLED, FDBError
from enchanted.keyspace.embedded.futures import FutureInt64, FutureVoid, Key, Value
from enchanted.keyspace.embedded.locations import ENGINES
from enchanted.keyspace.embedded.names import KeySelector, KeyValue, process_tenant_name
from enchanted.keyspace.embedded.network import NETWORK
from enchanted.keyspace.embedded.options import DatabaseOptions, StreamingMode
from enchanted.keyspace.embedded.state import Defaults
from enchanted.keyspace.embedded.transaction import TransactionState
from enchanted.keyspace.embedded.transactions import Transaction, TransactionRead
from enchanted.keyspace.embedded.watches import WatchLimit

_GENERATORS = "Generators can not be wrapped with fdb.transactional"


def transactional(*tr_args: Any, **tr_kwargs: Any) -> Any:
    """Make a function run in a transaction.

    Called with a database or tenant as its argument ``tr``, the function runs in a new transaction, which is
    committed after it, and again after every error that can be retried; it may thus run more than once.
    Called with a transaction it runs in that one, which is not committed.

    Args:
        tr_args: The function, when used without arguments.
        tr_kwargs: ``parameter``: the name of the argument to look at instead of ``tr``.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        innermost = function
        while getattr(innermost, "__wrapped__", None):
            innermost = innermost.__wrapped__  # type: ignore[attr-defined] # just found there
        index = inspect.getfullargspec(innermost).args.index(tr_kwargs.get("parameter", "tr"))
        is_generator = inspect.isgeneratorfunction(function)

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if is_generator:
                raise ValueError(_GENERATORS)
            if isinstance(args[index], TransactionRead):
                return function(*args, **kwargs)
            tr = args[index].create_transaction()
            return _retried(function, (*args[:index], tr, *args[index + 1 :]), kwargs, tr)

        return wrapper

    if not tr_args:
        return decorate
    if len(tr_args) == 1 and not tr_kwargs:
        return decorate(tr_args[0])
    raise Exception("Invalid use of transactional decorator.")  # noqa: TRY002 - the binding's type


def _retried(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], tr: Transaction
) -> Any:
    while True:
        try:
            result = function(*args, **kwargs)
            if inspect.isgenerator(result):
                raise ValueError(_GENERATORS)
            tr.commit().wait()
        except FDBError as error:
            tr.on_error(error).wait()
        else:
            return result


class _TransactionCreator:
    """What a database offers by itself: each call is a transaction of its own, retried until it commits."""

    capi = TransactionRead.capi

    def create_transaction(self) -> Transaction:
        """Return a new transaction."""
        raise NotImplementedError

    def get(self, key: Any) -> bytes | None:
        """Return the value of ``key``, None when it is absent."""
        value: bytes | None = _get(self, key)
        return value

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self.get_range(key.start, key.stop, reverse=(key.step == -1))
        return self.get(key)

    def get_key(self, key_selector: KeySelector) -> bytes:
        """Return the key that a selector names."""
        key: bytes = _get_key(self, key_selector)
        return key

    def get_range(
        self,
        begin: Any,
        end: Any,
        limit: int = 0,
        reverse: bool = False,  # noqa: FBT001, FBT002 - the binding's form
        streaming_mode: int = StreamingMode.want_all,
    ) -> list[KeyValue]:
        """Return the pairs from ``begin`` to before ``end``."""
        pairs: list[KeyValue] = _get_range(self, begin, end, limit, reverse, streaming_mode)
        return pairs

    def get_range_startswith(self, prefix: Any, *args: Any, **kwargs: Any) -> list[KeyValue]:
        """Return the pairs whose key starts with ``prefix``."""
        pairs: list[KeyValue] = _get_range_startswith(self, prefix, *args, **kwargs)
        return pairs

    def set(self, key: Any, value: Any) -> None:
        """Write a value."""
        _set(self, key, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        _set(self, key, value)

    def clear(self, key: Any) -> None:
        """Remove a key."""
        _delete(self, key)

    def clear_range(self, begin: Any, end: Any) -> None:
        """Remove the keys from ``begin`` to before ``end``."""
        _delete(self, slice(begin, end))

    def __delitem__(self, key_or_slice: Any) -> None:
        _delete(self, key_or_slice)

    def clear_range_startswith(self, prefix: Any) -> None:
        """Remove the keys that start with ``prefix``."""
        _clear_range_startswith(self, prefix)

    def get_and_watch(self, key: Any) -> tuple[Value, FutureVoid]:
        """Return the value of ``key`` and a watch on it."""
        answer: tuple[Value, FutureVoid] = _get_and_watch(self, key)
        return answer

    def set_and_watch(self, key: Any, value: Any) -> FutureVoid:
        """Write a value and return a watch on it."""
        watch: FutureVoid = _set_and_watch(self, key, value)
        return watch

    def clear_and_watch(self, key: Any) -> FutureVoid:
        """Remove a key and return a watch on it."""
        watch: FutureVoid = _clear_and_watch(self, key)
        return watch

    def _atomic_operation(self, opcode: int, key: Any, param: Any) -> None:
        _atomic_operation(self, opcode, key, param)


@transactional
def _get(tr: Transaction, key: Any) -> Any:
    return tr[key].value


@transactional
def _get_key(tr: Transaction, key_selector: KeySelector) -> Any:
    return tr.get_key(key_selector).value


@transactional
def _get_range(
    tr: Transaction,
    begin: Any,
    end: Any,
    limit: int,
    reverse: bool,  # noqa: FBT001 - the binding's form
    streaming_mode: int,
) -> list[KeyValue]:
    return tr.get_range(begin, end, limit, reverse, streaming_mode).to_list()


@transactional
def _get_range_startswith(tr: Transaction, prefix: Any, *args: Any, **kwargs: Any) -> list[KeyValue]:
    return tr.get_range_startswith(prefix, *args, **kwargs).to_list()


@transactional
def _set(tr: Transaction, key: Any, value: Any) -> None:
    tr[key] = value


@transactional
def _delete(tr: Transaction, key_or_slice: Any) -> None:
    del tr[key_or_slice]


@transactional
def _clear_range_startswith(tr: Transaction, prefix: Any) -> None:
    tr.clear_range_startswith(prefix)


@transactional
def _get_and_watch(tr: Transaction, key: Any) -> tuple[Value, FutureVoid]:
    return tr.get(key), tr.watch(key)


@transactional
def _set_and_watch(tr: Transaction, key: Any, value: Any) -> FutureVoid:
    tr.set(key, value)
    return tr.watch(key)


@transactional
def _clear_and_watch(tr: Transaction, key: Any) -> FutureVoid:
    del tr[key]
    return tr.watch(key)


@transactional
def _atomic_operation(tr: Transaction, opcode: int, key: Any, param: Any) -> None:
    tr._atomic_operation(opcode, key, param)  # noqa: SLF001 - the binding's own name for it


class Database(_TransactionCreator):
    """A handle on an open database.

    Args:
        dpointer: The engine; the handle counts as one of its users until :meth:`close`.
    """

    def __init__(self, dpointer: Engine) -> None:
        self.dpointer = dpointer
        self.options = DatabaseOptions(self)
        self._defaults: Defaults = ()
        self._watch_limit = WatchLimit()
        # A handle that is collected is given back by the network thread: the collector may run on the
        # committing thread, which cannot wait for its own end. The process's end closes all engines anyway.
        self._forgotten = weakref.finalize(self, NETWORK.submit, partial(ENGINES.release, dpointer))
        self._forgotten.atexit = False

    def close(self) -> None:
        """Give up the database; the last handle closes it, so that another process can have its folder."""
        if self._forgotten.detach() is not None:
            ENGINES.release(self.dpointer)

    def _set_option(self, code: int, param: bytes | None, length: int) -> None:  # noqa: ARG002 - the binding's form
        if code == option.DATABASE_MAX_WATCHES:
            self._watch_limit.maximum = option.integer(param, 0, 1_000_000)
        elif code in option.DATABASE_TO_TRANSACTION:
            transaction_code = option.DATABASE_TO_TRANSACTION[code]
            option.TransactionSettings().set(transaction_code, param)
            self._defaults = (*self._defaults, (transaction_code, param))

    def open_tenant(self, name: Any) -> Tenant:
        """Return a handle on a tenant; using it fails with 2136, as on a cluster in its default mode."""
        return Tenant(self, process_tenant_name(name))

    def create_transaction(self) -> Transaction:
        """Return a new transaction."""
        return Transaction(TransactionState(self.dpointer, self._defaults, self._watch_limit), self)

    def get_client_status(self) -> Key:
        """Return the future of a JSON document about this client."""
        return Key(b'{"Healthy":true,"InitializationState":"created"}')


class Tenant(_TransactionCreator):
    """A handle on a tenant, which an embedded database does not have.

    Args:
        database: The database.
        name: The tenant's name.
    """

    def __init__(self, database: Database, name: bytes) -> None:
        self._database = database
        self.name = name

    def create_transaction(self) -> Transaction:
        """Return a transaction that answers 2136."""
        database = self._database
        state = TransactionState(database.dpointer, (), database._watch_limit, tenant=True)  # noqa: SLF001 - one unit
        return Transaction(state, self)

    def get_id(self) -> FutureInt64:
        """Return a future that fails with 2136."""
        return FutureInt64(Cell.failed(FDBError(TENANTS_DISABLED)))
