# SPDX-License-Identifier: Apache-2.0
"""What a hub answers to `git clone` and `git fetch`: Git's pack protocol over stateless HTTP requests.

dulwich (1.2) has a server for this. It reads one object a time, refuses to fetch into a shallow clone without
a new depth, and refuses a commit that was the head when the client asked and is not any more, which happens
all the time while agents work. So its packet lines and its pack writer are used, and the negotiation is here:
https://git-scm.com/docs/gitprotocol-pack, with ``multi_ack_detailed``, ``no-done``, ``side-band-64k`` and
``shallow``. The pack is streamed: no more than a batch of objects is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from dulwich.errors import GitProtocolError, HangupException
from dulwich.object_format import SHA1
from dulwich.pack import PackChunkGenerator, UnpackedObject
from dulwich.protocol import Protocol, pkt_line

from enchanted.workspace.commit_walk import Shallow, boundary, missing_commits, read_links
from enchanted.workspace.model import ObjectId, WorkspaceError
from enchanted.workspace.object_store import ObjectStore
from enchanted.workspace.objects import CommitLinks, ObjectKind, parse_id
from enchanted.workspace.trees import added_objects

AGENT: Final = b"agent=enchanted"
BRANCH: Final = b"refs/heads/main"
_FEATURES: Final = (
    b"multi_ack_detailed",
    b"no-done",
    b"side-band-64k",
    b"ofs-delta",
    b"no-progress",
    b"shallow",
    b"allow-tip-sha1-in-want",  # every state of the project was the tip once
    b"object-format=sha1",
)
_FLUSH: Final = b"0000"
_BAND_DATA: Final = b"\x01"
_BAND_FATAL: Final = b"\x03"
_BAND_BYTES_MAX: Final = 65_515
_HAVES_MAX: Final = 100_000

IsState = Callable[[set[ObjectId]], set[ObjectId]]


@dataclass(slots=True)
class FetchRequest:
    """What a client asks for.

    Attributes:
        wants: Commits.
        features: What it asked of the advertised features.
        shallow: Its commits without parents.
        depth: How deep the history shall be; 0 for all of it.
        haves: Groups of commits that it has, each ended by a flush.
        done: Whether it has said all.
    """

    wants: list[ObjectId] = field(default_factory=list)
    features: frozenset[bytes] = frozenset()
    shallow: set[ObjectId] = field(default_factory=set)
    depth: int = 0
    haves: list[list[ObjectId]] = field(default_factory=lambda: [[]])
    done: bool = False


class FetchRefusedError(Exception):
    """The request cannot be answered; the text goes to the client."""


def advertisement(head: ObjectId) -> Iterator[bytes]:
    """What there is to fetch: one branch, which is also the head."""
    features = b" ".join((*_FEATURES, b"symref=HEAD:" + BRANCH, AGENT))
    digits = head.hex().encode()
    yield pkt_line(b"# service=git-upload-pack\n")
    yield _FLUSH
    yield pkt_line(digits + b" HEAD\x00" + features + b"\n")
    yield pkt_line(digits + b" " + BRANCH + b"\n")
    yield _FLUSH


def parse_request(body: bytes) -> FetchRequest:
    """Read the body of a request.

    Raises:
        FetchRefusedError: If it is not of this protocol.
    """
    request = FetchRequest()
    lines = Protocol(BytesIO(body).read, None)  # type: ignore[arg-type]  # nothing is written through it
    try:
        while line := lines.read_pkt_line():
            _parse_wish(request, line.rstrip(b"\n"))
        while not request.done:
            _parse_have(request, lines.read_pkt_line())
    except HangupException:
        pass
    except (GitProtocolError, ValueError, AssertionError) as error:
        raise FetchRefusedError("the request is not of Git's pack protocol") from error
    return request


def answer(store: ObjectStore, head: ObjectId, request: FetchRequest, are_states: IsState) -> Iterator[bytes]:
    """The answer, piece by piece.

    Args:
        store: The project's objects.
        head: What is advertised.
        request: From :func:`parse_request`.
        are_states: Says which of some commits are those of states; these may be fetched too.
    """
    try:
        yield from _Fetch(store, request, _checked_wants(head, request, are_states)).answer()
    except (FetchRefusedError, WorkspaceError) as error:
        yield pkt_line(b"ERR " + str(error).encode())


class _Fetch:
    """One request, being answered."""

    def __init__(self, store: ObjectStore, request: FetchRequest, wants: list[ObjectId]) -> None:
        self._store = store
        self._request = request
        self._wants = wants
        self._cut: frozenset[ObjectId] = frozenset(request.shallow)
        self._common: list[ObjectId] = []

    def answer(self) -> Iterator[bytes]:
        if not self._wants:
            return
        if self._request.depth:
            yield from self._deepen()
        ready = False
        for number, group in enumerate(self._request.haves):
            for commit in self._known(group):
                self._common.append(commit)
                yield from self._acknowledge(commit, b"common")
            if number < len(self._request.haves) - 1:  # a flush ended the group
                ready = bool(self._common)
                if ready:
                    yield from self._acknowledge(self._common[-1], b"ready")
                yield pkt_line(b"NAK\n")
        if self._request.done or (ready and b"no-done" in self._request.features):
            yield pkt_line(_ack(self._common[-1]) if self._common else b"NAK\n")
            yield from self._banded(self._pack())

    def _deepen(self) -> Iterator[bytes]:
        reached = boundary(self._store, self._wants, self._request.depth)
        unshallow = self._request.shallow & reached.inside
        for commit in sorted(reached.cut - self._request.shallow):
            yield pkt_line(b"shallow " + commit.hex().encode() + b"\n")
        for commit in sorted(unshallow):
            yield pkt_line(b"unshallow " + commit.hex().encode() + b"\n")
        yield _FLUSH
        self._cut = frozenset(reached.cut | (self._request.shallow - unshallow))
        deeper = read_links(self._store, unshallow)
        self._wants += [parent for links in deeper.values() for parent in links.parents]

    def _known(self, group: list[ObjectId]) -> list[ObjectId]:
        present = self._store.present(group)
        known = [commit for commit in dict.fromkeys(group) if commit in present]
        return [commit for commit, opened in self._store.iterate(known) if opened.kind is ObjectKind.COMMIT]

    def _acknowledge(self, commit: ObjectId, how: bytes) -> Iterator[bytes]:
        if b"multi_ack_detailed" in self._request.features:
            yield pkt_line(_ack(commit, how))
        elif len(self._common) == 1 and how == b"common":
            yield pkt_line(_ack(commit))

    def _pack(self) -> Iterator[bytes]:
        there = frozenset(self._request.shallow)
        commits = missing_commits(self._store, self._wants, self._common, Shallow(self._cut, there))
        trees, blobs = added_objects(self._store, self._tree_pairs(commits))
        ids = [*commits, *trees, *blobs]
        objects = (
            UnpackedObject(opened.kind, decomp_chunks=[opened.content], sha=object_id)
            for object_id, opened in self._store.iterate(ids)
        )
        yield from PackChunkGenerator(SHA1, num_records=len(ids), records=objects)

    def _tree_pairs(self, commits: dict[ObjectId, CommitLinks]) -> Iterator[tuple[ObjectId | None, ObjectId]]:
        """Each commit's tree after that of its first parent, which the client has or gets too."""
        firsts = {
            commit: links.parents[0]
            for commit, links in commits.items()
            if links.parents and commit not in self._cut
        }
        edges = read_links(self._store, (parent for parent in firsts.values() if parent not in commits))
        for commit, links in commits.items():
            parent = firsts.get(commit)
            older = None if parent is None else (commits.get(parent) or edges[parent]).tree
            yield older, links.tree

    def _banded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if b"side-band-64k" not in self._request.features:
            yield from chunks
            return
        try:
            for piece in _pieces(chunks):
                yield pkt_line(_BAND_DATA + piece)
        except WorkspaceError as error:
            yield pkt_line(_BAND_FATAL + str(error).encode() + b"\n")
            return
        yield _FLUSH


