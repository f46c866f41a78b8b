# SPDX-License-Identifier: Apache-2.0
"""Verification: recompute the whole log from what is stored, and name the first things that were changed.

A tree that is only trusted protects nothing. The verifier uses none of the room's readers: it walks every
stored row of the log in bounded pages, computes the leaves from the events and the tree from the leaves, and
compares the result with the stored tree, with every signed checkpoint, and with the checkpoint that the
caller kept from last time, which not even the hub's operator can take back.
"""

from __future__ import annotations

from typing import Final

from enchanted.generated.history.store.v1 import records_pb2 as store
from enchanted.history import inspection, records
from enchanted.history.checkpoints import Checkpoint, CheckpointVerifier
from enchanted.history.event_walk import EventWalk
from enchanted.history.findings import CheckName, Findings, Report
from enchanted.history.model import CheckpointError, LogNotFoundError, TreeBrokenError
from enchanted.history.sealer import Sealer
from enchanted.history.tree_walk import TreeWalk
from enchanted.keyspace import Keyspace, StoreDamagedError, TenantSpace

_CHECK_OF_SUBSPACE: Final = {
    records.CHECKPOINT.name: CheckName.CHECKPOINTS,
    records.SEALED_TIME.name: CheckName.SEALED_TIMES,
    records.TIP.name: CheckName.INDEXES,
}

_NEED_A_HEAD: Final = tuple(
    check for check in CheckName if check not in (CheckName.STORAGE, CheckName.SEALED)
)


async def verify_log(
    keyspace: Keyspace, space: TenantSpace, log: str, sealer: Sealer, last_seen_note: str
) -> Report:
    """Seal what is not sealed, then check everything that is stored of a log. Many small transactions.

    Args:
        keyspace: The database.
        space: The tenant's space.
        log: The project's id.
        sealer: Seals, and knows the key of the checkpoints.
        last_seen_note: The last checkpoint that the caller saw; empty for none.

    Raises:
        LogNotFoundError: If nothing was ever recorded there.
    """
    findings = Findings()
    verifier = sealer.signer.verifier(space.tenant, log)
    last_seen = _opened_last_seen(verifier, last_seen_note, findings)
    head, note = store.TreeHead(), ""
    try:
        head = await _begin(keyspace, space, log, sealer, findings)
        tree = TreeWalk(keyspace, space, log, head, verifier, findings)
        await tree.run(last_seen)
        note = tree.newest_note
        await EventWalk(keyspace, space, log, head, findings).run()
    except StoreDamagedError:
        findings.report(CheckName.STORAGE, "a part of the store cannot be read: its checksum is wrong")
        findings.give_up(CheckName, "the store cannot be read")
    return Report(findings.checks(f"{head.size} events"), head.size, "" if findings.faults else note)


def _opened_last_seen(verifier: CheckpointVerifier, note: str, findings: Findings) -> Checkpoint | None:
    if not note:
        return None
    try:
        return verifier.open(note)
    except CheckpointError as error:
        findings.report(CheckName.LAST_SEEN, f"the checkpoint that you kept is not valid: {error}")
        return None


async def _begin(
    keyspace: Keyspace, space: TenantSpace, log: str, sealer: Sealer, findings: Findings
) -> store.TreeHead:
    """Seal, read the head, and see that nothing stands beyond it; an empty head if there is none to trust."""
    empty = False
    try:
        await sealer.seal_now(space, log)
    except LogNotFoundError:
        empty = True
    except TreeBrokenError as error:
        findings.report(CheckName.SEALED, str(error))
    try:
        head, strays = await keyspace.run(space, inspection.read_head_and_strays, log)
    except TreeBrokenError:
        findings.report(CheckName.TREE, "the stored tree head cannot be read")
        findings.give_up(_NEED_A_HEAD, "there is no tree head")
        return store.TreeHead()
    for name in strays:
        findings.report(_CHECK_OF_SUBSPACE.get(name, CheckName.TREE), f"'{name}' does not end where it must")
    if head is None and empty and not strays:
        raise LogNotFoundError(log)
    if head is None:
        findings.report(CheckName.TREE, "the tree head is missing")
        findings.give_up(_NEED_A_HEAD, "there is no tree head")
    return head or store.TreeHead()
