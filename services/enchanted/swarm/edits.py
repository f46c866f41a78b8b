# SPDX-License-Identifier: Apache-2.0
"""An edit as a set of independent parts on one base text.

A Critic that could only take or refuse a whole file would throw away twenty good changes for one bad one. So
an edit is a list of hunks that do not overlap: any subset can be applied to the base, in bytes,
and what is not part of a hunk survives exactly (line endings, encoding, byte order mark, a missing last
newline).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from enchanted.swarm.line_diff import unified_hunks
from enchanted.swarm.model import EditError, ModulePath, PartNumber

FORMAT: Final = "enchanted.swarm.edit/1"


@dataclass(frozen=True, slots=True)
class Part:
    """One hunk on the base text.

    Args:
        number: its number within the edit, from 1, in the order of lines.
        start_line: first replaced line of the base, from 1; for an insertion the line it goes before.
        end_line: last replaced line, inclusive; ``start_line - 1`` for an insertion.
        replacement: the bytes that take the lines' place, line endings included.
        rules: names of the rules that caused it, sorted.
        description: one sentence for people.
    """

    number: PartNumber
    start_line: int
    end_line: int
    replacement: bytes
    rules: tuple[str, ...]
    description: str

    def __post_init__(self) -> None:
        if self.start_line < 1 or self.end_line < self.start_line - 1:
            raise EditError("a part has an impossible line range", start=self.start_line, end=self.end_line)


@dataclass(frozen=True, slots=True)
class Edit:
    """A proposed change of one file.

    Args:
        path: the file.
        base_sha256: hex SHA-256 of the bytes that the parts' lines refer to.
        parts: hunks in the order of lines; they do not overlap.

    Raises:
        EditError: parts overlap or are not numbered from 1 in order.
    """

    path: ModulePath
    base_sha256: str
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        last = 0
        for number, part in enumerate(self.parts, start=1):
            if part.number != number:
                raise EditError("parts are not numbered in order", path=self.path, number=part.number)
            if part.start_line <= last:
                raise EditError("parts overlap", path=self.path, number=part.number)
            last = part.end_line


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the Coder expects of its edit; the Critic holds it to this.

    Args:
        parts: how many parts the edit has.
        result_sha256: hex SHA-256 of the file with all parts applied.
        tests_keep_passing: every test that passed before passes after.
        no_new_lint: no diagnostic of the correctness rules that was not there before.
        behaviour_preserving: no part changes what a program can observe, annotations included.
        rationale: one sentence.
    """

    parts: int
    result_sha256: str
    tests_keep_passing: bool
    no_new_lint: bool
    behaviour_preserving: bool
    rationale: str


def sha256_hex(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def split_lines(data: bytes) -> list[bytes]:
    r"""Split after each ``\n``, keeping it; ``b"".join`` gives the data back. A lone ``\r`` ends no line."""
    lines = data.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]]
    return [*whole, lines[-1]] if lines[-1] else whole


def apply(base: bytes, edit: Edit, parts: Iterable[Part] | None = None) -> bytes:
    """Apply some parts of an edit to its base.

    Args:
        base: the bytes that `edit` was made for.
        edit: the edit.
        parts: the parts to apply, in any order; all when `None`.

    Raises:
        EditError: `base` is not the edit's base, or a part is not of this edit.
    """
    if sha256_hex(base) != edit.base_sha256:
        raise EditError("the file is not the one this edit was made for; make the edit again", path=edit.path)
    chosen = edit.parts if parts is None else sorted(set(parts), key=lambda part: part.number)
    known = set(edit.parts)
    lines = split_lines(base)
    pieces: list[bytes] = []
    position = 0
    for part in chosen:
        if part not in known:
            raise EditError("the part does not belong to this edit", path=edit.path, number=part.number)
        if part.end_line > len(lines) or part.start_line > len(lines) + 1:
            raise EditError("the part lies outside the file", path=edit.path, number=part.number)
        pieces.extend(lines[position : part.start_line - 1])
        pieces.append(part.replacement)
        position = part.end_line
    pieces.extend(lines[position:])
    return b"".join(pieces)


def unified_diff(path: ModulePath, base: bytes, new: bytes) -> bytes:
    """Write the change as a patch that ``git apply`` takes; empty when nothing changed.

    Format: unified diff as of GNU diffutils, with Git's quoting of odd file names.
    """
    if base == new:
        return b""
    name = _git_quoted(path)
    headers = (_side("a/", name), _side("b/", name))
    hunks = unified_hunks(split_lines(base), split_lines(new))
    return b"".join((b"--- " + headers[0] + b"\n", b"+++ " + headers[1] + b"\n", *hunks))


def to_json_bytes(edit: Edit) -> bytes:
    """Canonical JSON of an edit: sorted keys, no spaces, UTF-8."""
    return _canonical(
        {
            "format": FORMAT,
            "path": edit.path,
            "base_sha256": edit.base_sha256,
            "parts": [
                {
                    "number": part.number,
                    "start_line": part.start_line,
                    "end_line": part.end_line,
                    "replacement": _encode(part.replacement),
                    "rules": list(part.rules),
                    "description": part.description,
                }
                for part in edit.parts
            ],
        }
    )


def from_json_bytes(data: bytes) -> Edit:
    """Read an edit back.

    Raises:
        EditError: the bytes are not an edit of this format.
    """
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise EditError("the edit has an unknown format", format=str(document["format"])[:40])
        return Edit(
            path=ModulePath(_text(document["path"])),
            base_sha256=_text(document["base_sha256"]),
            parts=tuple(_part(item) for item in document["parts"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EditError("the bytes are not an edit") from error


def _part(item: dict[str, object]) -> Part:
    rules = item["rules"]
    if not isinstance(rules, list):
        raise TypeError("rules")
    return Part(
        number=PartNumber(_integer(item["number"])),
        start_line=_integer(item["start_line"]),
        end_line=_integer(item["end_line"]),
        replacement=_decode(item["replacement"]),
        rules=tuple(_text(rule) for rule in rules),
        description=_text(item["description"]),
    )


def _encode(data: bytes) -> dict[str, str]:
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _decode(item: object) -> bytes:
    if not isinstance(item, dict):
        raise TypeError("replacement")
    if "text" in item:
        return _text(item["text"]).encode("utf-8")
    try:
        return base64.b64decode(_text(item["base64"]), validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("expected an integer")
    return value


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _git_quoted(path: str) -> bytes:
    """Return the path, C-quoted where Git would quote it (with ``core.quotePath`` off)."""
    raw = path.encode("utf-8", "surrogateescape")
    if not any(byte < 32 or byte in b'"\\\x7f' for byte in raw):  # noqa: PLR2004 - below 32 are control codes
        return raw
    quoted = b"".join(_quoted_byte(byte) for byte in raw)
    return b'"' + quoted + b'"'


def _quoted_byte(byte: int) -> bytes:
    if byte in b'"\\':
        return b"\\" + bytes([byte])
    return bytes([byte]) if 32 <= byte < 127 else b"\\%03o" % byte  # noqa: PLR2004 - printable ASCII


def _side(prefix: str, name: bytes) -> bytes:
    head = prefix.encode()
    return b'"' + head + name[1:] if name.startswith(b'"') else head + name
