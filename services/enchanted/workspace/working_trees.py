# SPDX-License-Identifier: Apache-2.0
"""Copies a repository's history and its working tree into a scratch repository, reading only.

Git writes where one would not expect it: it sets the time of an object file that it finds in place of one it
wanted to write, also in borrowed object stores, and it refreshes the index when it compares. So nothing is
borrowed: the history comes as a pack, the index is the scratch repository's own, and the person's repository
is asked by commands that only read. Nor are its settings used, which could name programs: of them only those
are taken over that say how files are compared. Repositories inside the working tree have settings too, and
Git obeys them where it asks whether a submodule changed; so it is never let look into one.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enchanted.workspace.folder_files import (
    MADE_BY_TOOLS,
    VIRTUAL_ENVIRONMENT_MARK,
    FolderFile,
    list_folder,
    read_file,
)
from enchanted.workspace.git_program import Git, GitFailedError, make_bare_repository, write_loose_object
from enchanted.workspace.objects import object_id

_COMPARING: Final = r"^core\.(autocrlf|eol|filemode|ignorecase|symlinks|precomposeunicode)$"
_AUTHOR: Final = "Enchanted"
_ADDRESS: Final = "import@enchanted.local"
_SKIPPED: Final = b"S "
_SUBMODULE: Final = b"160000 "
_PARTIAL: Final = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"
_FETCH_FIRST: Final = "the repository is a partial clone: fetch what is missing first"
_HEAD: Final = "HEAD^{commit}"


@dataclass(frozen=True, slots=True)
class Repository:
    """A person's repository, which is only read.

    Attributes:
        git: Runs commands in it.
        top: The working tree; ``None`` if it has none.
        head: The commit of its head; empty if it has none yet.
        shallow: Whether its history is cut off.
    """

    git: Git
    top: Path | None
    head: str
    shallow: bool


@dataclass(frozen=True, slots=True)
class Scratch:
    """A bare repository of our own.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Scratch:
        """Make an empty one."""
        make_bare_repository(folder)
        return cls(folder)

    @property
    def git(self) -> Git:
        """Runs commands in it."""
        return Git(self.folder, {"GIT_DIR": str(self.folder)})

    def over(self, top: Path) -> Git:
        """Runs commands on a working tree elsewhere, with an index here."""
        variables = {
            "GIT_DIR": str(self.folder),
            "GIT_WORK_TREE": str(top),
            "GIT_INDEX_FILE": str(self.folder / "index"),
        }
        return Git(top, variables, person=True)

    async def commit(self, tree: str, parent: str, message: str, time_seconds: int) -> str:
        """Make a commit, the same for the same arguments."""
        date = f"@{time_seconds} +0000"
        variables = {"GIT_DIR": str(self.folder)}
        for role in ("AUTHOR", "COMMITTER"):
            variables |= {
                f"GIT_{role}_NAME": _AUTHOR,
                f"GIT_{role}_EMAIL": _ADDRESS,
                f"GIT_{role}_DATE": date,
            }
        parents = ("-p", parent) if parent else ()
        git = Git(self.folder, variables)
        made = await git.run("commit-tree", tree, *parents, stdin=f"{message}\n".encode())
        return made.decode().strip()


async def copy_history(repository: Repository, scratch: Scratch) -> None:
    """Bring what the head reaches into the scratch repository.

    Raises:
        GitFailedError: If objects are missing, as in a partial clone.
    """
    pack = scratch.folder / "objects" / "pack" / "pack-history.pack"
    how = ("pack-objects", "--revs", "--stdout", "--delta-base-offset", "--quiet")
    try:
        await repository.git.run_to_file(pack, *how, stdin=f"{repository.head}\n".encode())
    except GitFailedError as error:
        if await _is_partial(repository.git):
            raise GitFailedError(_FETCH_FIRST) from error
        raise
    await scratch.git.run("index-pack", str(pack))
    if repository.shallow:
        await _copy(repository, "shallow", scratch.folder / "shallow")


