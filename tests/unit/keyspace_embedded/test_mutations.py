# SPDX-License-Identifier: Apache-2.0
"""Atomic mutations: what each leaves at a missing, shorter or longer value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.keyspace.embedded.errors import FDBError
from enchanted.keyspace.embedded.mutations import (
    READ_MODIFY_WRITE,
    VALUE_BYTES_MAX,
    MutationType,
    apply,
    fold,
    place_stamp,
    stamp,
)

pytestmark = pytest.mark.feature("X-01")

EXAMPLES = [
    (MutationType.ADD, None, b"\x01\x02", b"\x01\x02"),
    (MutationType.ADD, b"", b"\x01\x02", b"\x01\x02"),
    (MutationType.ADD, b"\xff", b"\x01\x00", b"\x00\x01"),
    (MutationType.ADD, b"\xff\xff", b"\x01\x00", b"\x00\x00"),
    (MutationType.ADD, b"\x01\x02\x03", b"\x01\x01", b"\x02\x03"),
    (MutationType.ADD, b"\x01", b"", b""),
    (MutationType.BIT_AND, None, b"\x0f", b"\x0f"),
    (MutationType.BIT_AND, b"", b"\x0f", b"\x00"),
    (MutationType.BIT_AND, b"\xff", b"\x0f\x0f", b"\x0f\x00"),
    (MutationType.BIT_AND, b"\xff\xff\xff", b"\x0f", b"\x0f"),
    (MutationType.BIT_OR, None, b"\x0f", b"\x0f"),
    (MutationType.BIT_OR, b"\xf0", b"\x0f\x0f", b"\xff\x0f"),
    (MutationType.BIT_OR, b"\xf0\xf0", b"\x0f", b"\xff"),
    (MutationType.BIT_XOR, None, b"\x0f", b"\x0f"),
    (MutationType.BIT_XOR, b"\xff", b"\x0f\x0f", b"\xf0\x0f"),
    (MutationType.BIT_XOR, b"\xff\xff", b"\x0f", b"\xf0"),
    (MutationType.APPEND_IF_FITS, None, b"b", b"b"),
    (MutationType.APPEND_IF_FITS, b"a", b"b", b"ab"),
    (MutationType.APPEND_IF_FITS, b"a", b"", b"a"),
    (MutationType.MAX, None, b"\x01", b"\x01"),
    (MutationType.MAX, b"\x02", b"\x01\x00", b"\x02\x00"),
    (MutationType.MAX, b"\x02", b"\x01\x01", b"\x01\x01"),
    (MutationType.MAX, b"\x02\x09", b"\x01", b"\x02"),
    (MutationType.MIN, None, b"\x01", b"\x01"),
    (MutationType.MIN, b"", b"\x01", b"\x00"),
    (MutationType.MIN, b"\x02", b"\x01\x01", b"\x02\x00"),
    (MutationType.MIN, b"\x02\x09", b"\x03", b"\x02"),
    (MutationType.BYTE_MIN, None, b"b", b"b"),
    (MutationType.BYTE_MIN, b"ab", b"b", b"ab"),
    (MutationType.BYTE_MIN, b"", b"b", b""),
    (MutationType.BYTE_MAX, None, b"b", b"b"),
    (MutationType.BYTE_MAX, b"ab", b"b", b"b"),
    (MutationType.BYTE_MAX, b"ba", b"b", b"ba"),
    (MutationType.COMPARE_AND_CLEAR, b"a", b"a", None),
    (MutationType.COMPARE_AND_CLEAR, b"a", b"b", b"a"),
    (MutationType.COMPARE_AND_CLEAR, None, b"b", None),
]


@pytest.mark.parametrize(
    ("operation", "existing", "operand", "expected"),
    EXAMPLES,
    ids=[f"{operation.name}-{existing!r}-{operand!r}" for operation, existing, operand, _ in EXAMPLES],
)
def test_a_mutation_leaves_what_the_api_documents(
    operation: MutationType, existing: bytes | None, operand: bytes, expected: bytes | None
) -> None:
    assert apply(operation, existing, operand) == expected


def test_append_keeps_the_value_when_the_sum_would_not_fit() -> None:
    full = b"a" * VALUE_BYTES_MAX
    assert apply(MutationType.APPEND_IF_FITS, full, b"b") == full
    assert apply(MutationType.APPEND_IF_FITS, full[1:], b"b") == full[1:] + b"b"


values = st.none() | st.binary(max_size=4)


@given(st.sampled_from(sorted(READ_MODIFY_WRITE)), values, st.binary(max_size=4), st.binary(max_size=4))
def test_folding_two_operands_changes_nothing(
    operation: int, existing: bytes | None, first: bytes, second: bytes
) -> None:
    folded = fold(operation, first, second)
    one_by_one = apply(operation, apply(operation, existing, first), second)
    assert folded is None or apply(operation, existing, folded) == one_by_one


def test_a_stamp_is_placed_at_the_position_given_after_the_bytes() -> None:
    parameter = b"ab" + b"\xff" * 10 + b"cd" + (2).to_bytes(4, "little")
    assert place_stamp(parameter, stamp(0x0102, 3)) == b"ab\0\0\0\0\0\0\x01\x02\x00\x03cd"


@pytest.mark.parametrize(
    "parameter", [b"", b"abc", b"\0" * 13, b"\0" * 10 + (1).to_bytes(4, "little"), b"\xff" * 14]
)
def test_a_stamp_that_does_not_fit_is_an_invalid_call(parameter: bytes) -> None:
    with pytest.raises(FDBError) as caught:
        place_stamp(parameter, stamp(1, 0))
    assert caught.value.code == 2000


@given(st.lists(st.tuples(st.integers(0, 2**60), st.integers(0, 65535)), min_size=2))
def test_stamps_sort_as_version_then_order(places: list[tuple[int, int]]) -> None:
    assert sorted(places) == sorted(places, key=lambda place: stamp(*place))
