# SPDX-License-Identifier: Apache-2.0
"""The transactions that applications hold.

They have the names, arguments and answers of the official binding, so that its layers and any program written
for it run unchanged. Errors of reads are put into futures, as the binding does, so that a program that issues
reads together and awaits them later meets its errors where it expects them.

Source of the surface: the package ``foundationdb`` 7.3 and its documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from enchanted.keyspace.embedded import estimates
from enchanted.keyspace.embedded.cells import Cell
from enchanted.keyspace.embedded.errors import FDBError
from enchanted.keyspace.embedded.futures import (
    FutureInt64,
    FutureKeyArray,
    FutureVoid,
    Key,
    Value,
)
from enchanted.keyspace.embedded.names import KeySelector, keyToBytes, selector_of, valueToBytes
from enchanted.keyspace.embedded.options import StreamingMode, TransactionOptions
from enchanted.keyspace.embedded.range_reads import FDBRange, FutureKeyValueArray, quota_of
from enchanted.keyspace.embedded.ranges import strinc
from enchanted.keyspace.embedded.transaction import TransactionState


def _integer(read: Callable[[], int]) -> FutureInt64:
    try:
        return FutureInt64(Cell.ready(read()))
    except FDBError as error:
        return FutureInt64(Cell.failed(error))


class Capi:
    """The few calls of the C library that the binding's own modules make directly."""

    max_api_version: Final = 730

    def fdb_select_api_version_impl(self, runtime_version: int, header_version: int) -> int:
        """Return 0 when the API version can be had, 2203 otherwise."""
        known = runtime_version == self.max_api_version and header_version >= runtime_version
        return 0 if known else 2203

    def fdb_get_max_api_version(self) -> int:
        """Return the API version that this engine implements."""
        return self.max_api_version

    def fdb_get_error(self, code: int) -> bytes:
        """Return the description of an error code."""
        return FDBError(code).description

    def fdb_transaction_get_addresses_for_key(self, state: TransactionState, key: bytes, length: int) -> Cell:
        """Return the addresses that hold a key: always this machine's."""
        try:
            state.estimate_view()
        except FDBError as error:
            return Cell.failed(error)
        return Cell.ready([b"127.0.0.1:4500"] if length == len(key) else [])


