# SPDX-License-Identifier: Apache-2.0
"""Ids that callers make: prefixed, sortable by time, unguessable enough never to meet.

Made by the caller, an id makes a repeated request recognisable; made by the server, a lost answer would
leave the caller not knowing what it created.

Shape: ``prefix_`` and 26 characters of Crockford's base 32: 48 bits of milliseconds, then 80 random bits
(the layout of the ULID specification).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BYTES: Final = 10
_DIGITS: Final = 26


def new_id(prefix: str, now_us: int, random_bytes: Callable[[int], bytes]) -> str:
    """Make an id.

    Args:
        prefix: What it identifies, such as ``job`` or ``evt``.
        now_us: UTC microseconds since 1970.
        random_bytes: Randomness.
    """
    number = (now_us // 1000 & (1 << 48) - 1) << 80 | int.from_bytes(random_bytes(_RANDOM_BYTES), "big")
    return f"{prefix}_{_encode(number)}"


def derived_id(prefix: str, *parents: str) -> str:
    """Make the one id that follows from others, so that a repeated step finds what it made before."""
    digest = hashlib.sha256("\x00".join((prefix, *parents)).encode()).digest()
    return f"{prefix}_{_encode(int.from_bytes(digest[:16], 'big'))}"


def _encode(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_DIGITS - 1), -1, -5))
