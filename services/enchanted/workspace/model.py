# SPDX-License-Identifier: Apache-2.0
"""What a project, a state and a change are, which names and paths are allowed, and what can go wrong. Pure.

A path that one side accepts and the other writes to disk is how repositories have broken out of their folder
before (`.git/hooks`, `..`, a name with a line break). The rules stand here once; import, edits and checkouts
all ask them.

What people wrote stands in errors cut to 200 characters: errors travel in headers, which have a limit.

Errors::

    WorkspaceError
    ├── ProjectNotFoundError      no project of this id or name
    ├── ProjectExistsError        the name belongs to a project with other content
    ├── ProjectForbiddenError     a job's token asked for another project
    ├── InvalidNameError          a text that cannot name a project
    ├── InvalidPackError          a pack that is damaged, incomplete or not SHA-1
    ├── PackTooLargeError         a pack, an object or a tree past a limit
    ├── HostileTreeError          a tree with a name or mode that must never reach a disk
    ├── InvalidPathError          a change to a path that cannot be changed
    ├── InvalidAuthorError        a text that cannot be a commit's author
    ├── NothingChangedError       a change that leaves every file as it is
    ├── StaleFileError            a file is not what the change was made for
    ├── HeadMovedError            the head is another one than the commit was prepared on
    ├── InvalidMomentError        a text that names no moment
    ├── MomentNotFoundError       a moment before the first state, or of another project
    ├── AmbiguousCommitError      a short commit id that several states have
    ├── PageTokenError            a page token of another list, or changed
    ├── DiffTooLargeError         more changed content than one patch may carry
    └── StoredStateBrokenError    an object, head or state is missing or was changed
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NewType

import grpc

from enchanted.history import Place
from enchanted.rpc import ErrorRule

ObjectId = NewType("ObjectId", bytes)
"""A Git object id: the 20 bytes of its SHA-1."""

MAIN: Final = "main"
PACK_BYTES_MAX: Final = 512 << 20
OBJECT_BYTES_MAX: Final = 100 << 20
OBJECTS_MAX: Final = 1_000_000
INFLATED_BYTES_MAX: Final = 16 << 30
FILES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 200
COMPONENT_BYTES_MAX: Final = 255
DIFF_BYTES_MAX: Final = 512 << 20
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_GIT_SUFFIX: Final = ".git"
_ID_PREFIX: Final = "prj_"
_AUTHOR: Final = re.compile(r"[^<>\x00-\x1f\x7f]*[^<>\x00-\x20\x7f] <[^<>\x00-\x20\x7f]+>")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
# Apple's file system ignores these code points in names, so ".g\u200cit" would open ".git" there.
_IGNORED_BY_HFS: Final = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
_SHOWN_CHARACTERS: Final = 200


class WorkspaceError(Exception):
    """Base of all errors of this room."""


class ProjectNotFoundError(WorkspaceError):
    """There is no project of this id or name."""

    def __init__(self, project: str) -> None:
        super().__init__("there is no such project; list the projects to see which there are")
        self.project = project[:_SHOWN_CHARACTERS]


class ProjectExistsError(WorkspaceError):
    """The name belongs to a project whose imported content is another."""

    def __init__(self, name: str, project_id: str) -> None:
        super().__init__("a project of this name has other content; choose another name with --name")
        self.name = name[:_SHOWN_CHARACTERS]
        self.project_id = project_id


class ProjectForbiddenError(WorkspaceError):
    """The token of a job reaches the project of its job only."""

    def __init__(self, project: str) -> None:
        super().__init__("this token may reach only the project of its own job")
        self.project = project[:_SHOWN_CHARACTERS]


class InvalidNameError(WorkspaceError):
    """The text cannot name a project."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "a project's name has at most 63 small letters, digits, '.', '_' and '-', begins with a letter "
            "or digit, and neither begins with 'prj_' nor ends with '.git'"
        )
        self.name = name[:_SHOWN_CHARACTERS]


class InvalidPackError(WorkspaceError):
    """The pack is damaged or incomplete; the text says how."""


class PackTooLargeError(WorkspaceError):
    """The content is past a limit; the text says which."""

    def __init__(self, text: str, limit: int) -> None:
        super().__init__(text)
        self.limit = limit


class HostileTreeError(WorkspaceError):
    """A tree holds what must never reach a disk; the text says what, ``path`` where as far as known."""

    def __init__(self, reason: str, tree: str, path: str) -> None:
        super().__init__(f"the repository cannot be imported: {reason}")
        self.tree = tree
        self.path = path


