# SPDX-License-Identifier: Apache-2.0
"""Runs the `git` program so that it does what it is told and nothing that a repository tells it.

A repository can name programs in its configuration, and Git would run them: hooks, file system monitors,
pagers, diff drivers, transports. Variables of the surrounding process can point Git at another repository.
So every run gets a fresh set of variables, with all of that switched off, and never asks a person. Above all,
no run but the clone of an address may reach another repository: Git fetches the objects that a partial clone
lacks by itself, with whatever program the repository names for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from enchanted.workspace.model import ObjectId
from enchanted.workspace.objects import GitObject, framed

PROTOCOLS: Final = ("https", "http", "ssh", "git", "file")
_PIECE_BYTES: Final = 64 << 10
_ERROR_BYTES_MAX: Final = 64 << 10
_DEFLATE_LEVEL: Final = 1
_KEPT_VARIABLES: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"}
)
_KEPT_ENDINGS: Final = ("_proxy", "_PROXY")
_TLS_VARIABLES: Final = frozenset({"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"})
_SETTINGS: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.pager=cat",
    "core.askPass=",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.addEmbeddedRepo=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "safe.directory=*",
)


class GitFailedError(Exception):
    """Git ended with an error.

    Attributes:
        reason: What it said last, one line; empty if it said nothing.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("git ended with an error")
        self.reason = reason


class GitMissingError(Exception):
    """The `git` program is not installed."""

    def __init__(self) -> None:
        super().__init__("the program git is needed and was not found; install it (Debian: apt install git)")


@dataclass(frozen=True, slots=True)
class Git:
    """How Git is run: in which folder, with which variables beside the safe ones.

    Attributes:
        folder: The working directory of the program.
        variables: Such as ``GIT_DIR``.
        person: Whether the settings in the person's own home count (ignored files, proxies, certificates).
        reaching: Whether other repositories may be reached, which only the clone of an address needs.
    """

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    person: bool = False
    reaching: bool = False

    async def run(self, *arguments: str, stdin: bytes = b"", negative: bool = False) -> bytes:
        """Run a command and return what it wrote.

        Args:
            arguments: After ``git``.
            stdin: What it reads.
            negative: Whether the command says "no" by ending with 1, which is then no error.

        Raises:
            GitFailedError: If it ends with an error.
            GitMissingError: If there is no such program.
        """
        stream = self.stream(*arguments, stdin=stdin, negative=negative)
        async with contextlib.aclosing(stream) as pieces:
            return b"".join([piece async for piece in pieces])

    async def run_to_file(self, path: Path, *arguments: str, stdin: bytes = b"") -> None:
        """Run a command and write what it writes to a file; raises as :meth:`run`."""
        with path.open("wb") as file:
            async with contextlib.aclosing(self.stream(*arguments, stdin=stdin)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)

    async def stream(
        self, *arguments: str, stdin: bytes = b"", negative: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """What a command writes, piece by piece; raises as :meth:`run`, after the last piece.

        The program and those that it started end when the iterator is closed.
        """
        process = await self._start(arguments)
        assert process.stdin is not None, "it was asked for"
        assert process.stdout is not None, "it was asked for"
        assert process.stderr is not None, "it was asked for"
        feeding = asyncio.create_task(_feed(process.stdin, stdin))
        complaints = asyncio.create_task(_tail(process.stderr))
        try:
            while piece := await process.stdout.read(_PIECE_BYTES):
                yield piece
            if await process.wait() not in ({0, 1} if negative else {0}):
                raise GitFailedError(_last_line(await complaints))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            feeding.cancel()
            await asyncio.gather(feeding, complaints, process.wait(), return_exceptions=True)

    async def _start(self, arguments: Sequence[str]) -> asyncio.subprocess.Process:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        try:
            return await asyncio.create_subprocess_exec(
                "git",
                *settings,
                *arguments,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise GitMissingError from error

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT_VARIABLES | _TLS_VARIABLES or name.endswith(_KEPT_ENDINGS)
        }
        closed = {
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS) if self.reaching else "",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ATTR_NOSYSTEM": "1",
        }
        if not self.person:
            closed["GIT_CONFIG_GLOBAL"] = os.devnull
        return {**kept, **closed, **self.variables}


async def _feed(pipe: asyncio.StreamWriter, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(content)
        await pipe.drain()
    pipe.close()


async def _tail(pipe: asyncio.StreamReader) -> bytes:
    tail = b""
    while piece := await pipe.read(_PIECE_BYTES):
        tail = (tail + piece)[-_ERROR_BYTES_MAX:]
    return tail


def make_bare_repository(folder: Path) -> None:
    """The few files that make a folder a bare repository, without any template of the machine."""
    for name in ("objects/pack", "objects/info", "refs/heads", "info"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")


def write_loose_object(repository: Path, object_id: ObjectId, opened: GitObject) -> None:
    """Put an object into a repository, as a file of its own."""
    digits = object_id.hex()
    folder = repository / "objects" / digits[:2]
    folder.mkdir(exist_ok=True)
    (folder / digits[2:]).write_bytes(zlib.compress(framed(opened.kind, opened.content), _DEFLATE_LEVEL))


def _last_line(complaints: bytes) -> str:
    """The line that says why: the first that Git calls an error, else the last."""
    lines = [line.strip() for line in complaints.decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
    return told[0].removeprefix("fatal:").removeprefix("error:").strip() if told else ""
