# SPDX-License-Identifier: Apache-2.0
"""Keys are packed in keyspace and in `records.py` alone."""

from __future__ import annotations

import pytest

from tests.house_rules.rules.tuple_packing import TuplePacking
from tests.unit.house_rules.conftest import BrokenLines

SERVICE = "services/enchanted/history/service.py"


@pytest.mark.parametrize(
    "text",
    [
        "import fdb\nkey = fdb.tuple.pack((1, 2))",
        "import fdb.tuple as layer\nkey = layer.pack(parts)",
        "from fdb.tuple import pack\nkey = pack(parts)",
        "from fdb import tuple as layer\nkey = layer.unpack(key)",
    ],
)
def test_the_tuple_layer_is_caught_whatever_its_alias(broken_lines: BrokenLines, text: str) -> None:
    assert broken_lines(TuplePacking(), SERVICE, text) == [2]


@pytest.mark.parametrize(
    "call", ["space.pack((1, name))", "space.pack_with_versionstamp((1,))", "s.range((1,))"]
)
def test_packing_a_literal_tuple_with_a_subspace_is_caught(broken_lines: BrokenLines, call: str) -> None:
    assert broken_lines(TuplePacking(), SERVICE, f"key = {call}") == [1]


@pytest.mark.parametrize(
    "path", ["services/enchanted/keyspace/space.py", "services/enchanted/jobs/records.py"]
)
def test_keyspace_and_records_may_pack(broken_lines: BrokenLines, path: str) -> None:
    assert broken_lines(TuplePacking(), path, "import fdb\nkey = fdb.tuple.pack((1, 2))") == []


@pytest.mark.parametrize("call", ["struct.pack('>Q', 1)", "space.key(EVENTS, 1)", "range(3)"])
def test_other_packing_is_spared(broken_lines: BrokenLines, call: str) -> None:
    assert broken_lines(TuplePacking(), SERVICE, f"import struct\nkey = {call}") == []
