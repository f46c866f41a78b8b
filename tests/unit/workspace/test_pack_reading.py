# SPDX-License-Identifier: Apache-2.0
"""What Git packs is read whole; what is damaged or too large is refused before it grows."""

from __future__ import annotations

import contextlib
import hashlib
import random
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enchanted.workspace import pack_reading
from enchanted.workspace.model import InvalidPackError, ObjectId, PackTooLargeError
from enchanted.workspace.objects import ObjectKind, framed
from enchanted.workspace.pack_reading import PackReader

COMMIT, TREE, BLOB, OFS_DELTA, REF_DELTA = 1, 2, 3, 6, 7


def entry(kind: int, content: bytes, *, before: bytes = b"", size: int | None = None) -> bytes:
    size = len(content) if size is None else size
    first, size = size & 15, size >> 4
    header = bytearray([kind << 4 | first])
    while size:
        header[-1] |= 0x80
        header.append(size & 0x7F)
        size >>= 7
    return bytes(header) + before + zlib.compress(content)


def pack_of(*entries: bytes, count: int | None = None) -> bytes:
    body = b"PACK" + (2).to_bytes(4, "big") + (len(entries) if count is None else count).to_bytes(4, "big")
    body += b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


@contextlib.contextmanager
def reading(folder: Path, content: bytes) -> Iterator[PackReader]:
    path = folder / "pack"
    path.write_bytes(content)
    reader = PackReader(path)
    try:
        yield reader
    finally:
        reader.close()


def read_all(folder: Path, content: bytes) -> dict[ObjectId, tuple[ObjectKind, bytes]]:
    with reading(folder, content) as reader:
        return {found.object_id: (found.kind, found.content) for found in reader.objects()}


@pytest.mark.feature("E-03")
class TestGitsOwnPacks:
    def test_every_object_of_a_pack_with_deltas_is_read(self, tmp_path: Path) -> None:
        def git(*arguments: str, stdin: bytes = b"") -> bytes:
            return subprocess.run(
                ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments],
                cwd=tmp_path,
                check=True,
                capture_output=True,
                input=stdin,
            ).stdout

        git("init", "--quiet")
        lines = [f"line {number}\n" for number in range(2000)]
        for number in range(5):
            lines[number * 100] = f"changed {number}\n"
            (tmp_path / "file").write_text("".join(lines))
            git("add", ".")
            git("commit", "--quiet", "--message", str(number))
        packed = git("pack-objects", "--revs", "--stdout", "--delta-base-offset", stdin=b"HEAD\n")
        found = read_all(tmp_path, packed)
        listed = git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
        assert {found_id.hex().encode() for found_id in found} == set(listed)
        assert len(packed) < 40_000, "there are deltas in it"

    def test_a_delta_against_a_named_base_in_the_pack_is_resolved(self, tmp_path: Path) -> None:
        base = b"a" * 100
        name = hashlib.sha1(framed(ObjectKind.BLOB, base), usedforsecurity=False).digest()
        delta = bytes([100, 51, 0x90, 50, 1]) + b"b"
        found = read_all(tmp_path, pack_of(entry(REF_DELTA, delta, before=name), entry(BLOB, base)))
        assert (ObjectKind.BLOB, b"a" * 50 + b"b") in found.values()

    def test_an_empty_pack_has_no_objects(self, tmp_path: Path) -> None:
        assert read_all(tmp_path, pack_of()) == {}


@pytest.mark.feature("E-03")
class TestDamage:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"PACK",
            b"not a pack at all, but long enough to be one",
            pack_of(entry(BLOB, b"x"))[:-1],
            pack_of(entry(BLOB, b"x"), count=2),
            pack_of(entry(BLOB, b"x"), entry(BLOB, b"y"), count=1),
            pack_of(entry(BLOB, b"x", size=2)),
            pack_of(entry(BLOB, b"xx", size=1)),
            pack_of(entry(5, b"x")),
            pack_of(entry(0, b"x")),
            pack_of(entry(OFS_DELTA, b"\x01\x01\x01x", before=b"\x7f")),
            pack_of(entry(BLOB, b"x"), entry(OFS_DELTA, b"\x02\x01\x01x", before=b"\x0a")),
        ],
    )
    def test_a_damaged_pack_is_refused(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(InvalidPackError):
            read_all(tmp_path, content)

    def test_a_pack_that_needs_objects_from_elsewhere_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidPackError, match="complete"):
            read_all(tmp_path, pack_of(entry(REF_DELTA, b"\x01\x01\x01x", before=b"i" * 20)))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
    @given(st.integers(0, 10**6), st.integers(0, 255))
    def test_no_flipped_byte_is_read_as_something_else(
        self, tmp_path: Path, position: int, byte: int
    ) -> None:
        base = random.Random(1).randbytes(200)
        whole = pack_of(entry(BLOB, base), entry(BLOB, b"tree"))
        changed = bytearray(whole)
        changed[position % len(whole)] ^= byte
        if changed == whole:
            return
        with pytest.raises((InvalidPackError, PackTooLargeError)):
            read_all(tmp_path, bytes(changed))


@pytest.mark.feature("E-03")
class TestBombs:
    def test_an_object_that_says_it_is_too_large_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PackTooLargeError, match="100 MiB"):
            read_all(tmp_path, pack_of(entry(BLOB, b"x", size=(100 << 20) + 1)))

    def test_an_object_that_inflates_to_more_than_it_says_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidPackError):
            read_all(tmp_path, pack_of(entry(BLOB, bytes(50 << 20), size=100)))

    def test_a_delta_that_makes_too_much_is_refused_before_it_is_applied(self, tmp_path: Path) -> None:
        makes = (200 << 20).to_bytes(5, "little")
        size = bytearray()
        number = int.from_bytes(makes, "little")
        while number:
            size.append(number & 0x7F | 0x80)
            number >>= 7
        size[-1] &= 0x7F
        base = entry(BLOB, b"x")
        delta = entry(OFS_DELTA, b"\x01" + bytes(size) + b"\x01x", before=bytes([len(base)]))
        with pytest.raises(PackTooLargeError, match="100 MiB"):
            read_all(tmp_path, pack_of(base, delta))

    def test_many_objects_that_are_too_large_together_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pack_reading, "INFLATED_BYTES_MAX", 1000)
        with pytest.raises(PackTooLargeError, match="unfolds"):
            read_all(tmp_path, pack_of(*(entry(BLOB, bytes([number]) * 100) for number in range(11))))

    def test_too_many_objects_are_refused_by_their_count(self, tmp_path: Path) -> None:
        with pytest.raises(PackTooLargeError, match="million"):
            read_all(tmp_path, pack_of(count=1_000_001))
