# SPDX-License-Identifier: Apache-2.0
"""A context pack holds one module's slice, keeps to its budget, says what it cut, and has one hash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm.context_pack import ContextPack, from_json_bytes, gather, to_json_bytes
from enchanted.swarm.edits import sha256_hex
from enchanted.swarm.model import ModulePath, PackError, PythonVersion, TreeError
from enchanted.swarm.modernize import Finding
from enchanted.swarm.repository import RepositoryView, survey

pytestmark = pytest.mark.feature("E-10")

SOURCE = "import fruit\n\nclass Basket:\n    def add(self):\n        pass\n\nasync def fill():\n    pass\n"
FINDINGS = (Finding("UP004", "drop the needless object base class", 2, (1, 3)),)
BASKET = ModulePath("basket.py")


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RepositoryView:
    root = tmp_path_factory.mktemp("tree")
    (root / "basket.py").write_text(SOURCE)
    (root / "fruit.py").write_text("")
    (root / "shop.py").write_text("import basket")
    (root / "tests").mkdir()
    for number in range(6):
        (root / "tests" / f"test_basket_{number}.py").write_text("import basket")
    (root / "tests" / "test_shop.py").write_text("import shop")
    (root / "tests" / "test_other.py").write_text("import os")
    return survey(root, running=PythonVersion(3, 11))


def test_a_pack_holds_what_matters_to_the_module(view: RepositoryView) -> None:
    pack = gather(view, BASKET, FINDINGS)
    assert pack.source_sha256 == sha256_hex(SOURCE.encode())
    assert [(each.kind, each.name, each.line, each.end_line) for each in pack.definitions] == [
        ("class", "Basket", 3, 5),
        ("function", "Basket.add", 4, 5),
        ("async function", "fill", 7, 8),
    ]
    assert pack.imports == ("fruit.py",)
    assert pack.importers == ("shop.py",)
    assert pack.tests == (*(f"tests/test_basket_{number}.py" for number in range(6)), "tests/test_shop.py")
    assert pack.findings == FINDINGS
    assert pack.cut == ()


def test_the_hash_is_that_of_the_canonical_bytes_and_repeats(view: RepositoryView) -> None:
    pack = gather(view, BASKET, FINDINGS)
    assert pack.sha256 == sha256_hex(to_json_bytes(pack)) == gather(view, BASKET, FINDINGS).sha256


@given(budget=st.integers(0, 500))
def test_a_pack_keeps_to_its_budget_and_accounts_for_every_item(view: RepositoryView, budget: int) -> None:
    whole = gather(view, BASKET, FINDINGS)
    pack = gather(view, BASKET, FINDINGS, token_budget=budget)
    smallest = gather(view, BASKET, FINDINGS, token_budget=0)
    assert pack.tokens <= max(budget, smallest.tokens + 1)
    dropped = {cut.section: cut.dropped for cut in pack.cut}
    for section in ("tests", "definitions", "importers", "imports", "findings"):
        full, kept = getattr(whole, section), getattr(pack, section)
        assert kept == full[: len(kept)]
        assert len(full) - len(kept) == dropped.get(section, 0)


def test_findings_are_the_last_to_be_cut(view: RepositoryView) -> None:
    pack = gather(view, BASKET, FINDINGS, token_budget=gather(view, BASKET, FINDINGS).tokens - 20)
    assert [cut.section for cut in pack.cut] == ["tests"]
    assert pack.findings == FINDINGS


def test_a_pack_survives_its_json(view: RepositoryView) -> None:
    pack = gather(view, BASKET, FINDINGS, token_budget=150)
    assert from_json_bytes(to_json_bytes(pack)) == pack


def damaged(pack: ContextPack) -> list[bytes]:
    data = to_json_bytes(pack)
    return [b"", b"null", b"[]", b"{}", data + b" ", data.replace(b'"cut":[]', b'"cut":[1]'), data[:-1]]


@pytest.mark.parametrize("index", range(7))
def test_bytes_that_are_no_canonical_pack_are_refused(view: RepositoryView, index: int) -> None:
    with pytest.raises(PackError):
        from_json_bytes(damaged(gather(view, BASKET, FINDINGS))[index])


def test_a_module_that_is_not_in_the_view_is_refused(view: RepositoryView) -> None:
    with pytest.raises(TreeError, match="no such module"):
        gather(view, ModulePath("nothing.py"), ())
