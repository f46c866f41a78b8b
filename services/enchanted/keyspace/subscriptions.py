# SPDX-License-Identifier: Apache-2.0
"""Waiting for a tip to move: one database watch per tip and process, fanned out in memory.

Watches may be lost and are limited in number, so a waiter also looks again by itself every 30 seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

import fdb

from enchanted.keyspace.runner import Keyspace
from enchanted.keyspace.space import KeyElement, Space
from enchanted.keyspace.subspaces import Subspace

LOOK_AGAIN_SECONDS: Final = 30.0


@dataclass(slots=True)
class _Tip:
    """One watch that several wait for.

    Attributes:
        armed: The watch is set: a change from now on will be told.
        moved: The value changed, or the watch could not be set.
    """

    armed: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class TipWatcher:
    """Tells many waiters in one process that a key's value changed."""

    def __init__(self, keyspace: Keyspace) -> None:
        self._keyspace = keyspace
        self._tips: dict[bytes, _Tip] = {}

    async def wait(
        self,
        space: Space,
        subspace: Subspace,
        elements: tuple[KeyElement, ...],
        seen: bytes,
        timeout_seconds: float = LOOK_AGAIN_SECONDS,
    ) -> bytes:
        """Wait until the value differs from ``seen`` or the time is over; the value then, empty if absent."""
        key = space.key(subspace, *elements)
        tip = self._tips.get(key)
        if tip is None:
            tip = self._tips[key] = _Tip()
            value = await self._arm(space, key, tip)
        else:
            # What is read before the watch is set could change unseen between the two.
            await tip.armed.wait()
            value = await self._keyspace.run(space, _read, key)
        if value != seen:
            return value
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(tip.moved.wait(), timeout_seconds)
        return await self._keyspace.run(space, _read, key)

    async def _arm(self, space: Space, key: bytes, tip: _Tip) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            value, watch = await self._keyspace.run(space, _read_and_watch, key)
            watch.on_ready(lambda _: _call_soon(loop, self._wake, key, tip))
        except BaseException:
            # Without a watch nobody would wake those who wait; let them look, and the next one try again.
            self._wake(key, tip)
            raise
        tip.armed.set()
        return value

    def _wake(self, key: bytes, tip: _Tip) -> None:
        if self._tips.get(key) is tip:
            del self._tips[key]
        tip.armed.set()
        tip.moved.set()


def _read(tr: fdb.Transaction, _space: Space, key: bytes) -> bytes:
    stored = tr.snapshot[key]
    return bytes(stored) if stored.present() else b""


def _read_and_watch(tr: fdb.Transaction, space: Space, key: bytes) -> tuple[bytes, fdb.FutureVoid]:
    return _read(tr, space, key), tr.watch(key)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: object, *args: object) -> None:
    # The loop may have ended before a late watch fires; then nobody waits any more.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *args)  # type: ignore[arg-type]
