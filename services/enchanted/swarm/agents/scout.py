# SPDX-License-Identifier: Apache-2.0
"""The Scout: looks at one module from outside and packs what its Coder has to know, within a token budget."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass

from enchanted.generated.history.v1 import events_pb2 as events
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.swarm import context_pack, modernize
from enchanted.swarm.agents.desk import PACK, Desk
from enchanted.swarm.agents.shift import Assignment
from enchanted.swarm.agents.terrain import RUNNING
from enchanted.swarm.context_pack import ContextPack
from enchanted.swarm.model import ModulePath
from enchanted.swarm.repository import survey


@dataclass(frozen=True, slots=True)
class Scout:
    """Makes context packs."""

    desk: Desk

    async def perform(self, assignment: Assignment) -> None:
        """Pack one module as it is at the head of the timeline."""
        desk = self.desk
        path = ModulePath(assignment.ticket.resource)
        head = await desk.terrain.checkouts.head()
        view = await asyncio.to_thread(functools.partial(survey, head.folder, running=RUNNING))
        findings = await modernize.find(path, view.read(path), view.minimum.version, desk.terrain.tools)
        pack = await asyncio.to_thread(context_pack.gather, view, path, findings)
        decision = desk.report.decision(
            events.DECISION_KIND_SCOUT,
            path,
            pack_text(pack),
            trigger=assignment.ticket.title,
            context=f"sha256:{pack.sha256}",
            rejected=[
                f"{cut.section}: {cut.dropped} left out of the pack to stay within {pack.token_budget} tokens"
                for cut in pack.cut
            ],
        )
        artifact = v1.Artifact(name=PACK, content=context_pack.to_json_bytes(pack))
        await desk.jobs.complete_ticket(
            assignment.lease,
            v1.TICKET_STATE_DONE,
            outcome=f"{len(pack.findings)} kinds of findings, {pack.tokens} tokens",
            decisions=[decision],
            artifacts=[artifact],
        )


def pack_text(pack: ContextPack) -> str:
    """What the Scout saw."""
    found = sum(finding.count for finding in pack.findings)
    kinds = ", ".join(f"{finding.rule} x{finding.count}" for finding in pack.findings)
    seen = f"{found} findings ({kinds})" if found else "no findings of the linter"
    return (
        f"{pack.path} has {len(pack.definitions)} definitions and {seen}. It imports {len(pack.imports)} "
        f"modules of the repository, {len(pack.importers)} would notice a change, and {len(pack.tests)} test "
        f"files look at it. The pack has {pack.tokens} tokens."
    )
