# SPDX-License-Identifier: Apache-2.0
"""Values over FoundationDB's limit of 100,000 bytes, as consecutive chunks below one key.

A value is complete when its first chunk's header and the others agree; a reader never takes half of one.
"""

from __future__ import annotations

from typing import Final

import fdb

from enchanted.keyspace.space import KeyElement, Space
from enchanted.keyspace.subspaces import Subspace

CHUNK_BYTES: Final = 90_000
VALUE_BYTES_MAX: Final = 8 << 20
_LENGTH_BYTES: Final = 8


def write(
    tr: fdb.Transaction, space: Space, subspace: Subspace, elements: tuple[KeyElement, ...], value: bytes
) -> None:
    """Set a value of any size up to 8 MiB. Transactional; an older value is replaced whole.

    Raises:
        ValueError: If the value is larger.
    """
    if len(value) > VALUE_BYTES_MAX:
        raise ValueError("the value is larger than chunked values may be", len(value))
    framed = len(value).to_bytes(_LENGTH_BYTES, "big") + value
    keys = space.range(subspace, *elements)
    tr.clear_range(keys.begin, keys.end)
    for number, start in enumerate(range(0, len(framed), CHUNK_BYTES)):
        tr[space.key(subspace, *elements, number)] = framed[start : start + CHUNK_BYTES]


def read(
    tr: fdb.Transaction, space: Space, subspace: Subspace, elements: tuple[KeyElement, ...]
) -> bytes | None:
    """The value, or ``None`` if there is none. Transactional.

    Raises:
        ValueError: If chunks are missing.
    """
    keys = space.range(subspace, *elements)
    framed = b"".join(pair.value for pair in tr.get_range(keys.begin, keys.end))
    if not framed:
        return None
    length, value = int.from_bytes(framed[:_LENGTH_BYTES], "big"), framed[_LENGTH_BYTES:]
    if len(value) != length:
        raise ValueError("a chunked value is not complete", len(value), length)
    return value


def clear(tr: fdb.Transaction, space: Space, subspace: Subspace, elements: tuple[KeyElement, ...]) -> None:
    """Remove a value. Transactional."""
    keys = space.range(subspace, *elements)
    tr.clear_range(keys.begin, keys.end)
