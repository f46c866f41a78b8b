# SPDX-License-Identifier: Apache-2.0
"""A room uses of another room only what that room makes public.

Public are what a room's `__init__` lists in `__all__`, its `client`, and generated code. Reaching further
ties two rooms together where nobody looks, and a room's records could no longer change their keys alone. That
a room imports only rooms below it is a contract of import-linter; which modules it may import is this rule.
`platform.py` wires the rooms into a process, so it may take their servicers too.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.house_rules.source import GENERATED, PACKAGE, Finding, Imported, Source, imports

_PUBLIC = frozenset({"client"})
_COMPOSITION_ROOT = ("platform.py",)
_WIRED = frozenset({"client", "service"})


class ForeignInsides:
    """Reports imports of another room's modules."""

    name = "foreign-insides"

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding for each import of a module of another room that is not public."""
        if not source.inside:
            return
        allowed = _WIRED if source.inside == _COMPOSITION_ROOT else _PUBLIC
        for imported in imports(source):
            module = _foreign_module(source, imported)
            if module is not None and module.rpartition(".")[2] not in allowed:
                room = module.split(".")[1]
                yield Finding(
                    imported.line,
                    f"{module} is an inside of the room {room}",
                    f"import a public name from enchanted.{room}, or its client; what others need belongs "
                    f"in __all__ of the room's __init__",
                )


def _foreign_module(source: Source, imported: Imported) -> str | None:
    """Return the module inside another room that an import reaches, None if it reaches no such module."""
    module = imported.dotted if imported.dotted in source.names.modules else imported.module
    parts = module.split(".")
    if parts[0] != PACKAGE or len(parts) <= 2:
        return None
    if parts[1] in {GENERATED, source.room} or module in source.names.public:
        return None
    return module
