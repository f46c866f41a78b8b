# SPDX-License-Identifier: Apache-2.0
"""Check the repository against its house rules; exit 1 if any is broken."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.house_rules.repository import findings, sources
from tests.house_rules.rules import RULES


def main(root: Path) -> int:
    """Print one line a breach, `path:line: RULE message — what to do instead`, and return the exit code."""
    count = 0
    for source, rule, finding in findings(sources(root), RULES):
        count += 1
        sys.stdout.write(f"{source.path}:{finding.line}: {rule.name} {finding.message} — {finding.instead}\n")
    sys.stdout.write(f"House rules: {count} broken\n" if count else "House rules: all kept\n")
    return 1 if count else 0


if __name__ == "__main__":
    raise SystemExit(main(Path.cwd()))