async def working_tree(repository: Repository, scratch: Scratch) -> str:
    """The tree of the working tree's files: tracked ones as they are, untracked ones that are not ignored.

    Submodules stay what they are in the head; other repositories inside it are left out.

    Raises:
        GitFailedError: If a file cannot be read.
    """
    assert repository.top is not None, "a repository without a working tree has no files"
    git = scratch.over(repository.top)
    await _take_over_settings(repository, scratch)
    if repository.head:
        await git.run("read-tree", repository.head)
    listed = (await repository.git.run("ls-files", "-z", "-t", "--cached", "--full-name", ":/")).split(b"\0")
    skipped = [line[2:] for line in listed if line.startswith(_SKIPPED)]
    await _update_index(git, skipped, "--skip-worktree")
    await _leave_out(git, scratch)
    await _add_files(git)
    present = set((await git.run("ls-files", "-z", "--cached")).split(b"\0"))
    added = [line[2:] for line in listed if line and line[2:] not in present]
    await _update_index(git, await asyncio.to_thread(_existing, repository.top, added), "--add")
    return (await git.run("write-tree")).decode().strip()


async def folder_tree(folder: Path, scratch: Scratch) -> tuple[str, int]:
    """The tree of a plain folder's files, and when the newest of them was modified, in seconds.

    Returns:
        The tree is empty if there is nothing to import.

    Raises:
        FolderUnreadableError: If a file cannot be read or imported.
    """
    files = await asyncio.to_thread(list_folder, folder)
    git = scratch.over(folder)
    listed = b"\0".join(file.path for file in files)
    ignored = await git.run("check-ignore", "-z", "--stdin", "--no-index", stdin=listed, negative=True)
    left_out = set(ignored.split(b"\0"))
    files = [file for file in files if file.path not in left_out]
    if not files:
        return "", 0
    lines = await asyncio.to_thread(_store_files, folder, files, scratch)
    await git.run("update-index", "-z", "--index-info", stdin=lines)
    tree = (await git.run("write-tree")).decode().strip()
    return tree, max(file.modified_time_seconds for file in files)


async def completed(scratch: Scratch, commit: str) -> str:
    """A commit like this one whose history is complete: it begins where the shallow one is cut off.

    Commits from there on get new ids, because their first parents are gone.
    """
    git = scratch.git
    await git.run("update-ref", "refs/heads/shallow", commit)
    exported = await git.run(
        "fast-export",
        "--no-data",
        "--reencode=no",
        "--refspec",
        "refs/heads/shallow:refs/heads/complete",
        "refs/heads/shallow",
    )
    await git.run("fast-import", "--quiet", "--force", stdin=exported)
    (scratch.folder / "shallow").unlink()
    return (await git.run("rev-parse", "--verify", "refs/heads/complete")).decode().strip()


async def _add_files(git: Git) -> None:
    """Bring the index to the files as they are, without a look into any repository among them."""
    submodules = await _submodules(git)
    untracked = (await git.run("ls-files", "-z", "--others", "--exclude-standard")).split(b"\0")
    # Git lists no folders but those that are repositories of their own.
    embedded = {path.removesuffix(b"/") for path in untracked if path.endswith(b"/")}
    closed = [b":(exclude,top,literal)" + path for path in sorted(submodules | embedded)]
    how = ("add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul")
    await git.run(*how, stdin=b"\0".join((b".", *closed)))
    # A repository where the head has a file is none of the untracked ones.
    await _update_index(git, sorted(await _submodules(git) - submodules), "--force-remove")


async def _submodules(git: Git) -> set[bytes]:
    """Paths of the index that are submodules."""
    listed = (await git.run("ls-files", "-z", "--stage")).split(b"\0")
    return {line.partition(b"\t")[2] for line in listed if line.startswith(_SUBMODULE)}


async def _is_partial(git: Git) -> bool:
    return bool(await git.run("config", "--name-only", "--get-regexp", _PARTIAL, negative=True))