def _checked_wants(head: ObjectId, request: FetchRequest, are_states: IsState) -> list[ObjectId]:
    others = {commit for commit in request.wants if commit != head}
    if others and are_states(others) != others:
        raise FetchRefusedError("only commits that are states of the project can be fetched")
    return list(dict.fromkeys(request.wants))


def _parse_wish(request: FetchRequest, line: bytes) -> None:
    word, _, value = line.partition(b" ")
    if word == b"want":
        digits, _, features = value.partition(b" ")
        if not request.wants:
            request.features = frozenset(features.split())
        request.wants.append(parse_id(digits))
    elif word == b"shallow":
        request.shallow.add(parse_id(value))
    elif word == b"deepen":
        request.depth = int(value)
    else:
        raise ValueError("unknown line", word)
    if request.depth < 0 or len(request.wants) + len(request.shallow) > _HAVES_MAX:
        raise ValueError("out of range")


def _parse_have(request: FetchRequest, line: bytes | None) -> None:
    if line is None:
        request.haves.append([])
        return
    word, _, value = line.rstrip(b"\n").partition(b" ")
    if word == b"done":
        request.done = True
    elif word == b"have" and len(request.haves[-1]) < _HAVES_MAX:
        request.haves[-1].append(parse_id(value))
    else:
        raise ValueError("unknown line", word)


def _ack(commit: ObjectId, how: bytes = b"") -> bytes:
    return b"ACK " + commit.hex().encode() + (b" " + how if how else b"") + b"\n"


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that fill a band's line."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= _BAND_BYTES_MAX:
            yield bytes(buffer[:_BAND_BYTES_MAX])
            del buffer[:_BAND_BYTES_MAX]
    if buffer:
        yield bytes(buffer)
