# SPDX-License-Identifier: Apache-2.0
"""The agents' process takes exactly the order that the hub gives, and says what is wrong with any other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm.agents.order import Order, OrderError, parse_order

FIELDS: dict[str, Any] = {
    "hub": "127.0.0.1:50051",
    "suite_seconds": 300,
    "job_id": "job_1",
    "project_id": "prj_1",
    "token": "t",
}


@pytest.mark.feature("E-07")
def test_an_order_is_read_as_it_was_written() -> None:
    assert parse_order(json.dumps(FIELDS).encode() + b"\n") == Order(**FIELDS)


@pytest.mark.feature("E-07")
@pytest.mark.parametrize("missing", sorted(FIELDS))
def test_an_order_without_one_of_its_fields_is_refused(missing: str) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != missing}
    with pytest.raises(OrderError, match=missing):
        parse_order(json.dumps(fields).encode())


@pytest.mark.feature("E-07")
@pytest.mark.parametrize("value", ["", 1, None, ["x"]])
def test_a_field_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(OrderError):
        parse_order(json.dumps({**FIELDS, "token": value}).encode())


@pytest.mark.feature("E-07")
@pytest.mark.parametrize("value", ["", "300", 0, -1, 1.5, True, None])
def test_a_limit_that_is_no_number_of_seconds_is_refused(value: object) -> None:
    with pytest.raises(OrderError, match="suite_seconds"):
        parse_order(json.dumps({**FIELDS, "suite_seconds": value}).encode())


@pytest.mark.feature("E-07")
@given(st.binary(max_size=200))
def test_anything_else_is_refused_with_a_sentence(line: bytes) -> None:
    with pytest.raises(OrderError, match=r"hub|fields|text"):
        parse_order(line)
