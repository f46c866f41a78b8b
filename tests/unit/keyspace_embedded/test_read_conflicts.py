# SPDX-License-Identifier: Apache-2.0
"""No read is left without a conflict: a write of others that would have changed its answer fails the commit.

The reads are the hard ones: ranges between selectors of any offset, limited, reversed, over own writes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enchanted.keyspace.embedded.engine import Engine
from enchanted.keyspace.embedded.errors import FDBError
from enchanted.keyspace.embedded.mutations import MutationType
from enchanted.keyspace.embedded.selectors import Selector
from enchanted.keyspace.embedded.store import UNLIMITED, MemoryStore, Quota
from enchanted.keyspace.embedded.transaction import TransactionState
from enchanted.keyspace.embedded.watches import WatchLimit

pytestmark = pytest.mark.feature("X-01")

KEYS = [bytes([letter]) for letter in b"abcdefgh"]
keys = st.sampled_from(KEYS)
selectors = st.builds(Selector.normal, keys, or_equal=st.booleans(), offset=st.integers(-3, 4))


@dataclass(frozen=True)
class Read:
    kind: str
    begin: Selector
    end: Selector
    limit: int = UNLIMITED
    reverse: bool = False


reads = st.builds(
    Read,
    st.sampled_from(["get", "get_key", "get_range"]),
    selectors,
    selectors,
    st.sampled_from([1, 2, 3, UNLIMITED]),
    st.booleans(),
)
own_writes = st.lists(st.tuples(st.sampled_from(["set", "clear", "range", "add"]), keys, keys), max_size=3)

ENGINE = Engine("conflicts", MemoryStore())


def transaction() -> TransactionState:
    return TransactionState(ENGINE, (), WatchLimit())


def write(tr: TransactionState, kind: str, key: bytes, end: bytes, value: bytes) -> None:
    if kind == "set":
        tr.set(key, value)
    elif kind == "clear":
        tr.clear(key)
    elif kind == "range":
        tr.clear_range(min(key, end), max(key, end))
    else:
        tr.atomic(MutationType.ADD, key, b"\x01")


def answer(tr: TransactionState, read: Read) -> object:
    if read.kind == "get":
        return tr.get(read.begin.base, snapshot=False)
    if read.kind == "get_key":
        return tr.get_key(read.begin, snapshot=False)
    quota = Quota(read.limit, UNLIMITED)
    return tr.get_range(read.begin, read.end, quota, reverse=read.reverse, snapshot=False)


def own(tr: TransactionState, taken: list[tuple[str, bytes, bytes]]) -> None:
    for kind, key, end in taken:
        write(tr, kind, key, end, b"own")


def store_only(stored: set[bytes]) -> None:
    setup = transaction()
    setup.clear_range(b"", b"\xff")
    for key in sorted(stored):
        setup.set(key, b"stored")
    setup.commit().outcome()


@settings(max_examples=60)
@given(st.sets(keys, max_size=6), own_writes, reads)
@example({b"a", b"c", b"d"}, [], Read("get_range", Selector(b"a", b"a", 3), Selector(b"h", b"h", 1)))
@example({b"a", b"c", b"d"}, [], Read("get_range", Selector(b"c", b"c", 0), Selector(b"h", b"h", 1)))
@example(
    {b"a", b"c", b"d", b"e"},
    [],
    Read("get_range", Selector(b"c", b"c", 1), Selector(b"a", b"a", 4)),
)
@example(
    {b"a", b"b", b"c", b"d"},
    [],
    Read("get_range", Selector(b"e", b"e\x00", -1), Selector(b"a", b"a", 4), 1, reverse=True),
)
def test_a_write_that_would_change_the_answer_makes_the_commit_fail(
    stored: set[bytes], taken: list[tuple[str, bytes, bytes]], read: Read
) -> None:
    singles = [(kind, key, key) for kind in ("set", "clear") for key in KEYS]
    spans = [("range", begin, end) for begin, end in itertools.combinations(KEYS, 2)]
    for other in singles + spans:
        store_only(stored)
        reader, writer, again = transaction(), transaction(), transaction()
        own(reader, taken)
        before = answer(reader, read)
        reader.set(b"zz", b"so that it is no read-only transaction")
        write(writer, *other, b"other")
        writer.commit().outcome()
        own(again, taken)
        if before == answer(again, read):
            continue
        with pytest.raises(FDBError) as caught:
            reader.commit().outcome()
        assert caught.value.code == 1020
