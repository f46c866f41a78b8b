# SPDX-License-Identifier: Apache-2.0
"""A pipe keeps what came first and counts the rest, however it comes."""

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.sandbox.pipes import Pipe

pytestmark = pytest.mark.feature("E-12")


async def read_through_pipe(chunks: list[bytes], keep_bytes: int, flood_bytes: int) -> tuple[Pipe, bool]:
    """Write chunk by chunk, letting the loop read between; answers the closed pipe and whether it flooded."""
    reading, writing = os.pipe()
    pipe = Pipe(reading, keep_bytes, flood_bytes)
    for chunk in chunks:
        os.write(writing, chunk)
        await asyncio.sleep(0)
    flooded = pipe.flooded.done()
    os.close(writing)
    pipe.close()
    return pipe, flooded


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=8), st.integers(1, 100))
def test_the_first_bytes_are_kept_and_dropping_is_told(chunks: list[bytes], keep_bytes: int) -> None:
    whole = b"".join(chunks)
    pipe, _ = asyncio.run(read_through_pipe(chunks, keep_bytes, 1000))
    assert bytes(pipe.kept) == whole[:keep_bytes]
    assert pipe.truncated == (len(whole) > keep_bytes)


async def test_a_flood_is_noticed() -> None:
    _, flooded = await read_through_pipe([b"x" * 10, b"x" * 10, b"x", b"", b""], 5, 20)
    assert flooded


async def test_what_stays_below_the_limit_is_no_flood() -> None:
    _, flooded = await read_through_pipe([b"x" * 10, b"x" * 10, b"", b""], 5, 20)
    assert not flooded


async def test_the_first_line_is_known_as_soon_as_it_is_there() -> None:
    reading, writing = os.pipe()
    pipe = Pipe(reading, 100, 100)
    os.write(writing, b"one\ntw")
    assert await pipe.first_line == b"one"
    os.close(writing)
    pipe.close()


async def test_a_pipe_that_ends_without_a_line_has_an_empty_one() -> None:
    reading, writing = os.pipe()
    pipe = Pipe(reading, 100, 100)
    os.close(writing)
    assert await pipe.first_line == b""
    pipe.close()


async def test_a_pipe_that_someone_else_holds_open_can_be_closed() -> None:
    reading, writing = os.pipe()
    pipe = Pipe(reading, 100, 100)
    os.write(writing, b"last words")
    pipe.close()
    os.close(writing)
    assert bytes(pipe.kept) == b"last words"
