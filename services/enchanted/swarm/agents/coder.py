# SPDX-License-Identifier: Apache-2.0
"""The Coder: proposes an edit of one module, and says what it expects of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.swarm import context_pack, edits, modernize
from enchanted.swarm.agents.desk import EDIT, EXPECTATION, PACK, Desk
from enchanted.swarm.agents.reporting import part_checks
from enchanted.swarm.agents.shift import Assignment
from enchanted.swarm.edits import Expectation, sha256_hex
from enchanted.swarm.model import ModulePath, PackError
from enchanted.wording import counted


@dataclass(frozen=True, slots=True)
class Coder:
    """Proposes edits."""

    desk: Desk

    async def perform(self, assignment: Assignment) -> None:
        """Propose an edit of one module, from its pack and its text and nothing else."""
        desk = self.desk
        path = ModulePath(assignment.ticket.resource)
        content = await desk.artifact_of_dependency(assignment.ticket, PACK)
        if content is None:
            raise PackError("the Scout left no context pack", path=path)
        pack = context_pack.from_json_bytes(content)
        head = await desk.terrain.checkouts.head()
        source = (head.folder / path).read_bytes()
        if sha256_hex(source) != pack.source_sha256:
            raise PackError("the module changed since the Scout saw it", path=path)
        proposal = await modernize.propose(path, source, pack.target, desk.terrain.tools)
        parts = proposal.edit.parts
        decision = desk.report.decision(
            events.DECISION_KIND_PROPOSE if parts else events.DECISION_KIND_SKIP,
            path,
            proposal.expectation.rationale
            if parts
            else "The module is modern already; there is nothing to propose.",
            trigger=assignment.ticket.title,
            context=f"sha256:{pack.sha256}",
            rejected=proposal.notes,
            checks=part_checks(parts),
        )
        artifacts = [
            v1.Artifact(name=EDIT, content=await asyncio.to_thread(edits.to_json_bytes, proposal.edit)),
            v1.Artifact(name=EXPECTATION, content=expectation_bytes(proposal.expectation)),
        ]
        await desk.jobs.complete_ticket(
            assignment.lease,
            v1.TICKET_STATE_DONE,
            outcome=f"{counted(len(parts), 'part')} proposed" if parts else "nothing to modernise",
            decisions=[decision],
            artifacts=artifacts if parts else [],
        )


def expectation_bytes(expectation: Expectation) -> bytes:
    """An expectation as canonical JSON."""
    return json.dumps(asdict(expectation), sort_keys=True, separators=(",", ":")).encode()


def expectation_from(content: bytes) -> Expectation:
    """Read what :func:`expectation_bytes` wrote."""
    return Expectation(**json.loads(content))
