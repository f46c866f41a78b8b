# SPDX-License-Identifier: Apache-2.0
"""A sealed value opens in its own place with its own key, unchanged, and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.keyspace import FileKeyRing, Room, SealBrokenError, Sealing, Subspace, TenantId
from enchanted.keyspace.sealing import associated_data, open_sealed, seal

NOTES = Subspace(Room.BOARD, 900, "notes", ("id",), "bytes", Sealing.CONTENT, "A test's own.")
OTHERS = Subspace(Room.BOARD, 901, "others", ("id",), "bytes", Sealing.CONTENT, "A test's own.")
TENANT = TenantId("acme")
RING = FileKeyRing(b"k" * 32)


def sealed(plain: bytes, random_bytes: Callable[[int], bytes] = os.urandom) -> bytes:
    key = RING.content_key(TENANT, "prj_1")
    return seal(key, plain, associated_data(TENANT, NOTES, "note_1"), random_bytes)


@pytest.mark.feature("E-17")
@given(st.binary(max_size=4096))
def test_what_was_sealed_opens_to_the_same_bytes(plain: bytes) -> None:
    assert open_sealed(RING, TENANT, "prj_1", sealed(plain), (NOTES, "note_1")) == plain


@pytest.mark.feature("E-17")
@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_flipped_bit_anywhere_is_found(plain: bytes, data: st.DataObject) -> None:
    value = bytearray(sealed(plain))
    position = data.draw(st.integers(0, len(value) - 1))
    value[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SealBrokenError):
        open_sealed(RING, TENANT, "prj_1", bytes(value), (NOTES, "note_1"))


@pytest.mark.feature("E-17")
@given(st.integers(0, 200))
def test_a_value_cut_short_is_found(length: int) -> None:
    value = sealed(b"x" * 300, random_bytes=bytes)
    with pytest.raises(SealBrokenError):
        open_sealed(RING, TENANT, "prj_1", value[: min(length, len(value) - 1)], (NOTES, "note_1"))


@pytest.mark.feature("E-17")
@pytest.mark.parametrize(
    ("tenant", "scope", "place"),
    [
        pytest.param(TenantId("other"), "prj_1", (NOTES, "note_1"), id="another tenant"),
        pytest.param(TENANT, "prj_2", (NOTES, "note_1"), id="another project"),
        pytest.param(TENANT, "prj_1", (OTHERS, "note_1"), id="another subspace"),
        pytest.param(TENANT, "prj_1", (NOTES, "note_2"), id="another record"),
    ],
)
def test_a_value_moved_to_another_place_does_not_open(
    tenant: TenantId, scope: str, place: tuple[Subspace, str]
) -> None:
    with pytest.raises(SealBrokenError):
        open_sealed(RING, tenant, scope, sealed(b"words"), place)


@pytest.mark.feature("E-17")
def test_another_root_key_opens_nothing() -> None:
    with pytest.raises(SealBrokenError):
        open_sealed(FileKeyRing(b"q" * 32), TENANT, "prj_1", sealed(b"words"), (NOTES, "note_1"))


@pytest.mark.feature("E-17")
def test_the_same_words_are_sealed_differently_each_time() -> None:
    assert sealed(b"words") != sealed(b"words")


@pytest.mark.feature("E-17")
def test_repetitive_text_is_stored_smaller_than_it_is() -> None:
    assert len(sealed(b"enchanted " * 1000)) < 1000
