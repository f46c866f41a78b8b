# SPDX-License-Identifier: Apache-2.0
"""Who may reach which project of the own tenant: the port, and the default that lets no job in.

gRPC and Git over HTTP ask the same question; asked in two ways, it would one day get two answers.
"""

from __future__ import annotations

from typing import Protocol

from enchanted.keyspace import Principal


class MayRead(Protocol):
    """Decides whether a principal may read a project of its own tenant."""

    async def __call__(self, principal: Principal, project_id: str) -> bool:
        """Whether it may."""


async def deny_jobs(principal: Principal, project_id: str) -> bool:  # noqa: ARG001 - the port's shape
    """The default: everyone of the tenant who has the scope, but no agents' process.

    Which project a job works on is known to a room above this one, which gives a port of its own.
    """
    return principal.job is None
