# SPDX-License-Identifier: Apache-2.0
"""Keys of jobs and tickets, written here and nowhere else.

Subspaces of a tenant (room 7)::

    job_project/(job)                        the project of a job, so that the job's record can be opened
    job/(job)                                JobRecord, sealed with the project's key
    project_job/(project, job)               jobs of a project, in order of their ids, which is time
    open_job/(project)                       the one unfinished job of a project
    queue/(job)                              jobs that need an agents' process
    ticket/(job, ticket)                     TicketRecord, sealed
    ticket_order/(job, order)                ticket at a place in the plan
    ready_ticket/(job, role, order)          tickets that can be claimed
    leased_ticket/(job, role, order)         tickets that agents hold
    planned_count/(job)                      how many tickets the job has
    finished_count/(job)                     how many of them are finished
    job_tip/(job)                            moves when there is more to claim, or the job's state changed
    artifact/(job, ticket, name_index)       ArtifactRecord, sealed
    summary/(job)                            JobSummary in chunks, sealed; the job's record has its headline
    artifact_piece/(project, content, piece) a piece of an artifact's content, sealed
    expiry_count/(job, ticket)               how often its holders fell silent in this agents' process

Subspaces of the hub (room 7)::

    work_tip                                 moves when a tenant's queue changed

Tickets past ``planned_count`` are written ahead by a plan that has not taken effect; nobody sees them.

The module is longer than most because the room has one table of keys and one place that touches them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from enchanted.generated.jobs.store.v1 import records_pb2 as store
from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs.model import ArtifactNotFoundError, JobNotFoundError, TicketNotFoundError
from enchanted.keyspace import Room, Sealing, Subspace, TenantSpace, Transaction, chunks, declare

_Value: TypeAlias = Any

ARTIFACT_PIECE_BYTES: Final = 80_000
PIECES_IN_TRANSACTION: Final = 8
_ONE: Final = (1).to_bytes(8, "little")


def _declared(
    code: int,
    name: str,
    key: tuple[str, ...],
    value: str,
    why: str,
    sealing: Sealing = Sealing.PLAIN,
    *,
    hub: bool = False,
) -> Subspace:
    return declare(Room.JOBS, code, name, key=key, value=value, sealing=sealing, why=why, hub=hub)


_COUNT: Final = "little-endian 64-bit count"
JOB_PROJECT = _declared(
    0, "job_project", ("job",), "project id", "Says whose key opens the job's records; holds ids only."
)
JOB = _declared(
    1,
    "job",
    ("job",),
    "JobRecord",
    "The job, with the reasons and the summary that agents wrote.",
    Sealing.CONTENT,
)
PROJECT_JOB = _declared(
    2, "project_job", ("project", "job"), "empty", "Lists a project's jobs; holds ids only."
)
OPEN_JOB = _declared(
    3, "open_job", ("project",), "job id", "Keeps a second job from moving the same head; holds ids only."
)
QUEUE = _declared(
    4, "queue", ("job",), "empty", "Jobs that need an agents' process, for the supervisor; holds ids only."
)
TICKET = _declared(
    5,
    "ticket",
    ("job", "ticket"),
    "TicketRecord",
    "The ticket, with title, resource and outcome that agents wrote.",
    Sealing.CONTENT,
)
TICKET_ORDER = _declared(
    6,
    "ticket_order",
    ("job", "order"),
    "ticket id",
    "Lists a job's tickets in the order of the plan; holds ids only.",
)
READY_TICKET = _declared(
    7,
    "ready_ticket",
    ("job", "role", "order"),
    "ticket id",
    "Finds what an agent of a role can claim, without opening tickets; holds ids only.",
)
LEASED_TICKET = _declared(
    8,
    "leased_ticket",
    ("job", "role", "order"),
    "ticket id",
    "Finds tickets whose holders may have vanished; holds ids only.",
)
PLANNED_COUNT = _declared(
    9, "planned_count", ("job",), _COUNT, "Makes a plan's tickets visible at once; a count."
)
FINISHED_COUNT = _declared(
    10,
    "finished_count",
    ("job",),
    _COUNT,
    "Counts finished tickets without contention between agents; a count.",
)
JOB_TIP = _declared(11, "job_tip", ("job",), _COUNT, "What waiting agents watch; a count.")
ARTIFACT = _declared(
    12,
    "artifact",
    ("job", "ticket", "name_index"),
    "ArtifactRecord",
    "What a ticket produced, under a stand-in for its name.",
    Sealing.CONTENT,
)
ARTIFACT_PIECE = _declared(
    13,
    "artifact_piece",
    ("project", "content", "piece"),
    "bytes",
    "Content of artifacts under a secret hash, written ahead.",
    Sealing.CONTENT,
)
SUMMARY = _declared(
    14,
    "summary",
    ("job", "chunk"),
    "JobSummary",
    "What a job changed and left out; grows with the project.",
    Sealing.CONTENT,
)
EXPIRY_COUNT = _declared(
    15,
    "expiry_count",
    ("job", "ticket"),
    _COUNT,
    "Counts holders of a ticket that fell silent since the agents' process started; a count.",
)
WORK_TIP = _declared(
    0, "work_tip", (), _COUNT, "Wakes supervisors when some tenant's queue changed; a count.", hub=True
)


# Jobs


def project_of(tr: Transaction, space: TenantSpace, job_id: str) -> str:
    """The project of a job. Transactional.

    Raises:
        JobNotFoundError: If there is no such job.
    """
    return _known_project(tr[space.key(JOB_PROJECT, job_id)], job_id)


def read_job(tr: Transaction, space: TenantSpace, job_id: str) -> store.JobRecord:
    """The job's record. Transactional.

    Raises:
        JobNotFoundError: If there is no such job.
    """
    project, sealed = tr[space.key(JOB_PROJECT, job_id)], tr[space.key(JOB, job_id)]
    return _open_job_record(space, job_id, _known_project(project, job_id), sealed)


def read_job_and_ticket(
    tr: Transaction, space: TenantSpace, job_id: str, ticket_id: str
) -> tuple[store.JobRecord, store.TicketRecord]:
    """Both records, read together. Transactional.

    Raises:
        JobNotFoundError: If there is no such job.
        TicketNotFoundError: If the job has no such ticket.
    """
    project = tr[space.key(JOB_PROJECT, job_id)]
    job, ticket = tr[space.key(JOB, job_id)], tr[space.key(TICKET, job_id, ticket_id)]
    record = _open_job_record(space, job_id, _known_project(project, job_id), job)
    return record, _open_ticket_record(space, record, ticket_id, ticket)


def write_job(tr: Transaction, space: TenantSpace, record: store.JobRecord) -> None:
    """Set the job's record. Transactional."""
    job = record.job
    tr[space.key(JOB, job.job_id)] = space.seal(JOB, job.project_id, job.job_id, record.SerializeToString())