class InvalidPathError(WorkspaceError):
    """The path cannot be changed; the text says why."""

    def __init__(self, reason: str, path: str) -> None:
        super().__init__(f"the path cannot be changed: {reason}")
        self.path = path[:_SHOWN_CHARACTERS]


class InvalidAuthorError(WorkspaceError):
    """The text cannot be a commit's author."""

    def __init__(self, author: str) -> None:
        super().__init__("an author is written as 'Name <address>'")
        self.author = author[:_SHOWN_CHARACTERS]


class NothingChangedError(WorkspaceError):
    """The change leaves every file as it is."""

    def __init__(self) -> None:
        super().__init__("the change leaves every file as it is")


class StaleFileError(WorkspaceError):
    """A file is not what the change was made for; make the change anew on what is there now."""

    def __init__(self, path: str) -> None:
        super().__init__("the file is not what the change was made for; read it again")
        self.path = path[:_SHOWN_CHARACTERS]


class HeadMovedError(WorkspaceError):
    """The head is not the one that the commit was prepared on; prepare it again on the present head."""

    def __init__(self, project_id: str, commit: str) -> None:
        super().__init__("the project has moved on meanwhile; apply the change to its present state")
        self.project_id = project_id
        self.commit = commit


class InvalidMomentError(WorkspaceError):
    """The text names no moment."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "a moment is 'now', a time such as 2026-01-31T12:00:00Z or -5m, a versionstamp, an event's id, "
            "or at least 7 digits of a commit"
        )
        self.text = text[:_SHOWN_CHARACTERS]


class MomentNotFoundError(WorkspaceError):
    """The project has no such moment; the text says why."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason)
        self.text = text[:_SHOWN_CHARACTERS]


class AmbiguousCommitError(WorkspaceError):
    """Several states have commits that begin so."""

    def __init__(self, text: str) -> None:
        super().__init__("several commits begin with these digits; write more of them")
        self.text = text[:_SHOWN_CHARACTERS]


class PageTokenError(WorkspaceError):
    """The page token is not of this list."""

    def __init__(self) -> None:
        super().__init__("the page token is not one of this list; begin again without it")


class DiffTooLargeError(WorkspaceError):
    """More content changed between the moments than one patch may carry."""

    def __init__(self) -> None:
        super().__init__("too much changed between these moments for one patch; clone the project instead")
        self.limit_bytes = DIFF_BYTES_MAX


class StoredStateBrokenError(WorkspaceError):
    """Something stored is missing or was changed; ``verify`` says what else is."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"a stored {what} is missing or was changed; run verify")
        self.what = what
        self.name = name


_INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
_NOT_FOUND: Final = grpc.StatusCode.NOT_FOUND
_PRECONDITION: Final = grpc.StatusCode.FAILED_PRECONDITION

ERRORS: Final[Mapping[type[Exception], ErrorRule]] = {
    ProjectNotFoundError: ErrorRule(_NOT_FOUND, "PROJECT_NOT_FOUND"),
    ProjectExistsError: ErrorRule(grpc.StatusCode.ALREADY_EXISTS, "PROJECT_EXISTS"),
    ProjectForbiddenError: ErrorRule(grpc.StatusCode.PERMISSION_DENIED, "PROJECT_FORBIDDEN"),
    InvalidNameError: ErrorRule(_INVALID, "NAME_INVALID"),
    InvalidPackError: ErrorRule(_INVALID, "PACK_INVALID"),
    PackTooLargeError: ErrorRule(_INVALID, "PACK_TOO_LARGE"),
    HostileTreeError: ErrorRule(_INVALID, "TREE_HOSTILE"),
    InvalidPathError: ErrorRule(_INVALID, "PATH_INVALID"),
    InvalidAuthorError: ErrorRule(_INVALID, "AUTHOR_INVALID"),
    NothingChangedError: ErrorRule(_INVALID, "NOTHING_CHANGED"),
    StaleFileError: ErrorRule(_PRECONDITION, "FILE_STALE"),
    HeadMovedError: ErrorRule(grpc.StatusCode.ABORTED, "HEAD_MOVED"),
    InvalidMomentError: ErrorRule(_INVALID, "MOMENT_INVALID"),
    MomentNotFoundError: ErrorRule(_NOT_FOUND, "MOMENT_NOT_FOUND"),
    AmbiguousCommitError: ErrorRule(_INVALID, "COMMIT_AMBIGUOUS"),
    PageTokenError: ErrorRule(_INVALID, "PAGE_TOKEN_INVALID"),
    DiffTooLargeError: ErrorRule(_PRECONDITION, "DIFF_TOO_LARGE"),
    StoredStateBrokenError: ErrorRule(grpc.StatusCode.DATA_LOSS, "STATE_BROKEN"),
}


@dataclass(frozen=True, slots=True)
class Head:
    """The newest state of a timeline, by the Git ids (40 hexadecimal digits) of its commit and tree."""

    commit: str
    tree: str


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it was imported.

    Attributes:
        project_id: Also the name of its log.
        name: What people call it.
        created_time_us: UTC microseconds.
        source: Where the content came from, without credentials.
        imported_commit: Git id of the first state's commit.
        imported_tree: Git id of the first state's tree.
    """

    project_id: str
    name: str
    created_time_us: int
    source: str
    imported_commit: str
    imported_tree: str


