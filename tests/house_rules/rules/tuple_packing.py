# SPDX-License-Identifier: Apache-2.0
"""Keys are packed in keyspace and in `records.py` alone.

A key packed elsewhere is a key that the table of declared subspaces does not know: it is in no drawing, has
no sealing, and is forgotten by export and erasure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house_rules.source import Finding, Source, dotted_name, origins

_METHODS = frozenset({"pack", "pack_with_versionstamp", "range"})


class TuplePacking:
    """Reports uses of the tuple layer outside the files that own keys."""

    name = "tuple-packing"

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding for each packing of a tuple outside keyspace and `records.py`."""
        if not source.inside or source.room == "keyspace" or source.path.name == "records.py":
            return
        names = origins(source)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and _packs(node, names):
                yield Finding(
                    node.lineno,
                    "a key is packed outside keyspace and records.py",
                    "declare a subspace in the room's records.py and build the key there with space.key",
                )


def _packs(call: ast.Call, names: dict[str, str]) -> bool:
    """Return whether a call packs a tuple: by the layer's functions, or by `pack` of a literal tuple."""
    dotted = dotted_name(call.func, names)
    if dotted is not None and dotted.startswith("fdb.tuple."):
        return True
    literal = bool(call.args) and isinstance(call.args[0], ast.Tuple)
    return isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS and literal