def create_job(tr: Transaction, space: TenantSpace, record: store.JobRecord) -> None:
    """Write a new job with its indexes, and put it in the queue. Transactional; blind."""
    job = record.job
    tr[space.key(JOB_PROJECT, job.job_id)] = job.project_id.encode()
    tr[space.key(PROJECT_JOB, job.project_id, job.job_id)] = b""
    tr[space.key(OPEN_JOB, job.project_id)] = job.job_id.encode()
    tr[space.key(QUEUE, job.job_id)] = b""
    write_job(tr, space, record)


def close_job(tr: Transaction, space: TenantSpace, record: store.JobRecord) -> bool:
    """Write a job that has ended, and take it out of the queue; the project may have another. Transactional.

    Returns:
        Whether the tenant's queue is empty now.
    """
    job = record.job
    write_job(tr, space, record)
    tr.clear(space.key(OPEN_JOB, job.project_id))
    tr.clear(space.key(QUEUE, job.job_id))
    for index in (READY_TICKET, LEASED_TICKET, EXPIRY_COUNT):
        keys = space.range(index, job.job_id)
        tr.clear_range(keys.begin, keys.end)
    return not queued_jobs(tr, space, limit=1)


def write_summary(tr: Transaction, space: TenantSpace, job: store.JobRecord, summary: v1.JobSummary) -> None:
    """Keep what a job did; its headline goes into the record, which is changed. Transactional; blind."""
    job_id = job.job.job_id
    job.job.summary.headline = summary.headline
    sealed = space.seal(SUMMARY, job.job.project_id, job_id, summary.SerializeToString())
    chunks.write(tr, space, SUMMARY, (job_id,), sealed)


