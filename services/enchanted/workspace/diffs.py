# SPDX-License-Identifier: Apache-2.0
"""A patch between two states that `git apply` takes, made by Git itself.

Patches have more corners than they show: binary files, missing last line breaks, modes, renames, names with
quotes. Git's own text is the format, so Git writes it: the objects that differ are put into a repository of
their own for the time of one command, with nothing in it that could configure that command.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from enchanted.workspace.git_program import Git, make_bare_repository, write_loose_object
from enchanted.workspace.model import DIFF_BYTES_MAX, DiffTooLargeError, ObjectId
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.trees import Difference, difference

_COMMAND: Final = (
    "diff-tree",
    "-r",
    "-p",
    "--binary",
    "--full-index",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--ignore-submodules=none",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


async def diff(store: ObjectStore, old: ObjectId, new: ObjectId) -> AsyncGenerator[bytes, None]:
    """The patch from one tree to another, piece by piece; nothing if they are the same.

    Raises:
        DiffTooLargeError: If more than 512 MiB of content differ.
        StoredStateBrokenError: If an object is missing or does not open.
        GitMissingError: If there is no `git` program.
    """
    if old == new:
        return
    with tempfile.TemporaryDirectory(prefix="enchanted-diff-", ignore_cleanup_errors=True) as folder:
        scratch = Path(folder)
        differing = await asyncio.to_thread(difference, store, old, new)
        await asyncio.to_thread(_materialise, store, differing, scratch)
        # Git refuses to apply its own patch if that makes a folder of what it also moves elsewhere.
        renames = "--no-renames" if differing.reshaped else "--find-renames"
        git = Git(scratch, {"GIT_DIR": folder})
        async with contextlib.aclosing(git.stream(*_COMMAND, renames, old.hex(), new.hex())) as pieces:
            async for piece in pieces:
                yield piece


def _materialise(store: ObjectStore, differing: Difference, scratch: Path) -> None:
    """Write a bare repository with what differs."""
    make_bare_repository(scratch)
    size_bytes = 0
    for object_id, opened in store.iterate([*differing.trees, *differing.blobs]):
        size_bytes += len(opened.content)
        if size_bytes > DIFF_BYTES_MAX:
            raise DiffTooLargeError
        write_loose_object(scratch, object_id, opened)
