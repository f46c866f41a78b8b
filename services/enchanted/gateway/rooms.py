# SPDX-License-Identifier: Apache-2.0
"""The clients through which the gateway sees the platform; it has no other way to it."""

from __future__ import annotations

from dataclasses import dataclass

from enchanted.history.client import HistoryClient
from enchanted.jobs.client import JobsClient
from enchanted.workspace.client import WorkspaceClient


@dataclass(frozen=True, slots=True)
class Rooms:
    """One client a room, with the token of whoever asks."""

    history: HistoryClient
    workspace: WorkspaceClient
    jobs: JobsClient
