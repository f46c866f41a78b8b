# SPDX-License-Identifier: Apache-2.0
"""One suite for every adapter of the store: views keep the state at which they were taken."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enchanted.keyspace.embedded.rocks import ANCHOR_AGE_SECONDS, POINT_CLEARS_MAX, RocksStore
from enchanted.keyspace.embedded.store import UNLIMITED, MemoryStore, Quota, Store, View

pytestmark = pytest.mark.feature("X-01")

EVERYTHING = Quota(UNLIMITED, UNLIMITED)
keys = st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=2).map(bytes)
batches = st.lists(
    st.tuples(
        st.lists(st.tuples(keys, keys).map(lambda pair: (min(pair), max(pair))), max_size=1),
        st.dictionaries(keys, st.none() | st.binary(max_size=3), max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)
KINDS = ["memory", "rocks"]


@contextmanager
def opened(kind: str, seconds: list[float]) -> Iterator[Store]:
    if kind == "memory":
        yield MemoryStore()
        return
    with tempfile.TemporaryDirectory() as folder:
        store = RocksStore(Path(folder), create=True, monotonic=lambda: seconds[0])
        yield store
        store.close()


def read_all(view: View, *, reverse: bool) -> list[tuple[bytes, bytes]]:
    return view.scan(b"", b"\xff", reverse=reverse, quota=EVERYTHING).pairs


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(taken=batches)
def test_a_view_shows_the_state_at_which_it_was_taken(
    kind: str, taken: list[tuple[list[tuple[bytes, bytes]], dict[bytes, bytes | None], bool]]
) -> None:
    seconds = [0.0]
    with opened(kind, seconds) as store:
        model: dict[bytes, bytes] = {}
        states = [(store.view(), dict(model))]
        for clears, changes, pause in taken:
            store.write(clears, changes.items(), ())
            store.sync()
            for begin, end in clears:
                model = {key: value for key, value in model.items() if not begin <= key < end}
            for key, value in changes.items():
                model.pop(key, None)
                if value is not None:
                    model[key] = value
            seconds[0] += ANCHOR_AGE_SECONDS if pause else 0.0
            states.append((store.view(), dict(model)))
        for view, state in states:
            assert read_all(view, reverse=False) == sorted(state.items())
            assert read_all(view, reverse=True) == sorted(state.items(), reverse=True)
            for key in sorted(model | state):
                assert view.get(key) == state.get(key)
            assert (
                view.scan(b"\x01", b"\x02", reverse=False, quota=Quota(1, UNLIMITED)).pairs
                == [pair for pair in sorted(state.items()) if b"\x01" <= pair[0] < b"\x02"][:1]
            )
        for view, _ in states:
            view.release()


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_cleared_range_is_gone_and_what_is_set_after_it_is_there(kind: str) -> None:
    with opened(kind, [0.0]) as store:
        many = [b"k%04d" % number for number in range(3 * POINT_CLEARS_MAX)]
        store.write((), [(key, b"v") for key in many], ())
        before = store.view()
        store.write([(b"k", b"l")], [(many[1], b"new")], ())
        after = store.view()
        assert [key for key, _ in read_all(before, reverse=False)] == many
        assert read_all(after, reverse=False) == [(many[1], b"new")]
        assert after.get(many[0]) is None
        before.release()
        after.release()


@pytest.mark.parametrize("kind", KINDS)
def test_the_engines_own_values_are_not_among_the_keys(kind: str) -> None:
    with opened(kind, [0.0]) as store:
        store.write((), (), [(b"versions", b"7")])
        view = store.view()
        assert store.read_meta(b"versions") == b"7"
        assert read_all(view, reverse=False) == []
        view.release()


def test_memory_forgets_values_that_no_view_sees() -> None:
    store = MemoryStore()
    views = []
    for number in range(1000):
        store.write((), [(b"key", b"%d" % number)], ())
        views.append(store.view())
        if len(views) > 2:
            views.pop(0).release()
    assert len(store._chains[b"key"]) < 8  # noqa: SLF001 - how much is kept is the point
