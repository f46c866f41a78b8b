# SPDX-License-Identifier: Apache-2.0
"""Futures: what every read and commit answers.

Most answers of an embedded engine are known when the call returns. A future that then costs as much as one
that crosses threads would make point reads several times slower than the store below them; so a future is
ready when it is made with a value, and only commits, watches, delays and errors carry a :class:`Cell`, which
threads wait on.

A value or key future compares, slices and hashes like its bytes, and says that it is an instance of
``bytes``: the tuple layer and applications rely on it.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any, SupportsIndex

from enchanted.keyspace.embedded.cells import Cell, fresh
from enchanted.keyspace.embedded.errors import OPERATION_CANCELLED


def _call(callback: Callable[[Any], object], future: Any) -> None:
    try:
        callback(future)
    except Exception:  # noqa: BLE001 - a callback's fault is told and does not reach whoever set the future
        sys.stderr.write("Discarding uncaught exception from user FDB callback:\n")
        traceback.print_exc(file=sys.stderr)


class Future:
    """An answer that may still be on its way.

    Args:
        cell: Where the outcome is or will be.
    """

    Event = threading.Event
    _cell: Cell | None = None

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    def wait(self) -> Any:
        """Block until ready; return the result or raise its error."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Give up an answer that is not there yet: waiting for it raises 1101."""
        if self._cell is not None:
            self._cell.cancel()

    def is_ready(self) -> bool:
        """Tell whether waiting would return at once."""
        return self._cell is None or self._cell.done

    def done(self) -> bool:
        """Tell whether waiting would return at once."""
        return self.is_ready()

    def block_until_ready(self) -> None:
        """Block until there is a result or an error; raises neither."""
        if self._cell is not None:
            self._cell.wait()

    def on_ready(self, callback: Callable[[Any], object]) -> None:
        """Call ``callback(self)`` once ready: in this thread if it is, otherwise in the network thread."""
        if self._cell is None:
            _call(callback, self)
        else:
            self._cell.call_when_done(lambda: _call(callback, self))

    @staticmethod
    def wait_for_any(*futures: Future) -> int:
        """Block until one of ``futures`` is ready and return its position.

        Raises:
            ValueError: No futures were given.
        """
        if not futures:
            raise ValueError("wait_for_any requires at least one future")
        first: list[int] = []
        event = futures[0].Event()

        def note(position: int, _future: Future) -> None:
            first.append(position)
            event.set()

        for position, future in enumerate(futures):
            future.on_ready(partial(note, position))
        event.wait()
        return first[0]

    def cancelled(self) -> bool:
        """Tell whether the future is ready with the error 1101."""
        return self.done() and getattr(self.exception(), "code", 0) == OPERATION_CANCELLED

    def result(self) -> Any:
        """Return the result of a ready future.

        Raises:
            Exception: The future is not ready, or holds an error.
        """
        if not self.done():
            raise Exception("Future result not available")  # noqa: TRY002 - the type that the binding raises
        return self.wait()

    def exception(self) -> BaseException | None:
        """Return the error of a ready future, None when it holds a result.

        Raises:
            Exception: The future is not ready.
        """
        if not self.done():
            raise Exception("Future result not available")  # noqa: TRY002 - the type that the binding raises
        return fresh(self._cell.error) if self._cell is not None and self._cell.error is not None else None

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Call ``callback(self)`` once ready."""
        self.on_ready(callback)

    def remove_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Not offered by the binding.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError


class _Result(Future):
    """A future whose ``wait`` returns what the cell holds."""

    def wait(self) -> Any:
        """Block until ready; return the result or raise its error."""
        assert self._cell is not None
        return self._cell.outcome()


class FutureVoid(_Result):
    """A future that says only that something is done."""


class FutureInt64(_Result):
    """A future of a signed integer."""


class FutureUInt64(_Result):
    """A future of an unsigned integer."""


class FutureKeyArray(_Result):
    """A future of a list of keys."""


class FutureStringArray(_Result):
    """A future of a list of byte strings."""


class FutureKeyValueArray(_Result):
    """A future of one batch of a range: ``(pairs, count, more)``."""


class LazyFuture(Future):
    """A future that holds its result as ``value``; ``wait`` returns the future itself."""

    value: Any

    def wait(self) -> Any:
        """Block until ready; return this future or raise its error."""
        self.value  # noqa: B018 - reading it waits
        return self

    def __getattr__(self, name: str) -> Any:
        # Reached only while `value` is not set: once it is, it is an ordinary attribute.
        if name != "value":
            raise AttributeError(name)
        cell = self._cell
        assert cell is not None
        self.value = value = cell.outcome()
        return value


def _plain(other: Any) -> Any:
    return other.value if isinstance(other, FutureString) else other


class FutureString(LazyFuture):
    """A future of bytes that can be used as if it were these bytes."""

    def __init__(self, value: bytes | Cell | None) -> None:
        if type(value) is Cell:
            self._cell = value
        else:
            self.value = value

    def getclass(self) -> type:
        """Return ``bytes``: what ``__class__`` says, so that ``isinstance(future, bytes)`` holds."""
        return bytes

    __class__ = property(getclass)

    def as_foundationdb_key(self) -> Any:
        """Return the bytes, for use as a key."""
        return self.value

    def as_foundationdb_value(self) -> Any:
        """Return the bytes, for use as a value."""
        return self.value

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return repr(self.value)

    def __bytes__(self) -> bytes:
        return self.value  # type: ignore[no-any-return] # None raises TypeError in bytes(), as it should

    def __int__(self) -> int:
        return int(self.value)

    # Through the type, so that an absent value is a TypeError here as it is in the official binding.
    def __len__(self) -> int:
        return bytes.__len__(self.value)

    def __hash__(self) -> int:
        return bytes.__hash__(self.value)

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        return bytes.__getitem__(self.value, index)

    def __add__(self, other: Any) -> Any:
        return self.value + _plain(other)

    def __radd__(self, other: Any) -> Any:
        return _plain(other) + self.value

    def __mul__(self, count: SupportsIndex) -> Any:
        return self.value * count

    def __rmul__(self, count: SupportsIndex) -> Any:
        return count * self.value

    def __lt__(self, other: Any) -> Any:
        return self.value < _plain(other)

    def __le__(self, other: Any) -> Any:
        return self.value <= _plain(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > _plain(other)

    def __ge__(self, other: Any) -> Any:
        return self.value >= _plain(other)

    def __eq__(self, other: object) -> Any:
        return self.value == _plain(other)

    def __ne__(self, other: object) -> Any:
        return not self == other


def _bytes_method(name: str) -> Callable[..., Any]:
    method = getattr(bytes, name)

    def call(self: FutureString, *args: Any) -> Any:
        return method(self.value, *args)

    call.__name__ = name
    call.__doc__ = f"As ``bytes.{name}``, of the future's value."
    return call


# Everything that bytes can do by a plain name: `split`, `startswith`, `hex` and the rest.
for _name in dir(bytes):
    if not _name.startswith("_"):
        setattr(FutureString, _name, _bytes_method(_name))


class Value(FutureString):
    """The future of a value: None when the key is absent."""

    def present(self) -> bool:
        """Wait, then tell whether the key exists."""
        return self.value is not None


class Key(FutureString):
    """The future of a key."""


class FormerFuture:
    """A result that was a future in an older API: always ready, and its own result."""

    def wait(self) -> Any:
        """Return this object."""
        return self

    def is_ready(self) -> bool:
        """Say True."""
        return True

    def block_until_ready(self) -> None:
        """Return at once."""

    def on_ready(self, callback: Callable[[Any], object]) -> None:
        """Call ``callback(self)`` now."""
        _call(callback, self)