def _store_files(folder: Path, files: list[FolderFile], scratch: Scratch) -> bytes:
    """Put the files into the scratch repository; the lines that tell an index of them."""
    lines = []
    for file in files:
        blob = read_file(folder, file)
        found = object_id(blob.kind, blob.content)
        write_loose_object(scratch.folder, found, blob)
        lines.append(b"%o %s\t%s\0" % (file.mode, found.hex().encode(), file.path))
    return b"".join(lines)


def _existing(top: Path, paths: list[bytes]) -> list[bytes]:
    """Those that are files or links."""
    found = ((path, top / os.fsdecode(path)) for path in paths)
    return [path for path, whole in found if whole.is_symlink() or whole.is_file()]


async def _take_over_settings(repository: Repository, scratch: Scratch) -> None:
    settings = await repository.git.run("config", "-z", "--get-regexp", _COMPARING, negative=True)
    # An index belongs to a working tree, and Git refuses one in a repository that says it has none.
    for setting in [b"core.bare\nfalse", *filter(None, settings.split(b"\0"))]:
        key, _, value = setting.decode().partition("\n")
        await scratch.git.run("config", key, value)
    for name in ("info/exclude", "info/attributes"):
        await _copy(repository, name, scratch.folder / name)


async def _copy(repository: Repository, name: str, to: Path) -> None:
    """Copy one of Git's own files, if it is there."""
    path = (await repository.git.run("rev-parse", "--git-path", name)).removesuffix(b"\n")
    source = repository.git.folder / os.fsdecode(path)
    if source.is_file():
        await asyncio.to_thread(lambda: to.write_bytes(source.read_bytes()))


async def _leave_out(git: Git, scratch: Scratch) -> None:
    """Ignore what tools made, even if nobody told Git to: it applies to untracked files only."""
    patterns = [f"{name}/".encode() for name in sorted(MADE_BY_TOOLS)]
    untracked = (await git.run("ls-files", "-z", "--others", "--exclude-standard")).split(b"\0")
    mark = f"/{VIRTUAL_ENVIRONMENT_MARK}".encode()
    patterns += [b"/" + _escaped(path.removesuffix(mark)) + b"/" for path in untracked if path.endswith(mark)]
    with (scratch.folder / "info" / "exclude").open("ab") as file:
        file.write(b"\n" + b"\n".join(patterns) + b"\n")


def _escaped(path: bytes) -> bytes:
    """A path as a pattern that matches nothing else."""
    return b"".join(b"\\" + bytes((byte,)) if byte in b"\\*?[]!# " else bytes((byte,)) for byte in path)


async def _update_index(git: Git, paths: list[bytes], how: str) -> None:
    if paths:
        await git.run("update-index", how, "-z", "--stdin", stdin=b"\0".join(paths))


async def inspect(folder: Path) -> Repository | None:
    """The repository whose top or own folder this is; ``None`` for any other folder.

    Raises:
        GitFailedError: If there is a repository and it cannot be read.
    """
    git = Git(folder)
    try:
        questions = ("--is-inside-work-tree", "--is-shallow-repository", "--absolute-git-dir")
        told = await git.run("rev-parse", *questions)
    except GitFailedError:
        if await asyncio.to_thread((folder / ".git").exists):
            raise
        return None
    inside, shallow, git_folder = told.decode("utf-8", "surrogateescape").split("\n")[:3]
    top = None
    if inside == "true":
        shown = await git.run("rev-parse", "--show-toplevel")
        top = Path(os.fsdecode(shown.removesuffix(b"\n")))
    if (top or Path(git_folder)).resolve() != folder:
        return None
    head = await git.run("rev-parse", "--quiet", "--verify", _HEAD, negative=True)
    if not head and await _names_commit(git) and await _is_partial(git):
        raise GitFailedError(_FETCH_FIRST)
    return Repository(git, top, head.decode().strip(), shallow == "true")


async def _names_commit(git: Git) -> bool:
    """Whether the head names a commit, be it there or not."""
    return bool(await git.run("rev-parse", "--quiet", "--verify", "HEAD", negative=True))
