# SPDX-License-Identifier: Apache-2.0
"""Reads through the overlay against a plain dictionary to which the same writes were applied."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enchanted.keyspace.embedded.errors import FDBError
from enchanted.keyspace.embedded.mutations import READ_MODIFY_WRITE, apply
from enchanted.keyspace.embedded.overlay import Overlay
from enchanted.keyspace.embedded.ranges import key_after
from enchanted.keyspace.embedded.selectors import Reader, Selector
from enchanted.keyspace.embedded.store import UNLIMITED, MemoryStore, Quota

pytestmark = pytest.mark.feature("X-01")

END = b"\xff"
keys = st.lists(st.sampled_from([0, 1, 2, 255]), max_size=2).map(bytes).filter(lambda key: key < END)
values = st.binary(max_size=3)
stored = st.dictionaries(keys, values, max_size=8)


@dataclass(frozen=True)
class Write:
    kind: str
    key: bytes
    end: bytes = b""
    value: bytes = b""
    operation: int = 0


writes = st.lists(
    st.one_of(
        st.builds(Write, st.just("set"), keys, value=values),
        st.builds(Write, st.just("clear"), keys),
        st.builds(Write, st.just("clear_range"), keys, end=keys | st.just(END)),
        st.builds(
            Write,
            st.just("operate"),
            keys,
            value=values,
            operation=st.sampled_from(sorted(READ_MODIFY_WRITE)),
        ),
    ),
    max_size=10,
)


def apply_to_model(model: dict[bytes, bytes], write: Write) -> None:
    if write.kind == "set":
        model[write.key] = write.value
    elif write.kind == "clear":
        model.pop(write.key, None)
    elif write.kind == "clear_range":
        for key in [key for key in model if write.key <= key < write.end]:
            del model[key]
    else:
        value = apply(write.operation, model.get(write.key), write.value)
        if value is None:
            model.pop(write.key, None)
        else:
            model[write.key] = value


def apply_to_overlay(overlay: Overlay, write: Write) -> None:
    if write.kind == "set":
        overlay.set(write.key, write.value)
    elif write.kind == "clear":
        overlay.clear(write.key)
    elif write.kind == "clear_range":
        overlay.clear_range(write.key, write.end)
    else:
        overlay.operate(write.operation, write.key, write.value)


def reader_and_model(data: dict[bytes, bytes], taken: list[Write]) -> tuple[Reader, dict[bytes, bytes]]:
    store, overlay, model = MemoryStore(), Overlay(), dict(data)
    store.write((), data.items(), ())
    for write in taken:
        apply_to_overlay(overlay, write)
        apply_to_model(model, write)
    return Reader(store.view(), overlay, END), model


@given(stored, writes, keys)
def test_a_key_has_the_value_that_the_writes_give_it(
    data: dict[bytes, bytes], taken: list[Write], key: bytes
) -> None:
    reader, model = reader_and_model(data, taken)
    assert reader.get(key) == model.get(key)


@settings(max_examples=300)
@given(stored, writes, keys, keys | st.just(END), st.booleans(), st.integers(1, 12), st.integers(1, 60))
def test_a_range_holds_the_pairs_that_the_writes_leave(
    data: dict[bytes, bytes],
    taken: list[Write],
    begin: bytes,
    end: bytes,
    reverse: bool,  # noqa: FBT001 - given by a strategy
    pairs_max: int,
    size_bytes: int,
) -> None:
    reader, model = reader_and_model(data, taken)
    expected = sorted(((k, v) for k, v in model.items() if begin <= k < end), reverse=reverse)
    assert reader.scan(begin, end, reverse=reverse, quota=Quota(UNLIMITED, UNLIMITED)) == (expected, True)
    assert reader.scan(begin, end, reverse=reverse, quota=Quota(pairs_max, UNLIMITED)) == (
        expected[:pairs_max],
        len(expected) < pairs_max,
    )
    pairs, whole = reader.scan(begin, end, reverse=reverse, quota=Quota(UNLIMITED, size_bytes))
    assert pairs == expected[: len(pairs)]
    sizes = [len(key) + len(value) + 8 for key, value in pairs]
    assert whole == (sum(sizes) < size_bytes)
    assert whole or sum(sizes[:-1]) < size_bytes


@given(stored, writes, keys, st.booleans(), st.integers(-8, 8))
def test_a_selector_counts_the_keys_that_the_writes_leave(
    data: dict[bytes, bytes],
    taken: list[Write],
    key: bytes,
    or_equal: bool,  # noqa: FBT001 - given by a strategy
    offset: int,
) -> None:
    reader, model = reader_and_model(data, taken)
    start = key_after(key) if or_equal else key
    after = sorted(k for k in model if k >= start)
    before = sorted((k for k in model if k < start), reverse=True)
    if offset >= 1:
        expected = after[offset - 1] if offset <= len(after) else END
    else:
        expected = before[-offset] if -offset < len(before) else b""
    assert reader.resolve(Selector.normal(key, or_equal=or_equal, offset=offset)) == expected


@given(stored, writes, keys, keys)
def test_what_the_overlay_alone_answers_does_not_depend_on_what_is_stored(
    data: dict[bytes, bytes], taken: list[Write], begin: bytes, end: bytes
) -> None:
    overlay, other = Overlay(), MemoryStore()
    for write in taken:
        apply_to_overlay(overlay, write)
    other.write((), [(key, b"other") for key in data], ())
    reader, _ = reader_and_model(data, taken)
    elsewhere = Reader(other.view(), overlay, END)
    dependent = overlay.dependent_parts(begin, end)
    everything = Quota(UNLIMITED, UNLIMITED)

    def independent(pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [pair for pair in pairs if not any(low <= pair[0] < high for low, high in dependent)]

    here = reader.scan(begin, end, reverse=False, quota=everything).pairs
    there = elsewhere.scan(begin, end, reverse=False, quota=everything).pairs
    assert independent(here) == independent(there)


def stamped_value(head: bytes) -> bytes:
    return head + b"\xff" * 10 + len(head).to_bytes(4, "little")


def test_a_versionstamped_value_cannot_be_read_until_it_is_cleared() -> None:
    reader, _ = reader_and_model({b"a": b"1", b"c": b"3"}, [])
    overlay = reader.overlay
    assert overlay is not None
    overlay.set_stamped_value(b"b", stamped_value(b"v"))
    overlay.set(b"b", b"2")
    for read in (
        lambda: reader.get(b"b"),
        lambda: reader.scan(b"a", b"d", reverse=False, quota=Quota(UNLIMITED, UNLIMITED)),
        lambda: reader.resolve(Selector.normal(b"a", or_equal=False, offset=3)),
    ):
        with pytest.raises(FDBError) as caught:
            read()
        assert caught.value.code == 1036
    assert reader.scan(b"a", b"d", reverse=False, quota=Quota(1, UNLIMITED)).pairs == [(b"a", b"1")]
    overlay.clear(b"b")
    assert reader.get(b"b") is None


def test_the_keys_that_a_stamp_may_become_cannot_be_read() -> None:
    reader, _ = reader_and_model({b"e\x00": b"old", b"f": b"1"}, [])
    overlay = reader.overlay
    assert overlay is not None
    overlay.set_stamped_key(b"e" + b"\xff" * 10 + (1).to_bytes(4, "little"), b"new", 1 << 40, END)
    assert reader.get(b"e" + (1 << 39).to_bytes(8, "big")) is None
    with pytest.raises(FDBError):
        reader.get(b"e" + (1 << 41).to_bytes(8, "big") + b"\0\0")
    everything = Quota(UNLIMITED, UNLIMITED)
    with pytest.raises(FDBError):
        reader.scan(b"e", b"f", reverse=True, quota=everything)
    assert reader.scan(b"f", b"g", reverse=True, quota=everything).pairs == [(b"f", b"1")]
    overlay.clear_range(b"e", b"f")
    assert reader.scan(b"e", b"f", reverse=True, quota=everything).pairs == []
    assert not overlay.stamped
