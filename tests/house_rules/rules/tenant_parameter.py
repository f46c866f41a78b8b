# SPDX-License-Identifier: Apache-2.0
"""No record function takes a tenant id.

A space can be had only from an authenticated principal. A record function that took an id instead would trust
whoever passes it, and one mixed-up argument would read another tenant's keys.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house_rules.source import Finding, Source

_NAMES = frozenset({"tenant", "tenant_id", "tenants", "tenant_ids"})


class TenantParameter:
    """Reports parameters of record functions that carry a tenant's id, by name or by type."""

    name = "tenant-parameter"

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding for each such parameter of a public function in a `records.py`."""
        if not source.inside or source.path.name != "records.py":
            return
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            for parameter in _parameters(node.args):
                if parameter.arg in _NAMES or _mentions_tenant_id(parameter.annotation):
                    yield Finding(
                        parameter.lineno,
                        f"record function {node.name} takes a tenant id as {parameter.arg}",
                        "take a TenantSpace, which only an authenticated Principal gets; its room is in it",
                    )


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    """Return all parameters of a function, of whatever kind."""
    starred = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]


def _mentions_tenant_id(annotation: ast.expr | None) -> bool:
    """Return whether an annotation names `TenantId`, also inside a string or another type."""
    return annotation is not None and "TenantId" in ast.unparse(annotation)
