# SPDX-License-Identifier: Apache-2.0
"""The tree is RFC 6962's, and a proof verifies exactly if nothing in it was touched."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.history import merkle

pytestmark = pytest.mark.feature("E-02")

# Inputs and roots of the reference tests of Certificate Transparency (RFC 6962, section 2.1).
ENTRIES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
ENTRIES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

sizes = st.integers(1, 70)


def leaves(size: int) -> list[bytes]:
    return [merkle.leaf_hash(number.to_bytes(2, "big")) for number in range(size)]


def defined_root(hashes: list[bytes]) -> bytes:
    """The definition of section 2.1, word for word, as the oracle."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return merkle.node_hash(defined_root(hashes[:split]), defined_root(hashes[split:]))


class Tree:
    """A grown tree with all the perfect subtrees that growing it gave."""

    def __init__(self, size: int) -> None:
        self.frontier = merkle.Frontier()
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.roots = [self.frontier.root()]
        for leaf in leaves(size):
            self.frontier, completed = self.frontier.grow(leaf)
            self.nodes.update({(node.level, node.index): node.hash for node in completed})
            self.roots.append(self.frontier.root())

    def node_at(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


@pytest.mark.parametrize("size", range(1, len(ENTRIES) + 1))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    frontier = merkle.Frontier()
    for entry in ENTRIES[:size]:
        frontier, _ = frontier.grow(merkle.leaf_hash(entry))
    assert frontier.root().hex() == ROOTS[size - 1]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.Frontier().root() == merkle.EMPTY_ROOT == defined_root([])


@given(st.integers(0, 70))
def test_growing_leaf_by_leaf_gives_the_defined_root(size: int) -> None:
    assert Tree(size).frontier.root() == defined_root(leaves(size))


@given(sizes)
def test_growing_completes_every_perfect_subtree_once_and_no_other(size: int) -> None:
    expected = {(level, index) for level in range(size.bit_length()) for index in range(size >> level)}
    assert set(Tree(size).nodes) == expected


def test_a_frontier_has_one_hash_for_each_set_bit() -> None:
    with pytest.raises(ValueError, match="each set bit"):
        merkle.Frontier(3, (bytes(32),))


@given(sizes, st.data())
def test_an_inclusion_proof_verifies_for_its_leaf(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(size)
    proof = merkle.inclusion_proof(index, size, tree.node_at)
    assert merkle.verify_inclusion(leaves(size)[index], index, size, proof, tree.frontier.root())


@given(sizes, st.data())
def test_a_touched_inclusion_proof_does_not_verify(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(size)
    leaf, root = leaves(size)[index], tree.frontier.root()
    proof = merkle.inclusion_proof(index, size, tree.node_at)
    assert not merkle.verify_inclusion(leaf, index, size, [*proof, bytes(32)], root)
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"other"), index, size, proof, root)
    assert not merkle.verify_inclusion(leaf, index, size, proof, bytes(32))
    assert not merkle.verify_inclusion(leaf, size, size, proof, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index) | st.just(-1))
    assert not merkle.verify_inclusion(leaf, other, size, proof, root)
    if proof:
        touched = data.draw(st.integers(0, len(proof) - 1))
        assert not merkle.verify_inclusion(leaf, index, size, proof[:touched] + proof[touched + 1 :], root)
        proof[touched] = bytes(32)
        assert not merkle.verify_inclusion(leaf, index, size, proof, root)


@given(sizes, st.data())
def test_a_consistency_proof_verifies_between_any_two_sizes(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size))
    tree = Tree(size)
    proof = merkle.consistency_proof(first, size, tree.node_at)
    assert merkle.verify_consistency(first, size, tree.roots[first], tree.roots[size], proof)


@given(sizes, st.data())
def test_a_touched_consistency_proof_does_not_verify(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, size))
    tree = Tree(size)
    first_root, root = tree.roots[first], tree.roots[size]
    proof = merkle.consistency_proof(first, size, tree.node_at)
    assert not merkle.verify_consistency(first, size, bytes(32), root, proof)
    assert not merkle.verify_consistency(first, size, first_root, root, [*proof, bytes(32)])
    assert not merkle.verify_consistency(size + 1, size, first_root, root, proof)
    if first:
        assert not merkle.verify_consistency(first, size, first_root, bytes(32), proof)
    if proof:
        touched = data.draw(st.integers(0, len(proof) - 1))
        shorter = proof[:touched] + proof[touched + 1 :]
        assert not merkle.verify_consistency(first, size, first_root, root, shorter)
        proof[touched] = bytes(32)
        assert not merkle.verify_consistency(first, size, first_root, root, proof)


@given(st.integers(2, 70), st.data())
def test_a_rewritten_tree_is_not_consistent_with_the_old_one(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, size))
    changed = data.draw(st.integers(0, first - 1))
    old, new = Tree(first), Tree(0)
    for number, leaf in enumerate(leaves(size)):
        written = merkle.leaf_hash(b"rewritten") if number == changed else leaf
        new.frontier, completed = new.frontier.grow(written)
        new.nodes.update({(node.level, node.index): node.hash for node in completed})
    proof = merkle.consistency_proof(first, size, new.node_at)
    assert not merkle.verify_consistency(first, size, old.roots[first], new.frontier.root(), proof)


def test_proofs_of_what_is_not_in_the_tree_are_refused() -> None:
    tree = Tree(3)
    with pytest.raises(IndexError):
        merkle.inclusion_proof(3, 3, tree.node_at)
    with pytest.raises(IndexError):
        merkle.consistency_proof(4, 3, tree.node_at)
