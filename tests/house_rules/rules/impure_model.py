# SPDX-License-Identifier: Apache-2.0
"""No wall clock and no randomness in `model.py`.

A model that asks for the time or rolls dice gives another answer on the second run of a retried transaction,
in a replay, and in a test.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house_rules.source import Finding, Source, dotted_name, imports, origins

_MODULES = frozenset({"random", "secrets", "time"})
_CALLS = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "os.getrandom",
        "os.urandom",
        "uuid.uuid1",
        "uuid.uuid4",
        "uuid.uuid6",
        "uuid.uuid7",
    }
)
_INSTEAD = "take what is needed as an argument: now_us: Callable[[], int] for time, an id made by the caller"


class ImpureModel:
    """Reports clocks and randomness in the pure part of a room."""

    name = "impure-model"

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding for each clock or source of randomness in a `model.py`."""
        if not source.inside or source.path.name != "model.py":
            return
        for imported in imports(source):
            if imported.module in _MODULES or imported.dotted in _CALLS:
                yield Finding(imported.line, f"model.py imports {imported.dotted}", _INSTEAD)
        names = origins(source)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and (dotted := dotted_name(node, names)) in _CALLS:
                yield Finding(node.lineno, f"model.py uses {dotted}", _INSTEAD)
