# SPDX-License-Identifier: Apache-2.0
"""A room's model knows neither the time nor chance."""

from __future__ import annotations

import pytest

from tests.house_rules.rules.impure_model import ImpureModel
from tests.unit.house_rules.conftest import BrokenLines

MODEL = "services/enchanted/jobs/model.py"


@pytest.mark.parametrize(
    "statement",
    [
        "import time",
        "import random as dice",
        "from secrets import token_hex",
        "from time import monotonic",
        "from uuid import uuid4",
        "from os import urandom",
    ],
)
def test_importing_a_clock_or_randomness_is_caught(broken_lines: BrokenLines, statement: str) -> None:
    assert broken_lines(ImpureModel(), MODEL, statement) == [1]


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import datetime\nx = datetime.now()",
        "import datetime as dt\nx = dt.datetime.utcnow()",
        "from datetime import date as day\nx = day.today()",
        "import uuid\nx = uuid.uuid7()",
        "import os\nx = os.urandom(8)",
    ],
)
def test_using_a_clock_or_randomness_is_caught_whatever_its_alias(
    broken_lines: BrokenLines, text: str
) -> None:
    assert broken_lines(ImpureModel(), MODEL, text) == [2]


def test_a_clock_handed_on_without_a_call_is_caught(broken_lines: BrokenLines) -> None:
    text = "from datetime import datetime\nclock = datetime.now"
    assert broken_lines(ImpureModel(), MODEL, text) == [2]


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import UTC, datetime\nx = datetime.fromtimestamp(0, UTC)",
        "import uuid\nx = uuid.UUID(int=0)",
        "class Clock:\n    now = 0\nx = Clock.now",
    ],
)
def test_types_of_time_and_ids_are_spared(broken_lines: BrokenLines, text: str) -> None:
    assert broken_lines(ImpureModel(), MODEL, text) == []


def test_other_modules_of_a_room_may_know_the_time(broken_lines: BrokenLines) -> None:
    assert broken_lines(ImpureModel(), "services/enchanted/jobs/service.py", "import time") == []
