# SPDX-License-Identifier: Apache-2.0
"""A state as a stream of files: what leaves the hub, and how it lands in a folder.

The two halves stand together because they must agree on where a file begins and which bytes its path has.
The landing trusts nobody: a path that leads out of the folder is refused even if the hub sent it, and links
are made last, so that nothing can be written through one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from enchanted.generated.workspace.v1 import workspace_pb2 as api
from enchanted.workspace.model import ObjectId, component_fault, shown
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import FileMode
from enchanted.workspace.trees import FileEntry, list_files

PIECE_BYTES: Final = 256 << 10
BATCH_BYTES: Final = 2 << 20
BATCH_FILES: Final = 200
_EXECUTABLE: Final = 0o755
_ORDINARY: Final = 0o644


class CheckoutError(Exception):
    """A state cannot be written to the folder; the text says why."""


async def checkout_pieces(store: ObjectStore, tree: ObjectId) -> AsyncIterator[api.CheckoutResponse]:
    """Every file of a tree: a first piece with path and mode, then the rest of the content.

    Raises:
        StoredStateBrokenError: If an object is missing or does not open.
    """
    files = await asyncio.to_thread(list_files, store, tree)
    contents = _contents(store, files)
    while batch := await asyncio.to_thread(_next_batch, contents):
        for file, content in batch:
            for piece in _pieces(file, content):
                yield piece


def _contents(store: ObjectStore, files: list[FileEntry]) -> Iterator[tuple[FileEntry, bytes]]:
    objects = store.iterate([file.object_id for file in files if file.mode != FileMode.SUBMODULE])
    for file in files:
        yield file, b"" if file.mode == FileMode.SUBMODULE else next(objects)[1].content


def _next_batch(contents: Iterator[tuple[FileEntry, bytes]]) -> list[tuple[FileEntry, bytes]]:
    """The next files, a few MiB together, so that not every small one costs a change of threads."""
    batch: list[tuple[FileEntry, bytes]] = []
    size_bytes = 0
    for file, content in contents:
        batch.append((file, content))
        size_bytes += len(content)
        if size_bytes >= BATCH_BYTES or len(batch) >= BATCH_FILES:
            break
    return batch


def _pieces(file: FileEntry, content: bytes) -> list[api.CheckoutResponse]:
    text = file.path.decode("utf-8", "replace")
    exact = b"" if text.encode() == file.path else file.path
    first = api.CheckoutResponse(path=text, path_bytes=exact, mode=file.mode, data=content[:PIECE_BYTES])
    rest = range(PIECE_BYTES, len(content), PIECE_BYTES)
    return [first, *(api.CheckoutResponse(data=content[start : start + PIECE_BYTES]) for start in rest)]


class Landing:
    """Writes the pieces of a checkout into a new or empty folder. Blocks: call it in a thread.

    Raises:
        CheckoutError: From the constructor, if the folder holds anything or cannot be made; from
            :meth:`take`, if a path must not be written.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise CheckoutError(f"'{folder}' is not empty; name a new or an empty folder")
        except OSError as error:
            raise CheckoutError(f"'{folder}' cannot be used: {error.strerror}") from error
        self._folder = folder
        self._folders: set[bytes] = {b""}
        self._files: set[bytes] = set()
        self._links: list[tuple[bytes, bytearray]] = []
        self._file: BinaryIO | None = None

    def take(self, piece: api.CheckoutResponse) -> None:
        """Write one piece."""
        if piece.path:
            self.close()
            self._begin(piece.path_bytes or piece.path.encode(), piece.mode)
        if self._file is not None:
            self._file.write(piece.data)
        elif piece.data and self._links:
            self._links[-1][1].extend(piece.data)

    def finish(self) -> None:
        """End the last file, and make the links now that nothing can be written through them."""
        self.close()
        for path, target in self._links:
            self._whole(path).symlink_to(os.fsdecode(bytes(target)))

    def close(self) -> None:
        """End the file that is being written."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin(self, path: bytes, mode: int) -> None:
        parts = path.split(b"/")
        fault = next(filter(None, map(component_fault, parts)), "")
        if fault or path in self._files or path in self._folders:
            raise CheckoutError(f"the state holds a path that must not be written: {shown(path)}")
        self._make_folder(parts[:-1])
        if mode == FileMode.SUBMODULE:
            self._make_folder(parts)
            return
        self._files.add(path)
        if mode == FileMode.LINK:
            self._links.append((path, bytearray()))
            return
        permissions = _EXECUTABLE if mode == FileMode.EXECUTABLE else _ORDINARY
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(self._whole(path), flags, permissions), "wb")

    def _make_folder(self, parts: list[bytes]) -> None:
        for end in range(1, len(parts) + 1):
            folder = b"/".join(parts[:end])
            if folder in self._files:
                raise CheckoutError(f"the state holds a path that must not be written: {shown(folder)}")
            if folder not in self._folders:
                self._whole(folder).mkdir()
                self._folders.add(folder)

    def _whole(self, path: bytes) -> Path:
        return self._folder / os.fsdecode(path)
