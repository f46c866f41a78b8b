# SPDX-License-Identifier: Apache-2.0
"""`import fdb` belongs to keyspace and `records.py`."""

from __future__ import annotations

import pytest

from tests.house_rules.rules.database_binding import DatabaseBinding
from tests.unit.house_rules.conftest import BrokenLines


@pytest.mark.parametrize(
    "statement",
    ["import fdb", "import fdb.tuple", "from fdb import transactional", "from fdb.tuple import pack as p"],
)
def test_every_way_to_import_the_binding_into_a_service_is_caught(
    broken_lines: BrokenLines, statement: str
) -> None:
    assert broken_lines(DatabaseBinding(), "services/enchanted/history/service.py", statement) == [1]


def test_an_import_inside_a_function_is_caught(broken_lines: BrokenLines) -> None:
    text = """
    def late() -> None:
        import fdb
    """
    assert broken_lines(DatabaseBinding(), "services/enchanted/platform.py", text) == [3]


@pytest.mark.parametrize(
    "path",
    [
        "services/enchanted/keyspace/embedded/engine.py",
        "services/enchanted/history/records.py",
        "tests/integration/keyspace/test_engine.py",
    ],
)
def test_keyspace_records_and_tests_may_import_the_binding(broken_lines: BrokenLines, path: str) -> None:
    assert broken_lines(DatabaseBinding(), path, "import fdb") == []


def test_a_module_that_only_begins_with_the_same_letters_is_spared(broken_lines: BrokenLines) -> None:
    assert broken_lines(DatabaseBinding(), "services/enchanted/history/service.py", "import fdbtools") == []
