# SPDX-License-Identifier: Apache-2.0
"""Reads what a sandboxed process writes, and learns of its end, on the event loop.

`asyncio.subprocess` keeps all that a process writes, and leaves a child half made where its start is
cancelled. Here a pipe keeps its first bytes, counts the rest and drops it; and the end of a process is
learnt from a descriptor that names this process and no later one of the same number (pidfd_open(2)).
"""

import asyncio
import os

_CHUNK_BYTES = 65536


class Pipe:
    """The reading end of a pipe: what came first, and how much came in all."""

    def __init__(self, descriptor: int, keep_bytes: int, flood_bytes: int) -> None:
        """Start reading; takes ownership of the descriptor.

        Args:
            descriptor: The reading end.
            keep_bytes: How much to keep.
            flood_bytes: After how much to call it a flood.
        """
        loop = asyncio.get_running_loop()
        self.kept = bytearray()
        self.flooded: asyncio.Future[None] = loop.create_future()
        self.first_line: asyncio.Future[bytes] = loop.create_future()
        self._descriptor = descriptor
        self._keep_bytes = keep_bytes
        self._flood_bytes = flood_bytes
        self._seen_bytes = 0
        self._at_end = False
        self._loop = loop
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._read)

    @property
    def truncated(self) -> bool:
        """Whether anything was dropped."""
        return self._seen_bytes > len(self.kept)

    def close(self) -> None:
        """Take what is still in the pipe, once its writers are gone, and close it.

        Does not wait for the end of the pipe: someone else may hold it open.
        """
        while not self._at_end and not self.flooded.done() and self._read():
            pass
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.flooded.cancel()
        self.first_line.cancel()

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        self._seen_bytes += len(chunk)
        self.kept += chunk[: self._keep_bytes - len(self.kept)]
        self._at_end = not chunk
        if self._at_end:
            self._loop.remove_reader(self._descriptor)
        if not self.first_line.done() and (self._at_end or b"\n" in self.kept):
            self.first_line.set_result(bytes(self.kept).partition(b"\n")[0])
        if not self.flooded.done() and self._seen_bytes > self._flood_bytes:
            self.flooded.set_result(None)
        return True


def exit_of(process_descriptor: int) -> asyncio.Future[None]:
    """A future that is done when the process behind a pidfd has ended.

    For the first process of a process namespace that is when every process in it has ended, too.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        loop.remove_reader(process_descriptor)
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(process_descriptor, note)
    ended.add_done_callback(lambda _: loop.remove_reader(process_descriptor))
    return ended
