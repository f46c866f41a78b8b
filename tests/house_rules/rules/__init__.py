# SPDX-License-Identifier: Apache-2.0
"""The rules, one a module."""

from tests.house_rules.rules.database_binding import DatabaseBinding
from tests.house_rules.rules.foreign_insides import ForeignInsides
from tests.house_rules.rules.impure_model import ImpureModel
from tests.house_rules.rules.licence_line import LicenceLine
from tests.house_rules.rules.printing import Printing
from tests.house_rules.rules.tenant_parameter import TenantParameter
from tests.house_rules.rules.tuple_packing import TuplePacking
from tests.house_rules.source import Rule

RULES: tuple[Rule, ...] = (
    DatabaseBinding(),
    ForeignInsides(),
    ImpureModel(),
    LicenceLine(),
    Printing(),
    TenantParameter(),
    TuplePacking(),
)

__all__ = ["RULES"]
