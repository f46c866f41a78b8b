# SPDX-License-Identifier: Apache-2.0
"""A room uses of another room only what it makes public."""

from __future__ import annotations

import pytest

from tests.house_rules.rules.foreign_insides import ForeignInsides
from tests.unit.house_rules.conftest import BrokenLines

SERVICE = "services/enchanted/jobs/service.py"


@pytest.mark.parametrize(
    "statement",
    [
        "from enchanted.history.records import append",
        "from enchanted.history import records",
        "import enchanted.history.model",
        "import enchanted.history.records as r",
        "from ..history.records import append",
        "from ..history import records",
        "from enchanted.keyspace.space import TenantSpace",
    ],
)
def test_every_way_into_the_insides_of_another_room_is_caught(
    broken_lines: BrokenLines, statement: str
) -> None:
    assert broken_lines(ForeignInsides(), SERVICE, statement) == [1]


@pytest.mark.parametrize(
    "statement",
    [
        "from enchanted.history import append_event",
        "import enchanted.history",
        "from enchanted.history import client",
        "from enchanted.history.client import HistoryClient",
        "from enchanted.keyspace import leases",
        "from enchanted.keyspace.leases import acquire",
        "from enchanted.generated.history.v1 import events_pb2",
        "from enchanted.jobs.records import claim",
        "from .records import claim",
        "import dulwich.repo",
    ],
)
def test_public_names_and_modules_clients_generated_code_and_the_own_room_are_spared(
    broken_lines: BrokenLines, statement: str
) -> None:
    assert broken_lines(ForeignInsides(), SERVICE, statement) == []


def test_only_the_composition_root_may_take_a_servicer(broken_lines: BrokenLines) -> None:
    statement = "from enchanted.history.service import HistoryServicer"
    assert broken_lines(ForeignInsides(), "services/enchanted/platform.py", statement) == []
    assert broken_lines(ForeignInsides(), "services/enchanted/cli/serve.py", statement) == [1]


def test_the_composition_root_writes_no_records(broken_lines: BrokenLines) -> None:
    statement = "from enchanted.history import records"
    assert broken_lines(ForeignInsides(), "services/enchanted/platform.py", statement) == [1]
