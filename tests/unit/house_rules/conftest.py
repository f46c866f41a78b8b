# SPDX-License-Identifier: Apache-2.0
"""What the tests of house rules share: a way to ask a rule about a few lines of code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from textwrap import dedent

import pytest

from tests.house_rules.source import Names, Rule, parse

MODULES = (
    "enchanted",
    "enchanted.history",
    "enchanted.history.client",
    "enchanted.history.model",
    "enchanted.history.records",
    "enchanted.history.service",
    "enchanted.keyspace",
    "enchanted.keyspace.leases",
    "enchanted.keyspace.space",
    "enchanted.platform",
)
PUBLIC = ("enchanted.history.append_event", "enchanted.keyspace.leases", "enchanted.keyspace.TenantSpace")

BrokenLines = Callable[[Rule, str, str], list[int]]


@pytest.fixture
def broken_lines() -> BrokenLines:
    """Return a function that tells in which lines of a text, placed at a path, a rule is broken."""

    def ask(rule: Rule, path: str, text: str) -> list[int]:
        source = parse(PurePosixPath(path), dedent(text), Names(frozenset(MODULES), frozenset(PUBLIC)))
        return sorted(finding.line for finding in rule.check(source))

    return ask
