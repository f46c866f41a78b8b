# SPDX-License-Identifier: Apache-2.0
"""Artifacts: what a ticket hands to the next one, written ahead of the transaction that names it.

A pack or an edit can be megabytes, and a transaction must stay under one. Content stands in pieces under a
secret hash, so writing it twice is harmless, and a piece that nothing names is garbage and no more.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence

from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import records
from enchanted.jobs.records import ARTIFACT_PIECE_BYTES, PIECES_IN_TRANSACTION
from enchanted.keyspace import Keyspace, TenantSpace


async def write_ahead(
    keyspace: Keyspace, space: TenantSpace, project_id: str, artifacts: Iterable[v1.Artifact]
) -> list[store.ArtifactRecord]:
    """Write the contents, each in transactions of its own, and return the records that name them.

    Args:
        keyspace: The database.
        space: The tenant's.
        project_id: Whose key seals them.
        artifacts: At most 8 MiB each.
    """
    return [await _write_one(keyspace, space, project_id, artifact) for artifact in artifacts]


async def read(
    keyspace: Keyspace, space: TenantSpace, project_id: str, record: store.ArtifactRecord
) -> bytes:
    """The content of an artifact, read in bounded transactions.

    Raises:
        SealBrokenError: If a piece was changed or is missing.
    """
    parts = [
        await keyspace.run(space, records.read_pieces, project_id, record.content_id, numbers)
        for numbers in _in_groups(range(record.pieces))
    ]
    return b"".join(parts)


async def _write_one(
    keyspace: Keyspace, space: TenantSpace, project_id: str, artifact: v1.Artifact
) -> store.ArtifactRecord:
    content = artifact.content
    content_id = records.content_id(space, project_id, hashlib.sha256(content).hexdigest())
    starts = range(0, len(content), ARTIFACT_PIECE_BYTES)
    for numbers in _in_groups(range(len(starts))):
        numbered = [(n, content[starts[n] : starts[n] + ARTIFACT_PIECE_BYTES]) for n in numbers]
        await keyspace.run(space, records.write_pieces, project_id, content_id, numbered)
    return store.ArtifactRecord(name=artifact.name, content_id=content_id, pieces=len(starts))


def _in_groups(numbers: range) -> Iterable[Sequence[int]]:
    remaining = iter(numbers)
    while group := list(itertools.islice(remaining, PIECES_IN_TRANSACTION)):
        yield group
