# SPDX-License-Identifier: Apache-2.0
"""Record functions take a space, never a tenant id."""

from __future__ import annotations

import pytest

from tests.house_rules.rules.tenant_parameter import TenantParameter
from tests.unit.house_rules.conftest import BrokenLines

RECORDS = "services/enchanted/history/records.py"


@pytest.mark.parametrize(
    "parameters",
    ["tr, tenant", "tr, tenant_id: str", "tr, /, tenant", "tr, *, tenant_id", "tr, *tenants"],
)
def test_a_parameter_named_for_a_tenant_is_caught(broken_lines: BrokenLines, parameters: str) -> None:
    assert broken_lines(TenantParameter(), RECORDS, f"def append({parameters}): ...") == [1]


@pytest.mark.parametrize(
    "annotation", ["TenantId", "TenantId | None", "'TenantId'", "list[keyspace.TenantId]"]
)
def test_a_tenant_id_under_another_name_is_caught_by_its_type(
    broken_lines: BrokenLines, annotation: str
) -> None:
    assert broken_lines(TenantParameter(), RECORDS, f"def append(tr, owner: {annotation}): ...") == [1]


def test_an_asynchronous_function_and_a_method_are_caught(broken_lines: BrokenLines) -> None:
    text = """
    async def append(tr, tenant_id): ...
    class Log:
        def read(self, tr, tenant_id): ...
    """
    assert broken_lines(TenantParameter(), RECORDS, text) == [2, 4]


def test_a_function_that_takes_a_space_is_spared(broken_lines: BrokenLines) -> None:
    text = "def append(tr: Transaction, space: TenantSpace, event: bytes) -> None: ..."
    assert broken_lines(TenantParameter(), RECORDS, text) == []


def test_private_functions_and_other_modules_are_spared(broken_lines: BrokenLines) -> None:
    assert broken_lines(TenantParameter(), RECORDS, "def _prefix(tenant_id): ...") == []
    assert broken_lines(TenantParameter(), "services/enchanted/gateway/app.py", "def f(tenant_id): ...") == []