def read_job_in_full(tr: Transaction, space: TenantSpace, job_id: str) -> v1.Job:
    """The job with its whole summary. Transactional.

    Raises:
        JobNotFoundError: If there is no such job.
    """
    job = read_job(tr, space, job_id).job
    sealed = chunks.read(tr, space, SUMMARY, (job_id,))
    if sealed is not None:
        job.summary.ParseFromString(space.unseal(SUMMARY, job.project_id, job_id, sealed))
    return job


def open_job_of(tr: Transaction, space: TenantSpace, project_id: str) -> str:
    """The project's unfinished job, or an empty text. Transactional."""
    stored = tr[space.key(OPEN_JOB, project_id)]
    return bytes(stored).decode() if stored.present() else ""


def queued_jobs(tr: Transaction, space: TenantSpace, *, limit: int) -> list[str]:
    """Jobs that need an agents' process, oldest first. Transactional."""
    keys = space.range(QUEUE)
    return [
        str(space.elements(QUEUE, pair.key)[0]) for pair in tr.get_range(keys.begin, keys.end, limit=limit)
    ]


def list_jobs(
    tr: Transaction, space: TenantSpace, *, project_id: str, before: str, limit: int
) -> list[store.JobRecord]:
    """Jobs, newest first. Transactional.

    Args:
        tr: The transaction.
        space: The tenant's.
        project_id: Whose; empty for all projects.
        before: The last job of the page before; empty for the first page.
        limit: How many.
    """
    index, elements = (PROJECT_JOB, (project_id,)) if project_id else (JOB_PROJECT, ())
    keys = space.range(index, *elements)
    end = space.key(index, *elements, before) if before else keys.end
    found = tr.snapshot.get_range(keys.begin, end, limit=limit, reverse=True)
    job_ids = [str(space.elements(index, pair.key)[-1]) for pair in found]
    stored = [(job_id, tr[space.key(JOB_PROJECT, job_id)], tr[space.key(JOB, job_id)]) for job_id in job_ids]
    return [_open_job_record(space, id_, _known_project(project, id_), job) for id_, project, job in stored]


# Tickets


def read_tickets(
    tr: Transaction, space: TenantSpace, job: store.JobRecord, ticket_ids: Iterable[str]
) -> list[store.TicketRecord]:
    """Tickets of a job by id, read together. Transactional.

    Raises:
        TicketNotFoundError: If one is not there.
    """
    stored = [(ticket_id, tr[space.key(TICKET, job.job.job_id, ticket_id)]) for ticket_id in ticket_ids]
    return [_open_ticket_record(space, job, ticket_id, sealed) for ticket_id, sealed in stored]


def write_ticket(
    tr: Transaction, space: TenantSpace, job: store.JobRecord, record: store.TicketRecord
) -> None:
    """Set a ticket's record. Transactional."""
    ticket = record.ticket
    sealed = space.seal(TICKET, job.job.project_id, ticket.ticket_id, record.SerializeToString())
    tr[space.key(TICKET, ticket.job_id, ticket.ticket_id)] = sealed


def place_ticket(tr: Transaction, space: TenantSpace, record: store.TicketRecord) -> None:
    """Give a ticket its place in the order of the plan. Transactional; unseen until it is counted."""
    ticket = record.ticket
    tr[space.key(TICKET_ORDER, ticket.job_id, record.order)] = ticket.ticket_id.encode()


def list_tickets(
    tr: Transaction, space: TenantSpace, job: store.JobRecord, *, first: int, limit: int
) -> list[store.TicketRecord]:
    """Tickets from a place in the plan on. Transactional."""
    job_id = job.job.job_id
    last = min(planned_count(tr, space, job_id), first + limit)
    begin, end = (space.key(TICKET_ORDER, job_id, place) for place in (first, max(first, last)))
    found = [bytes(pair.value).decode() for pair in tr.snapshot.get_range(begin, end)]
    return read_tickets(tr, space, job, found)


def mark_ready(tr: Transaction, space: TenantSpace, record: store.TicketRecord) -> None:
    """Let agents of the ticket's role find it. Transactional; blind."""
    ticket = record.ticket
    tr[space.key(READY_TICKET, ticket.job_id, int(ticket.role), record.order)] = ticket.ticket_id.encode()