class TransactionRead:
    """The reading half of a transaction; ``snapshot`` reads make no conflicts.

    Args:
        tpointer: The transaction's state, shared by both halves.
        db: The database or tenant that made it.
        snapshot: Whether reads are snapshot reads.
    """

    capi = Capi()

    def __init__(self, tpointer: TransactionState, db: Any, snapshot: bool) -> None:  # noqa: FBT001 - the binding's form
        self.tpointer = tpointer
        self.db = db
        self._snapshot = snapshot

    def get_read_version(self) -> FutureInt64:
        """Return the future of the read version."""
        return _integer(self.tpointer.get_read_version)

    def get(self, key: Any) -> Value:
        """Return the future of the value of ``key``; its value is None when the key is absent."""
        if type(key) is not bytes:  # a future says it is, by its class
            key = keyToBytes(key)
        state = self.tpointer
        view = state.fast
        try:
            if view is None or key >= state.read_end or state.engine.now_seconds() > state.deadline_seconds:
                return Value(state.get(key, snapshot=self._snapshot))
            try:
                value = view.points[key]
            except Exception as error:  # noqa: BLE001 - the store's word for an absent key
                view.require_missing(error)
                value = None
        except FDBError as error:
            return Value(Cell.failed(error))
        if not self._snapshot:
            state.footprint.read_keys.add(key)
        return Value(value)

    def get_key(self, key_selector: KeySelector) -> Key:
        """Return the future of the key that a selector names."""
        selector = selector_of(key_selector)
        try:
            return Key(self.tpointer.get_key(selector, snapshot=self._snapshot))
        except FDBError as error:
            return Key(Cell.failed(error))

    def _get_range(
        self,
        begin: KeySelector,
        end: KeySelector,
        limit: int,
        streaming_mode: int,
        iteration: int,
        reverse: bool,  # noqa: FBT001 - the binding's form
    ) -> FutureKeyValueArray:
        low, high = selector_of(begin), selector_of(end)
        try:
            quota = quota_of(limit, streaming_mode, iteration)
            pairs, more = self.tpointer.get_range(
                low, high, quota, reverse=bool(reverse), snapshot=self._snapshot
            )
        except FDBError as error:
            return FutureKeyValueArray([], more=False, cell=Cell.failed(error))
        return FutureKeyValueArray(pairs, more=more)

    def _to_selector(self, key_or_selector: Any) -> KeySelector:
        if isinstance(key_or_selector, KeySelector):
            return key_or_selector
        return KeySelector.first_greater_or_equal(key_or_selector)

    def get_range(
        self,
        begin: Any,
        end: Any,
        limit: int = 0,
        reverse: bool = False,  # noqa: FBT001, FBT002 - the binding's form
        streaming_mode: int = StreamingMode.iterator,
    ) -> FDBRange:
        """Return the pairs from ``begin`` to before ``end``; None stands for the ends of all keys."""
        low = self._to_selector(b"" if begin is None else begin)
        high = self._to_selector(b"\xff" if end is None else end)
        return FDBRange(self, low, high, limit, reverse, streaming_mode)

    def get_range_startswith(self, prefix: Any, *args: Any, **kwargs: Any) -> FDBRange:
        """Return the pairs whose key starts with ``prefix``."""
        prefix = keyToBytes(prefix)
        return self.get_range(prefix, strinc(prefix), *args, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self.get_range(key.start, key.stop, reverse=(key.step == -1))
        return self.get(key)

    def get_estimated_range_size_bytes(self, begin_key: Any, end_key: Any) -> FutureInt64:
        """Return the future of about how many bytes a range takes.

        Raises:
            Exception: A key is missing.
        """
        if begin_key is None or end_key is None:
            raise Exception("Invalid begin key or end key")  # noqa: TRY002 - the binding's type
        begin, end = keyToBytes(begin_key), keyToBytes(end_key)
        state = self.tpointer

        def read() -> int:
            return estimates.range_size_bytes(state.estimate_view(), begin, end, state.engine.size_bytes())

        return _integer(read)

    def get_range_split_points(self, begin_key: Any, end_key: Any, chunk_size: int) -> FutureKeyArray:
        """Return the future of keys that cut a range into chunks of about ``chunk_size`` bytes.

        Raises:
            Exception: A key is missing or the size is not positive.
        """
        if begin_key is None or end_key is None or chunk_size <= 0:
            raise Exception("Invalid begin key, end key or chunk size")  # noqa: TRY002 - the binding's type
        begin, end = keyToBytes(begin_key), keyToBytes(end_key)
        try:
            view = self.tpointer.estimate_view()
            return FutureKeyArray(Cell.ready(estimates.split_points(view, begin, end, chunk_size)))
        except FDBError as error:
            return FutureKeyArray(Cell.failed(error))


class Transaction(TransactionRead):
    """A transaction: reads, writes, and its commit."""

    def __init__(self, tpointer: TransactionState, db: Any) -> None:
        super().__init__(tpointer, db, snapshot=False)
        self.options = TransactionOptions(self)
        self.snapshot = TransactionRead(tpointer, db, snapshot=True)

    def set_read_version(self, version: int) -> None:
        """Read at a version that was given before."""
        self.tpointer.set_read_version(version)

    def _set_option(self, code: int, param: bytes | None, length: int) -> None:  # noqa: ARG002 - the binding's form
        self.tpointer.set_option(code, param)

    def _atomic_operation(self, opcode: int, key: Any, param: Any) -> None:
        operand = valueToBytes(param)
        self.tpointer.atomic(opcode, keyToBytes(key), operand)

    def set(self, key: Any, value: Any) -> None:
        """Write a value."""
        key = keyToBytes(key)
        self.tpointer.set(key, valueToBytes(value))

    def clear(self, key: Any) -> None:
        """Remove a key, or the key that a selector names."""
        if isinstance(key, KeySelector):
            key = self.get_key(key)
        self.tpointer.clear(keyToBytes(key))

    def clear_range(self, begin: Any, end: Any) -> None:
        """Remove the keys from ``begin`` to before ``end``; None stands for the ends of all keys."""
        low: Any = b"" if begin is None else begin
        high: Any = b"\xff" if end is None else end
        if isinstance(low, KeySelector):
            low = self.get_key(low)
        if isinstance(high, KeySelector):
            high = self.get_key(high)
        low = keyToBytes(low)
        self.tpointer.clear_range(low, keyToBytes(high))

    def clear_range_startswith(self, prefix: Any) -> None:
        """Remove the keys that start with ``prefix``."""
        prefix = keyToBytes(prefix)
        self.clear_range(prefix, strinc(prefix))

    def watch(self, key: Any) -> FutureVoid:
        """Return a future that is ready when the key's value changes after the commit."""
        key = keyToBytes(key)
        try:
            return FutureVoid(self.tpointer.watch(key))
        except FDBError as error:
            return FutureVoid(Cell.failed(error))

    def add_read_conflict_range(self, begin: Any, end: Any) -> None:
        """Make the commit fail if anyone writes into the range."""
        begin = keyToBytes(begin)
        self.tpointer.add_conflict_range(begin, keyToBytes(end), write=False)

    def add_read_conflict_key(self, key: Any) -> None:
        """Make the commit fail if anyone writes the key."""
        key = keyToBytes(key)
        self.add_read_conflict_range(key, key + b"\x00")

    def add_write_conflict_range(self, begin: Any, end: Any) -> None:
        """Make others that read in the range fail."""
        begin = keyToBytes(begin)
        self.tpointer.add_conflict_range(begin, keyToBytes(end), write=True)

    def add_write_conflict_key(self, key: Any) -> None:
        """Make others that read the key fail."""
        key = keyToBytes(key)
        self.add_write_conflict_range(key, key + b"\x00")

    def commit(self) -> FutureVoid:
        """Start the commit; the future is ready when it is durable."""
        try:
            return FutureVoid(self.tpointer.commit())
        except FDBError as error:
            return FutureVoid(Cell.failed(error))

    def get_committed_version(self) -> int:
        """Return the version of the finished commit, -1 when nothing was written."""
        return self.tpointer.get_committed_version()

    def get_approximate_size(self) -> FutureInt64:
        """Return the future of about how many bytes a commit would send."""
        return _integer(self.tpointer.get_approximate_size)

    def get_versionstamp(self) -> Key:
        """Return the future of the versionstamp; ask before the commit, wait after it."""
        try:
            return Key(self.tpointer.get_versionstamp())
        except FDBError as error:
            return Key(Cell.failed(error))

    def on_error(self, error: Any) -> FutureVoid:
        """Return a future that is ready when the transaction can be tried again, or fails with the error.

        Raises:
            Exception: ``error`` itself, when it is neither an FDBError nor a code.
        """
        if isinstance(error, FDBError):
            return FutureVoid(self.tpointer.on_error(error))
        if isinstance(error, int):
            return FutureVoid(self.tpointer.on_error(FDBError(error)))
        raise error

    def reset(self) -> None:
        """Forget everything."""
        self.tpointer.reset()

    def cancel(self) -> None:
        """Let everything of this transaction fail until it is reset."""
        self.tpointer.cancel()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value)

    def __delitem__(self, key: Any) -> None:
        if isinstance(key, slice):
            self.clear_range(key.start, key.stop)
        else:
            self.clear(key)
