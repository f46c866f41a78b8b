# SPDX-License-Identifier: Apache-2.0
"""What every mutating call has: an id, what it asked for, and limits on what it may say.

A call that is repeated, because its answer was lost or its commit unknown, must change nothing; a call
without limits would write a transaction that the database refuses, and blame nobody.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import Message

from enchanted.generated.jobs.v1 import jobs_pb2 as v1
from enchanted.jobs import model
from enchanted.keyspace import TenantSpace, Transaction, idempotency
from enchanted.rpc import InvalidRequestError

_ID_CHARACTERS_MAX: Final = 128
_AGENT_ID: Final = re.compile(r"[A-Za-z0-9._@-]{1,100}")


@dataclass(frozen=True, slots=True)
class Call:
    """One mutating request.

    Attributes:
        request_id: Made by the caller; the same again is the same request.
        content: What tells it from other requests.
        now_us: UTC microseconds since 1970.
    """

    request_id: str
    content: bytes
    now_us: int


def call_of(request_id: str, request: Message, now_us: int) -> Call:
    """The call that a request makes.

    Raises:
        InvalidRequestError: If its id is missing or too long.
    """
    check_id("request_id", request_id)
    name = request.DESCRIPTOR.full_name.encode()
    return Call(request_id, name + b"\x00" + request.SerializeToString(deterministic=True), now_us)


def once(tr: Transaction, space: TenantSpace, call: Call, effect: Callable[[], bytes]) -> bytes:
    """What the effect answers, or what it answered the first time. Transactional.

    Args:
        tr: The transaction.
        space: The tenant's.
        call: The request.
        effect: Writes in ``tr``; answers ids and hashes only.

    Raises:
        RequestReusedError: If the id came before with another content.
    """
    earlier = idempotency.earlier_result(tr, space, call.request_id, call.content)
    if earlier is not None:
        return earlier
    result = effect()
    idempotency.remember(tr, space, call.request_id, call.content, result, call.now_us)
    return result


def answered(tr: Transaction, space: TenantSpace, call: Call) -> bytes | None:
    """What the call answered before, if it took effect. Transactional."""
    return idempotency.earlier_result(tr, space, call.request_id, call.content)


def check_id(field: str, text: str) -> None:
    """Refuse an id that is empty or longer than ids are.

    Raises:
        InvalidRequestError: Naming the field.
    """
    if not 0 < len(text) <= _ID_CHARACTERS_MAX or not text.isprintable():
        raise InvalidRequestError(f"{field} must have 1 to {_ID_CHARACTERS_MAX} printable characters")


def check_words(
    request: Message,
    decisions: Sequence[v1.Decision],
    *,
    apart_bytes: int = 0,
    bytes_max: int = model.WORDS_BYTES_MAX,
) -> None:
    """Refuse a call that says more than one transaction should hold.

    Args:
        request: The whole request.
        decisions: Those in it.
        apart_bytes: Size of what is bounded by itself: artifacts, files, a plan, a summary.
        bytes_max: How much the rest may be.

    Raises:
        InvalidRequestError: With the limit.
    """
    if request.ByteSize() - apart_bytes > bytes_max:
        raise InvalidRequestError(
            f"texts, decisions and diffs of this call may have {bytes_max} bytes together"
        )
    if len(decisions) > model.DECISIONS_MAX:
        raise InvalidRequestError(f"one call may carry at most {model.DECISIONS_MAX} decisions")
    for decision in decisions:
        _check_decision(decision)


def check_agent_id(agent_id: str) -> None:
    """Refuse an agent's name that could not stand in a commit or in a lease.

    Raises:
        InvalidRequestError: With what it takes.
    """
    if not _AGENT_ID.fullmatch(agent_id):
        raise InvalidRequestError("agent_id must have 1 to 100 letters, digits, '.', '_', '@' and '-'")


def check_text(field: str, text: str) -> None:
    """Refuse a text that is longer than a record should hold.

    Raises:
        InvalidRequestError: Naming the field.
    """
    if len(text) > model.TEXT_CHARACTERS_MAX:
        raise InvalidRequestError(f"{field} may have at most {model.TEXT_CHARACTERS_MAX} characters")


def check_artifacts(artifacts: Sequence[v1.Artifact]) -> int:
    """Refuse artifacts without distinct names or too large; their size in bytes otherwise.

    Raises:
        InvalidRequestError: With the limit.
    """
    names = {artifact.name for artifact in artifacts}
    if len(artifacts) > model.ARTIFACTS_MAX or len(names) != len(artifacts):
        raise InvalidRequestError(f"a call may carry {model.ARTIFACTS_MAX} artifacts, each with its own name")
    for artifact in artifacts:
        if not 0 < len(artifact.name) <= model.NAME_CHARACTERS_MAX:
            raise InvalidRequestError(
                f"an artifact's name must have 1 to {model.NAME_CHARACTERS_MAX} characters"
            )
        if len(artifact.content) > model.ARTIFACT_BYTES_MAX:
            raise InvalidRequestError(f"an artifact may have at most {model.ARTIFACT_BYTES_MAX} bytes")
    return sum(len(artifact.content) for artifact in artifacts)


def check_files(files: Sequence[v1.FileChange]) -> int:
    """Refuse no files, too many, or one twice; their size in bytes otherwise.

    Raises:
        InvalidRequestError: With the limit.
    """
    if not 0 < len(files) <= model.FILES_MAX:
        raise InvalidRequestError(f"an edit changes 1 to {model.FILES_MAX} files")
    if len({change.path for change in files}) != len(files):
        raise InvalidRequestError("an edit names each file once")
    return sum(len(change.content) for change in files)


def _check_decision(decision: v1.Decision) -> None:
    if decision.event_id:
        check_id("event_id", decision.event_id)
    confidence = decision.decision.confidence_score
    if math.isnan(confidence) or not 0.0 <= confidence <= 1.0:
        raise InvalidRequestError("confidence_score must be between 0 and 1")