def mark_given_back(tr: Transaction, space: TenantSpace, record: store.TicketRecord) -> None:
    """Note that no agent has the ticket any more, and let others find it. Transactional; blind."""
    ticket = record.ticket
    tr.clear(space.key(LEASED_TICKET, ticket.job_id, int(ticket.role), record.order))
    mark_ready(tr, space, record)


def mark_leased(tr: Transaction, space: TenantSpace, record: store.TicketRecord) -> None:
    """Note that an agent has the ticket. Transactional; blind."""
    ticket = record.ticket
    tr.clear(space.key(READY_TICKET, ticket.job_id, int(ticket.role), record.order))
    tr[space.key(LEASED_TICKET, ticket.job_id, int(ticket.role), record.order)] = ticket.ticket_id.encode()


def mark_finished(tr: Transaction, space: TenantSpace, record: store.TicketRecord) -> None:
    """Take the ticket out of what can be claimed or expire, and count it. Transactional; blind."""
    ticket = record.ticket
    for index in (READY_TICKET, LEASED_TICKET):
        tr.clear(space.key(index, ticket.job_id, int(ticket.role), record.order))
    tr.add(space.key(FINISHED_COUNT, ticket.job_id), _ONE)


def first_ready(tr: Transaction, space: TenantSpace, job_id: str, roles: Sequence[int]) -> str:
    """The ticket of these roles that comes first in the plan and is ready, or an empty text.

    By snapshot: whoever takes it reads its record, and the record decides who was first.
    """
    ranges = [space.range(READY_TICKET, job_id, role) for role in roles]
    found = [tr.snapshot.get_range(keys.begin, keys.end, limit=1) for keys in ranges]
    pairs = [pair for pages in found for pair in pages]
    if not pairs:
        return ""
    first = min(pairs, key=lambda pair: int(space.elements(READY_TICKET, pair.key)[2]))
    return bytes(first.value).decode()


def leased(
    tr: Transaction, space: TenantSpace, job_id: str, roles: Sequence[int], *, limit: int
) -> list[str]:
    """Tickets of these roles that agents hold. By snapshot, as for :func:`first_ready`."""
    ranges = [space.range(LEASED_TICKET, job_id, role) for role in roles]
    found = [tr.snapshot.get_range(keys.begin, keys.end, limit=limit) for keys in ranges]
    return [bytes(pair.value).decode() for pages in found for pair in pages][:limit]


def planned_count(tr: Transaction, space: TenantSpace, job_id: str) -> int:
    """How many tickets the job has. Transactional."""
    return _count(tr[space.key(PLANNED_COUNT, job_id)])


def set_planned_count(tr: Transaction, space: TenantSpace, job_id: str, count: int) -> None:
    """Make the tickets up to a place in the plan visible. Transactional; blind."""
    tr[space.key(PLANNED_COUNT, job_id)] = count.to_bytes(8, "little")


def finished_count(tr: Transaction, space: TenantSpace, job_id: str) -> int:
    """How many of the job's tickets are finished. Transactional."""
    return _count(tr[space.key(FINISHED_COUNT, job_id)])


def count_expiry(tr: Transaction, space: TenantSpace, job_id: str, ticket_id: str) -> int:
    """Count that a ticket's holder fell silent; how many did in this agents' process. Transactional."""
    key = space.key(EXPIRY_COUNT, job_id, ticket_id)
    count = _count(tr[key]) + 1
    tr[key] = count.to_bytes(8, "little")
    return count


def forget_expiries(tr: Transaction, space: TenantSpace, job_id: str) -> None:
    """Count anew, for another agents' process. Transactional; blind."""
    keys = space.range(EXPIRY_COUNT, job_id)
    tr.clear_range(keys.begin, keys.end)


# Tips


def move_job_tip(tr: Transaction, space: TenantSpace, job_id: str) -> None:
    """Wake who waits for a ticket of the job or for its end. Transactional; blind."""
    tr.add(space.key(JOB_TIP, job_id), _ONE)


def job_tip(tr: Transaction, space: TenantSpace, job_id: str) -> bytes:
    """The tip as a waiter last saw it. By snapshot."""
    return _bytes(tr.snapshot[space.key(JOB_TIP, job_id)])


