# SPDX-License-Identifier: Apache-2.0
"""The rules of the playbook ``modernize``: which ones, in which order, and how far each can be trusted.

The list names every rule instead of taking whole families, so that a new release of ruff cannot slip a
rewrite in that nobody here has judged. A rule is in when its *safe* fix is one that a reviewer would welcome:
shorter, older idiom gone, one statement at a time. Nothing sorts imports, changes quotes or lays code out
anew, and unsafe fixes are never applied.

Trust decides what happens in a repository without tests:

- ``PRESERVING``: the program cannot tell the difference, annotations and import-time names included.
- ``OBSERVABLE``: right in nearly every program, yet visible to one that looks: an annotation read at run time
  has another type, an import that someone relied on is gone, a mapping or an object of one's own answers
  another question. Only with tests as guard.

pyupgrade covers much of ruff's ``UP`` family; the single ruff rules go first because they say which rule
changed what, and pyupgrade then does what they leave (it counts as observable, since it does not say what it
did).

Source of codes and fix safety: ruff's rule documentation (``ruff rule CODE``), pyupgrade's README.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Trust(Enum):
    """Whether a program can observe that a rule was applied."""

    PRESERVING = "preserving"
    OBSERVABLE = "observable"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the playbook.

    Args:
        code: ruff's code, or ``pyupgrade``.
        trust: see the module.
        summary: what it does, as the imperative part of a sentence.
    """

    code: str
    trust: Trust
    summary: str


PYUPGRADE: Final = Rule("pyupgrade", Trust.OBSERVABLE, "rewrite older syntax by pyupgrade")

_PRESERVING: Final = {
    "UP003": "use the built-in type instead of type() of a literal",
    "UP004": "drop the needless object base class",
    "UP008": "use super() without arguments",
    "UP009": "drop the needless UTF-8 declaration",
    "UP010": "drop __future__ imports that are always on",
    "UP011": "drop the empty parentheses of lru_cache",
    "UP012": "use a bytes literal instead of encode",
    "UP015": "drop the default mode of open",
    "UP018": "use a literal instead of calling its type",
    "UP020": "use the built-in open",
    "UP021": "use text instead of universal_newlines",
    "UP025": "drop the needless u prefix of strings",
    "UP029": "drop imports of built-in names",
    "UP030": "use implicit positions in format strings",
    "UP031": "use str.format instead of percent formatting",
    "UP032": "use an f-string",
    "UP033": "use functools.cache",
    "UP034": "drop extraneous parentheses",
    "UP039": "drop empty parentheses after a class name",
    "UP041": "use TimeoutError instead of its aliases",
    "UP050": "drop the needless metaclass=type",
    "B013": "drop the tuple around a single exception",
    "B014": "drop duplicate exceptions from a handler",
    "B033": "drop duplicate items from a set",
    "C413": "drop the needless call around sorted",
    "C420": "use dict.fromkeys",
    "E703": "drop the needless semicolon",
    "E713": "use not in",
    "E714": "use is not",
    "F541": "drop the f prefix of a string without placeholders",
    "FURB167": "use the long name of a regular expression flag",
    "PIE790": "drop the needless pass or ellipsis",
    "PIE804": "use keyword arguments instead of a spread dict",
    "PIE808": "drop the needless start of range",
    "PLR0402": "use from-import instead of an alias",
    "PLR1711": "drop the useless return at the end",
    "RET501": "drop the explicit None of a return",
    "RUF010": "use a conversion flag in the f-string",
    "RUF019": "use dict.get instead of a check and a look-up",
    "SIM101": "merge isinstance calls",
    "SIM911": "use dict.items instead of zipping keys and values",
    "W605": "make the string raw, its escape is invalid",
}
_OBSERVABLE: Final = {
    "UP006": "use built-in generics in annotations",
    "UP007": "use X | Y in annotations",
    "UP045": "use X | None in annotations",
    "UP035": "import from where a name lives now",
    "UP037": "drop quotes around annotations",
    "UP043": "drop default type arguments",
    "UP013": "use the class form of TypedDict",
    "UP014": "use the class form of NamedTuple",
    "UP017": "use the alias datetime.UTC",
    "UP019": "use str instead of typing.Text",
    "UP005": "use the current unittest method names",
    "UP023": "use xml.etree.ElementTree",
    "UP026": "use unittest.mock instead of mock",
    "FURB188": "use removeprefix or removesuffix",
    "FURB129": "iterate over the file instead of readlines",
    "SIM118": "drop the needless .keys()",
    "PIE800": "drop the needless dict spread",
    "SIM910": "drop the default None of dict.get",
    "UP024": "use OSError instead of its aliases",
    "B009": "use attribute access instead of getattr with a constant",
    "B010": "use assignment instead of setattr with a constant",
    "F401": "drop unused imports",
}

RUFF_RULES: Final = (
    *(
        Rule(code, Trust.PRESERVING, summary)
        for code, summary in _PRESERVING.items()
        if code.startswith("UP")
    ),
    *(Rule(code, Trust.OBSERVABLE, summary) for code, summary in _OBSERVABLE.items() if code != "F401"),
    PYUPGRADE,
    *(
        Rule(code, Trust.PRESERVING, summary)
        for code, summary in _PRESERVING.items()
        if not code.startswith("UP")
    ),
    Rule("F401", Trust.OBSERVABLE, _OBSERVABLE["F401"]),
)