@dataclass(frozen=True, slots=True)
class State:
    """A timeline's state from one place in its history on.

    Attributes:
        place: Of the commit that made it so; events of the same commit share its first 10 bytes.
        head: Commit and tree.
        event_id: The TIMELINE event that tells of it.
        previous_tree: Tree of the state before; empty for the first.
        time_us: When it was made, by its maker's clock in UTC microseconds.
    """

    place: Place
    head: Head
    event_id: str
    previous_tree: str
    time_us: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a project's history, and the state in effect there."""

    place: Place
    state: State


@dataclass(frozen=True, slots=True)
class FileChange:
    """What becomes of one file.

    Attributes:
        path: From the top of the project, parts separated by ``/``.
        content: The new bytes; ``None`` removes the file.
        previous_sha256: ``sha256:`` and the digest of the content that the change was made for; empty for a
            file that is not there yet.
    """

    path: str
    content: bytes | None
    previous_sha256: str


@dataclass(frozen=True, slots=True)
class PreparedCommit:
    """A commit whose objects are stored and which no head names yet.

    Attributes:
        base: The state it was made on.
        head: The state it makes.
        time_us: Its date, UTC microseconds.
        previous_state_hash: ``sha256:`` name of the whole state before, for the TIMELINE event.
        new_state_hash: The same for the state after.
    """

    base: Head
    head: Head
    time_us: int
    previous_state_hash: str
    new_state_hash: str


def check_name(name: str) -> None:
    """Make sure that a text can name a project.

    Raises:
        InvalidNameError: If it cannot.
    """
    if not _NAME.fullmatch(name) or name.endswith(_GIT_SUFFIX) or name.startswith(_ID_PREFIX):
        raise InvalidNameError(name)


def check_author(author: str) -> None:
    """Make sure that a text can stand in a commit's author line.

    Raises:
        InvalidAuthorError: If it cannot.
    """
    if not _AUTHOR.fullmatch(author):
        raise InvalidAuthorError(author)


def component_fault(component: bytes) -> str:
    """Why a part of a path must not reach a disk; empty if it may.

    Also refused are the spellings by which some file systems open `.git`: other case, trailing dots and
    spaces, the short name ``git~1``, and characters that are ignored (compare Git's own ``verify_path``).
    """
    if component in {b"", b".", b".."}:
        return "a name is empty, '.' or '..'"
    if b"/" in component:
        return "a name holds a '/'"
    if _CONTROL.search(component):
        return "a name holds a control character"
    if len(component) > COMPONENT_BYTES_MAX:
        return "a name is longer than 255 bytes"
    spelled = component.decode("utf-8", "surrogateescape").translate(_IGNORED_BY_HFS)
    if spelled.rstrip(". ").casefold() in {".git", "git~1"}:
        return "a name is '.git', where Git keeps its own files"
    return ""


def path_components(path: str) -> tuple[bytes, ...]:
    """The parts of a path that a change names.

    Raises:
        InvalidPathError: If it could lead out of the project or into Git's own files.
    """
    try:
        components = tuple(path.encode("utf-8", "surrogateescape").split(b"/"))
    except UnicodeEncodeError as error:
        raise InvalidPathError("it is not text", shown(path.encode("utf-8", "replace"))) from error
    fault = next(filter(None, map(component_fault, components)), "")
    if not fault and len(components) > DEPTH_MAX:
        fault = "it has too many parts"
    if fault:
        raise InvalidPathError(fault, shown(b"/".join(components)))
    return components


def shown(name: bytes) -> str:
    """A name as it can be shown: text, without control characters, not too long."""
    text = name.decode("utf-8", "backslashreplace")
    printable = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return printable[:_SHOWN_CHARACTERS]
