# SPDX-License-Identifier: Apache-2.0
"""The documentation is honest: links lead somewhere, and the commands it names exist."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from enchanted.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RECORDS = sorted(path for path in (ROOT / "docs/adr").glob("*.md") if path.name != "README.md")

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_OUTSIDE = re.compile(r"^(https?|mailto):")
_NAMED_TARGET = re.compile(r"(?:^|`)make ([a-z]+)", re.MULTILINE)
_DEFINED_TARGET = re.compile(r"^([a-z]+):(?!=)", re.MULTILINE)


def prose(document: Path) -> str:
    """Return the text of a document without its code blocks."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, made as Git hosts make them."""
    headings = (heading.lower() for heading in _HEADING.findall(prose(document)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(document: Path) -> Iterator[str]:
    """Yield the links of a document that lead to no file or heading of the repository."""
    for link in _LINK.findall(prose(document)):
        if _OUTSIDE.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def targets() -> set[str]:
    """Return the names of the Makefile's targets."""
    return set(_DEFINED_TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))


@pytest.mark.feature("V-10")
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_heading_that_exist(document: Path) -> None:
    assert list(broken_links(document)) == []


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# One Two\n[a](a.md#one-two) [b](b.md) [c](#three) [d](https://example.org)\n")
    assert list(broken_links(document)) == ["b.md", "#three"]


@pytest.mark.feature("V-10")
def test_the_hub_leads_to_every_document_of_its_folder() -> None:
    hub = ROOT / "docs/README.md"
    linked = {(hub.parent / link.partition("#")[0]).resolve() for link in _LINK.findall(prose(hub))}
    expected = {path for path in DOCUMENTS if path.is_relative_to(ROOT / "docs")} - {hub, *RECORDS}
    assert expected <= linked


@pytest.mark.feature("V-10")
def test_the_index_of_decisions_leads_to_every_record_and_numbers_are_unique() -> None:
    index = ROOT / "docs/adr/README.md"
    assert set(_LINK.findall(prose(index))) == {record.name for record in RECORDS}
    assert len({record.name[:4] for record in RECORDS}) == len(RECORDS)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_target_that_a_document_names_exists(name: str) -> None:
    named = set(_NAMED_TARGET.findall((ROOT / name).read_text(encoding="utf-8")))
    assert named
    assert named <= targets()


def test_every_target_is_in_the_readme_and_in_the_help() -> None:
    named = set(_NAMED_TARGET.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  make ([a-z]+) +\S", shown, re.MULTILINE))
    assert targets() == named == listed


def test_every_setting_is_in_the_readme_and_no_other() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named == {PREFIX + name.upper() for name in Settings.model_fields}
