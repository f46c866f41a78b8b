# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of atomic mutations, pure.

A mutation is evaluated twice: in the overlay when its own transaction reads the key, and in the committer
against the newest value. Were the two to differ by one byte at a missing, shorter or longer value, a
transaction would read what is never stored. So both call :func:`apply`, and nothing else knows the rules.

Source of the rules: the documentation of API 730's mutation types, and ``fdbclient/Atomic.h`` of FoundationDB
7.3 where the documentation is silent (empty operands, values of unequal length).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from enchanted.keyspace.embedded.errors import CLIENT_INVALID_OPERATION, FDBError

VALUE_BYTES_MAX: Final = 100_000
STAMP_BYTES: Final = 10
OFFSET_BYTES: Final = 4


class MutationType(IntEnum):
    """Codes of API 730; ``SET_VALUE`` and ``CLEAR_RANGE`` are what ``set`` and ``clear`` issue."""

    SET_VALUE = 0
    CLEAR_RANGE = 1
    ADD = 2
    BIT_AND = 6
    BIT_OR = 7
    BIT_XOR = 8
    APPEND_IF_FITS = 9
    MAX = 12
    MIN = 13
    SET_VERSIONSTAMPED_KEY = 14
    SET_VERSIONSTAMPED_VALUE = 15
    BYTE_MIN = 16
    BYTE_MAX = 17
    COMPARE_AND_CLEAR = 20


def _fitted(value: bytes, size: int) -> bytes:
    return value[:size].ljust(size, b"\0")


def _little(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _add(existing: bytes | None, operand: bytes) -> bytes:
    if not existing or not operand:
        return operand
    size = len(operand)
    total = _little(existing[:size]) + _little(operand)
    return (total & ((1 << (8 * size)) - 1)).to_bytes(size, "little")


def _and(existing: bytes | None, operand: bytes) -> bytes:
    if existing is None or not operand:
        return operand
    size = len(operand)
    return (_little(existing[:size]) & _little(operand)).to_bytes(size, "little")


def _or(existing: bytes | None, operand: bytes) -> bytes:
    size = len(operand)
    return (_little((existing or b"")[:size]) | _little(operand)).to_bytes(size, "little")


def _xor(existing: bytes | None, operand: bytes) -> bytes:
    size = len(operand)
    return (_little((existing or b"")[:size]) ^ _little(operand)).to_bytes(size, "little")


def _append_if_fits(existing: bytes | None, operand: bytes) -> bytes:
    if not existing:
        return operand
    return existing + operand if len(existing) + len(operand) <= VALUE_BYTES_MAX else existing


def _max(existing: bytes | None, operand: bytes) -> bytes:
    fitted = _fitted(existing or b"", len(operand))
    return fitted if _little(fitted) > _little(operand) else operand


def _min(existing: bytes | None, operand: bytes) -> bytes:
    if existing is None:
        return operand
    fitted = _fitted(existing, len(operand))
    return fitted if _little(fitted) < _little(operand) else operand


def _byte_min(existing: bytes | None, operand: bytes) -> bytes:
    return operand if existing is None else min(existing, operand)


def _byte_max(existing: bytes | None, operand: bytes) -> bytes:
    return operand if existing is None else max(existing, operand)


def _compare_and_clear(existing: bytes | None, operand: bytes) -> bytes | None:
    return None if existing == operand else existing


def _set_value(existing: bytes | None, operand: bytes) -> bytes:  # noqa: ARG001 - one shape for all rules
    return operand


_RULES: Final[dict[int, Callable[[bytes | None, bytes], bytes | None]]] = {
    MutationType.SET_VALUE: _set_value,
    MutationType.ADD: _add,
    MutationType.BIT_AND: _and,
    MutationType.BIT_OR: _or,
    MutationType.BIT_XOR: _xor,
    MutationType.APPEND_IF_FITS: _append_if_fits,
    MutationType.MAX: _max,
    MutationType.MIN: _min,
    MutationType.BYTE_MIN: _byte_min,
    MutationType.BYTE_MAX: _byte_max,
    MutationType.COMPARE_AND_CLEAR: _compare_and_clear,
}

READ_MODIFY_WRITE: Final = frozenset(_RULES) - {MutationType.SET_VALUE}
ATOMIC: Final = READ_MODIFY_WRITE | {
    MutationType.SET_VERSIONSTAMPED_KEY,
    MutationType.SET_VERSIONSTAMPED_VALUE,
}

# Folding two of these with operands of one length does what applying them in turn does, on any value.
_FOLDABLE: Final = frozenset(
    {
        MutationType.ADD,
        MutationType.BIT_AND,
        MutationType.BIT_OR,
        MutationType.BIT_XOR,
        MutationType.MAX,
        MutationType.MIN,
        MutationType.BYTE_MIN,
        MutationType.BYTE_MAX,
    }
)


def apply(operation: int, existing: bytes | None, operand: bytes) -> bytes | None:
    """Return the value that ``operation`` leaves, None when it leaves the key absent.

    Args:
        operation: A code of ``READ_MODIFY_WRITE`` or ``SET_VALUE``; the versionstamped types are not values
            before their commit and do not come here.
        existing: The value before, None when the key is absent.
        operand: The mutation's parameter.
    """
    return _RULES[operation](existing, operand)


def fold(operation: int, first: bytes, second: bytes) -> bytes | None:
    """Return one operand that does the work of ``first`` then ``second``, or None when there is none."""
    if operation in _FOLDABLE and len(first) == len(second):
        return _RULES[operation](first, second)
    return None


def stamp(version: int, order: int) -> bytes:
    """Return the ten bytes of a versionstamp: commit version and order in its batch, both big-endian."""
    return version.to_bytes(8, "big") + order.to_bytes(2, "big")


def stamp_offset(parameter: bytes) -> int:
    """Return where the stamp goes in a versionstamped key or value.

    Args:
        parameter: The bytes followed by the position as four little-endian bytes.

    Raises:
        FDBError: 2000 when the position leaves no room for ten bytes.
    """
    if len(parameter) < OFFSET_BYTES:
        raise FDBError(CLIENT_INVALID_OPERATION)
    offset = int.from_bytes(parameter[-OFFSET_BYTES:], "little", signed=True)
    if offset < 0 or offset + STAMP_BYTES > len(parameter) - OFFSET_BYTES:
        raise FDBError(CLIENT_INVALID_OPERATION)
    return offset


def place_stamp(parameter: bytes, stamp_bytes: bytes) -> bytes:
    """Return ``parameter`` without its position suffix and with ``stamp_bytes`` written at that position."""
    offset = stamp_offset(parameter)
    return parameter[:offset] + stamp_bytes + parameter[offset + STAMP_BYTES : -OFFSET_BYTES]
