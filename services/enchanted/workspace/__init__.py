# SPDX-License-Identifier: Apache-2.0
"""Workspace: a project's content at every moment, as Git objects in the keyspace.

Rooms above prepare a commit, then move the head in the transaction of their own effects; people import
folders and repositories, clone any moment with Git, compare moments, and have everything verified.
"""

from enchanted.workspace.access import MayRead
from enchanted.workspace.commits import prepare_commit
from enchanted.workspace.git_http import git_application
from enchanted.workspace.model import (
    ERRORS,
    MAIN,
    FileChange,
    Head,
    HeadMovedError,
    InvalidPathError,
    NothingChangedError,
    PreparedCommit,
    Project,
    ProjectNotFoundError,
    StaleFileError,
    WorkspaceError,
)
from enchanted.workspace.object_store import ObjectCache
from enchanted.workspace.packing import PackedSource, PackSourceError, pack_source
from enchanted.workspace.records import advance, get_project, read_head

__all__ = [
    "ERRORS",
    "MAIN",
    "FileChange",
    "Head",
    "HeadMovedError",
    "InvalidPathError",
    "MayRead",
    "NothingChangedError",
    "ObjectCache",
    "PackSourceError",
    "PackedSource",
    "PreparedCommit",
    "Project",
    "ProjectNotFoundError",
    "StaleFileError",
    "WorkspaceError",
    "advance",
    "get_project",
    "git_application",
    "pack_source",
    "prepare_commit",
    "read_head",
]
