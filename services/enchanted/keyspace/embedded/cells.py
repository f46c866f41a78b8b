# SPDX-License-Identifier: Apache-2.0
"""Outcomes that one thread sets and others await.

The thread that sets an outcome is often the committer. It must not run what others hung on it, nor wait for
them: waiting threads are released through a lock each, callbacks go to the network thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from enchanted.keyspace.embedded.errors import OPERATION_CANCELLED, FDBError
from enchanted.keyspace.embedded.network import NETWORK


def fresh(error: BaseException) -> BaseException:
    """Return an error to raise: a copy, because an error raised by many threads gathers their tracebacks."""
    if type(error) is not FDBError:
        return error
    copy = FDBError(error.code)
    for note in getattr(error, "__notes__", ()):
        copy.add_note(note)
    return copy


class Cell:
    """A place for one outcome, set once by one thread and awaited by others."""

    __slots__ = ("__weakref__", "_callbacks", "_lock", "_on_cancel", "_waiters", "done", "error", "result")

    def __init__(self) -> None:
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._waiters: list[Any] = []
        self._callbacks: list[Callable[[], None]] = []
        self._on_cancel: Callable[[], None] | None = None

    @classmethod
    def ready(cls, result: Any) -> Cell:
        """Return a cell that holds ``result`` already."""
        cell = cls()
        cell.done, cell.result = True, result
        return cell

    @classmethod
    def failed(cls, error: BaseException) -> Cell:
        """Return a cell that holds ``error`` already."""
        cell = cls()
        # Without the traceback, whose frames would live as long as the future.
        cell.done, cell.error = True, error.with_traceback(None)
        return cell

    def set(self, result: Any) -> bool:
        """Give the result; False when the cell had its outcome already."""
        return self._finish(result, None)

    def fail(self, error: BaseException) -> bool:
        """Give an error as the outcome; False when the cell had its outcome already."""
        return self._finish(None, error)

    def on_cancel(self, action: Callable[[], None]) -> None:
        """Run ``action`` when the future is cancelled before its outcome."""
        self._on_cancel = action

    def cancel(self) -> None:
        """Give up: the outcome is 1101 unless there is one."""
        action = self._on_cancel
        if self.fail(FDBError(OPERATION_CANCELLED)) and action is not None:
            action()

    def call_when_done(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` at once if done, otherwise on the network thread when done."""
        with self._lock:
            if not self.done:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self) -> None:
        """Block until there is an outcome; signals are handled meanwhile."""
        waiter = threading.Lock()
        waiter.acquire()
        with self._lock:
            if self.done:
                return
            self._waiters.append(waiter)
        waiter.acquire()

    def outcome(self) -> Any:
        """Block, then return the result or raise the error."""
        if not self.done:
            self.wait()
        if self.error is not None:
            raise fresh(self.error)
        return self.result

    def _finish(self, result: Any, error: BaseException | None) -> bool:
        with self._lock:
            if self.done:
                return False
            self.result, self.error = result, error
            self.done = True
            waiters, self._waiters = self._waiters, []
            callbacks, self._callbacks = self._callbacks, []
            self._on_cancel = None
        for waiter in waiters:
            waiter.release()
        for callback in callbacks:
            NETWORK.submit(callback)
        return True
