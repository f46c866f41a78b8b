# SPDX-License-Identifier: Apache-2.0
"""No `print` outside the command line.

A room that prints writes into the output of a command that somebody parses, and says nothing to the log.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.house_rules.source import Finding, Source


class Printing:
    """Reports calls of `print` in shipped code."""

    name = "print-call"

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding for each call of `print` outside `enchanted.cli`."""
        if not source.inside or source.room == "cli":
            return
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield Finding(
                    node.lineno,
                    "print is called outside the command line",
                    "log it with structlog, or return it and let enchanted.cli show it",
                )