def move_work_tip(tr: Transaction, space: TenantSpace) -> None:
    """Wake supervisors. Transactional; blind."""
    tr.add(space.hub.key(WORK_TIP), _ONE)


# Artifacts


def content_id(space: TenantSpace, project_id: str, sha256: str) -> bytes:
    """Key of an artifact's pieces: the same content has the same, and it tells nobody what the content is."""
    return space.index_key("artifact", f"{project_id}\x00{sha256}")


def write_pieces(
    tr: Transaction,
    space: TenantSpace,
    project_id: str,
    content: bytes,
    numbered: Sequence[tuple[int, bytes]],
) -> None:
    """Write pieces of an artifact's content ahead. Transactional; blind, and the same whoever writes it.

    Each piece is sealed by itself, so that two writers of one content may overwrite each other's pieces.

    Args:
        tr: The transaction.
        space: The tenant's.
        project_id: Whose key seals them.
        content: From :func:`content_id`.
        numbered: Number and bytes of each piece; at most ``PIECES_IN_TRANSACTION``.
    """
    assert len(numbered) <= PIECES_IN_TRANSACTION, "pieces are written in bounded transactions"
    for number, piece in numbered:
        sealed = space.seal(ARTIFACT_PIECE, project_id, f"{content.hex()}/{number}", piece)
        tr[space.key(ARTIFACT_PIECE, project_id, content, number)] = sealed


def read_pieces(
    tr: Transaction, space: TenantSpace, project_id: str, content: bytes, numbers: Sequence[int]
) -> bytes:
    """Pieces of an artifact's content, joined. Transactional.

    Raises:
        SealBrokenError: If one was changed or is missing.
    """
    stored = [
        (number, tr.snapshot[space.key(ARTIFACT_PIECE, project_id, content, number)]) for number in numbers
    ]
    return b"".join(
        space.unseal(ARTIFACT_PIECE, project_id, f"{content.hex()}/{number}", _bytes(sealed))
        for number, sealed in stored
    )


def write_artifact(
    tr: Transaction, space: TenantSpace, job: store.JobRecord, ticket_id: str, record: store.ArtifactRecord
) -> None:
    """Name an artifact whose pieces were written. Transactional; blind."""
    key, place = _artifact_place(space, job, ticket_id, record.name)
    tr[key] = space.seal(ARTIFACT, job.job.project_id, place, record.SerializeToString())


def read_artifact(
    tr: Transaction, space: TenantSpace, job: store.JobRecord, ticket_id: str, name: str
) -> store.ArtifactRecord:
    """Where an artifact's content stands. Transactional.

    Raises:
        ArtifactNotFoundError: If the ticket has none of that name.
    """
    key, place = _artifact_place(space, job, ticket_id, name)
    stored = tr[key]
    if not stored.present():
        raise ArtifactNotFoundError(ticket_id, name)
    return store.ArtifactRecord.FromString(space.unseal(ARTIFACT, job.job.project_id, place, bytes(stored)))


def _artifact_place(space: TenantSpace, job: store.JobRecord, ticket_id: str, name: str) -> tuple[bytes, str]:
    index = space.index_key("artifact-name", f"{ticket_id}\x00{name}")
    return space.key(ARTIFACT, job.job.job_id, ticket_id, index), f"{ticket_id}/{index.hex()}"


def _known_project(stored: _Value, job_id: str) -> str:
    if not stored.present():
        raise JobNotFoundError(job_id)
    return bytes(stored).decode()


def _open_job_record(space: TenantSpace, job_id: str, project_id: str, sealed: _Value) -> store.JobRecord:
    return store.JobRecord.FromString(space.unseal(JOB, project_id, job_id, bytes(sealed)))


def _open_ticket_record(
    space: TenantSpace, job: store.JobRecord, ticket_id: str, sealed: _Value
) -> store.TicketRecord:
    if not sealed.present():
        raise TicketNotFoundError(job.job.job_id, ticket_id)
    return store.TicketRecord.FromString(space.unseal(TICKET, job.job.project_id, ticket_id, bytes(sealed)))


def _bytes(stored: _Value) -> bytes:
    return bytes(stored) if stored.present() else b""


def _count(stored: _Value) -> int:
    return int.from_bytes(_bytes(stored), "little")
