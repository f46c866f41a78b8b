# SPDX-License-Identifier: Apache-2.0
"""The one background thread of a process that runs callbacks and timers.

Applications hang callbacks on futures and may do anything in them. Run on the committing thread they would
hold up every commit; run while a lock is held they would deadlock. So callbacks go through a queue to this
thread, as they go through the network thread of the official client, and delays (back-off, timeouts) wait
here instead of in a thread each.
"""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

Task = Callable[[], None]


@dataclass(order=True, slots=True)
class Timer:
    """A task for later; ``cancel`` keeps it from running."""

    due_seconds: float
    order: int
    task: Task | None = field(compare=False)

    def cancel(self) -> None:
        """Let the task never run."""
        self.task = None


class NetworkThread:
    """Runs tasks in the order given and timers when due; starts with the first of them."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None

    def submit(self, task: Task) -> None:
        """Run ``task`` soon."""
        with self._wake:
            self._tasks.append(task)
            self._start_or_wake()

    def after(self, delay_seconds: float, task: Task) -> Timer:
        """Run ``task`` when ``delay_seconds`` have passed."""
        with self._wake:
            timer = Timer(monotonic() + delay_seconds, next(self._order), task)
            heapq.heappush(self._timers, timer)
            self._start_or_wake()
            return timer

    def is_current(self) -> bool:
        """Tell whether the caller runs on this thread."""
        return threading.current_thread() is self._thread

    def _start_or_wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fdb-network-thread", daemon=True)
            self._thread.start()
        self._wake.notify()

    def _run(self) -> None:
        while True:
            task = self._next_task()
            try:
                task()
            except Exception:  # noqa: BLE001 - a callback's fault must not end the thread that all others need
                sys.stderr.write("Discarding uncaught exception from user FDB callback:\n")
                traceback.print_exc(file=sys.stderr)

    def _next_task(self) -> Task:
        with self._wake:
            while True:
                while self._timers and self._timers[0].task is None:
                    heapq.heappop(self._timers)
                wait_seconds = self._timers[0].due_seconds - monotonic() if self._timers else None
                if wait_seconds is not None and wait_seconds <= 0:
                    task = heapq.heappop(self._timers).task
                    assert task is not None
                    return task
                if self._tasks:
                    return self._tasks.popleft()
                self._wake.wait(wait_seconds)


NETWORK: Final = NetworkThread()
