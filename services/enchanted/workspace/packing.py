# SPDX-License-Identifier: Apache-2.0
"""The client's side of an import: a folder or an address becomes one pack and the commit that it is about.

The hub never reads a person's folder, and the person's folder is never written: what is to be imported is
packed here, beside it, and sent. Whatever goes wrong is told in one line, without the passwords that an
address may carry.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enchanted.workspace import sources
from enchanted.workspace.folder_files import FolderUnreadableError
from enchanted.workspace.git_program import Git, GitFailedError, GitMissingError
from enchanted.workspace.model import PACK_BYTES_MAX
from enchanted.workspace.working_trees import (
    Repository,
    Scratch,
    completed,
    copy_history,
    folder_tree,
    inspect,
    working_tree,
)

Progress = Callable[[str], None]
"""Takes a line that says what is being done."""

_IMPORTED: Final = "Working tree as imported"
_NOTHING: Final = "nothing to import: it has no files"
_MIB: Final = 1 << 20


class PackSourceError(Exception):
    """A source cannot be imported; the text says why, in one line and without credentials."""


@dataclass(frozen=True, slots=True)
class PackedSource:
    """What is sent to the hub.

    Attributes:
        pack_path: The pack, complete.
        commit: Git id of the commit in it that is to become the head.
        tree: Git id of that commit's tree: its files, whatever their history.
        name: For the project, made from the source.
        source: Where it came from, without credentials.
        description: What is in it, for people.
    """

    pack_path: Path
    commit: str
    tree: str
    name: str
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class _Packable:
    scratch: Scratch
    commit: str
    note: str


async def pack_source(source: str, into: Path, progress: Progress) -> PackedSource:
    """Pack a folder or a Git address.

    A folder that is the top of a repository is packed with its history and, if its files differ from the
    head, one more commit with the files as they are. Any other folder is packed as one commit of its files.

    Args:
        source: A path, or an address (https, http, ssh, git, file, or ``host:path``).
        into: A folder of the caller's own, for the pack; it should be removed later.
        progress: Told what is being done.

    Raises:
        PackSourceError: If it cannot be packed.
    """
    scratch = into / "scratch"
    try:
        await asyncio.to_thread(_make_folder, scratch)
        folder = await asyncio.to_thread(_named_folder, source)
        if folder is not None:
            source = str(folder)
            packable = await _of_folder(folder, scratch, progress)
        else:
            packable = await _of_address(source, scratch, progress)
        progress("packing")
        return await _packed(packable, source, into)
    except GitFailedError as error:
        reason = sources.redacted(error.reason, source) or "Git does not say why"
        raise PackSourceError(f"'{sources.without_credentials(source)}' cannot be read: {reason}") from error
    except (FolderUnreadableError, GitMissingError) as error:
        raise PackSourceError(str(error)) from error
    except OSError as error:
        raise PackSourceError(f"'{into}' cannot be written: {error.strerror}") from error
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _make_folder(scratch: Path) -> None:
    scratch.mkdir(parents=True)


def _named_folder(source: str) -> Path | None:
    """The folder that a source names; ``None`` if it is an address, and nothing here is called so."""
    if not source.strip():
        raise PackSourceError("no source is named; this folder is '.'")
    try:
        folder = Path(source).expanduser()
        return folder.resolve() if folder.exists() or not sources.is_address(source) else None
    except (OSError, RuntimeError, ValueError) as error:  # too long, no such person, not a path at all
        shown = sources.without_credentials(source)
        raise PackSourceError(f"'{shown}' is neither a folder nor the address of a Git repository") from error


async def _of_address(address: str, scratch: Path, progress: Progress) -> _Packable:
    shown = sources.without_credentials(address)
    fault = sources.address_fault(address)
    if fault:
        raise PackSourceError(f"'{shown}' cannot be cloned: {fault}")
    progress(f"cloning {shown}")
    clone = scratch / "clone"
    git = Git(scratch, person=True, reaching=True)
    try:
        how = ("--bare", "--quiet", "--single-branch", "--no-tags", "--template=")
        await git.run("clone", *how, "--", address, str(clone))
    except GitFailedError as error:
        reason = sources.redacted(error.reason, address) or "Git does not say why"
        raise PackSourceError(f"'{shown}' cannot be cloned: {reason}") from error
    found = await inspect(clone.resolve())
    if found is None or not found.head:
        raise PackSourceError(f"'{shown}' has nothing to import: its main branch has no commit")
    await _check_format(found, shown)
    return await _complete(Scratch(clone), found.head, found, "")


async def _of_folder(folder: Path, scratch: Path, progress: Progress) -> _Packable:
    if not await asyncio.to_thread(folder.is_dir):
        raise PackSourceError(f"'{folder}' is neither a folder nor the address of a Git repository")
    progress(f"reading {folder}")
    work = await asyncio.to_thread(Scratch.make, scratch / "repository")
    found = await inspect(folder)
    if found is None:
        tree, time_seconds = await folder_tree(folder, work)
        if not tree:
            raise PackSourceError(f"'{folder}' has {_NOTHING}")
        commit = await work.commit(tree, "", _IMPORTED, time_seconds)
        return _Packable(work, commit, "its files, without history")
    await _check_format(found, str(folder))
    return await _of_repository(found, work, folder)


async def _of_repository(found: Repository, work: Scratch, folder: Path) -> _Packable:
    if found.head:
        await copy_history(found, work)
    commit, note = found.head, ""
    if found.top is not None:
        tree = await working_tree(found, work)
        if tree != await _tree_of(work, found.head):
            commit = await work.commit(tree, found.head, _IMPORTED, await _time_of(work, found.head, folder))
            note = "and its files as they are"
    if not commit or (not found.head and await _is_empty(work, commit)):
        raise PackSourceError(f"'{folder}' has {_NOTHING}")
    return await _complete(work, commit, found, note)


async def _complete(work: Scratch, commit: str, found: Repository, note: str) -> _Packable:
    if not found.shallow:
        return _Packable(work, commit, note)
    return _Packable(
        work, await completed(work, commit), f"{note}, as far as its history is here".lstrip(", ")
    )


async def _packed(packable: _Packable, source: str, into: Path) -> PackedSource:
    git, pack = packable.scratch.git, into / "source.pack"
    await git.run_to_file(
        pack,
        "pack-objects",
        "--revs",
        "--stdout",
        "--delta-base-offset",
        "--quiet",
        stdin=f"{packable.commit}\n".encode(),
    )
    size_bytes = pack.stat().st_size
    if size_bytes > PACK_BYTES_MAX:
        raise PackSourceError(f"the repository is too large: {size_bytes // _MIB} MiB packed, of at most 512")
    count = int(await git.run("rev-list", "--count", packable.commit))
    description = " ".join(filter(None, (f"{count} commit{'s' if count != 1 else ''}", packable.note)))
    tree = await _tree_of(packable.scratch, packable.commit)
    shown = sources.without_credentials(source)
    return PackedSource(pack, packable.commit, tree, sources.name_of(source), shown, description)


async def _check_format(found: Repository, shown: str) -> None:
    told = (await found.git.run("rev-parse", "--show-object-format")).decode().strip()
    if told != "sha1":
        raise PackSourceError(f"'{shown}' uses Git's {told} format; only the format sha1 can be imported")


async def _tree_of(work: Scratch, commit: str) -> str:
    if not commit:
        return ""
    return (await work.git.run("rev-parse", f"{commit}^{{tree}}")).decode().strip()


async def _time_of(work: Scratch, commit: str, folder: Path) -> int:
    """When the last commit was made, so that the same files on it make the same commit again."""
    if not commit:
        return int((await asyncio.to_thread(folder.stat)).st_mtime)
    return int(await work.git.run("show", "-s", "--format=%ct", commit))


async def _is_empty(work: Scratch, commit: str) -> bool:
    return not await work.git.run("ls-tree", commit)
