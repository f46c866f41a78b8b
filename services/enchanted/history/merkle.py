# SPDX-License-Identifier: Apache-2.0
"""The hash tree of RFC 6962 as pure functions: growing it, its proofs, and their verification.

A log whose entries can be changed without trace proves nothing; a tree that hashes in its own way can be
checked by nobody else. So the tree is the one that Certificate Transparency defined and others can verify.

Sources: RFC 6962 section 2.1 (tree, 2.1.1 audit paths, 2.1.2 consistency proofs); RFC 9162 sections 2.1.3.2
and 2.1.4.2 (the verification algorithms).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"

NodeAt = Callable[[int, int], bytes]
"""Hash of the perfect subtree at ``(level, index)``: of ``1 << level`` leaves, from ``index << level`` on."""


@dataclass(frozen=True, slots=True)
class Node:
    """Hash of the perfect subtree over ``1 << level`` leaves that begins at leaf ``index << level``."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree as far as it must be known to grow it.

    Attributes:
        size: Number of leaves.
        hashes: Hashes of the perfect subtrees on the right edge, largest first:
            one for each set bit of ``size``.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.hashes) != self.size.bit_count():
            raise ValueError("a frontier has one hash for each set bit of its size")

    def grow(self, leaf: bytes) -> tuple[Frontier, list[Node]]:
        """Append one leaf.

        Args:
            leaf: Hash of the leaf, from :func:`leaf_hash`.

        Returns:
            The larger tree's frontier, and the perfect subtrees that the leaf completed, itself first.
        """
        node = Node(0, self.size, leaf)
        completed = [node]
        hashes = list(self.hashes)
        while node.index & 1:
            node = Node(node.level + 1, node.index >> 1, node_hash(hashes.pop(), node.hash))
            completed.append(node)
        return Frontier(self.size + 1, (*hashes, node.hash)), completed

    def root(self) -> bytes:
        """Root of the tree (RFC 6962 section 2.1)."""
        if not self.hashes:
            return EMPTY_ROOT
        *larger, root = self.hashes
        for left in reversed(larger):
            root = node_hash(left, root)
        return root


def leaf_hash(entry: bytes) -> bytes:
    """Hash of an entry as a leaf."""
    return hashlib.sha256(_LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two subtrees."""
    return hashlib.sha256(_NODE + left + right).digest()


def inclusion_proof(index: int, size: int, node_at: NodeAt) -> list[bytes]:
    """Audit path of a leaf in the tree of ``size`` leaves (RFC 6962 section 2.1.1), lowest hash first.

    Raises:
        IndexError: If the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError("the tree has no such leaf")
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(_range_hash(middle, end, node_at))
            end = middle
        else:
            proof.append(_range_hash(begin, middle, node_at))
            begin = middle
    return proof[::-1]


def consistency_proof(first: int, second: int, node_at: NodeAt) -> list[bytes]:
    """Proof that the tree of ``second`` leaves begins with that of ``first`` (RFC 6962 section 2.1.2).

    The proof is empty where there is nothing to prove: for the empty tree, and for two equal sizes.

    Raises:
        IndexError: If the first tree is the larger one.
    """
    if not 0 <= first <= second:
        raise IndexError("the first tree is larger than the second")
    if first in (0, second):
        return []
    proof: list[bytes] = []
    begin, end, whole = 0, second, True
    while first != end:
        middle = begin + _split(end - begin)
        if first <= middle:
            proof.append(_range_hash(middle, end, node_at))
            end = middle
        else:
            proof.append(_range_hash(begin, middle, node_at))
            begin, whole = middle, False
    if not whole:
        proof.append(_range_hash(begin, end, node_at))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows the leaf at ``index`` in the tree with this root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the second tree begins with the first (RFC 9162 section 2.1.4.2).

    The two cases that the RFC leaves out, an empty first tree and equal sizes, take an empty proof.
    """
    if not 0 <= first <= second:
        return False
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    if first == second:
        return not proof and first_root == second_root
    if not proof:
        return False
    path = [first_root, *proof] if first.bit_count() == 1 else list(proof)
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first_result = second_result = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first_result = node_hash(sibling, first_result)
            second_result = node_hash(sibling, second_result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second_result = node_hash(second_result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and first_result == first_root and second_result == second_root


def _split(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << (size - 1).bit_length() - 1


def _range_hash(begin: int, end: int, node_at: NodeAt) -> bytes:
    """Root of some leaves; ``begin`` is a multiple of a power of two that is not below their number."""
    size = end - begin
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node_at(level, begin >> level)
    middle = begin + _split(size)
    return node_hash(_range_hash(begin, middle, node_at), _range_hash(middle, end, node_at))
