# SPDX-License-Identifier: Apache-2.0
"""Checks that need no running: does the changed module parse, and is it no more wrong than before.

They cost milliseconds where the tests cost seconds, and they find what tests may never reach: a name that is
gone from a branch that no test runs. Only rules about correctness count, and only what is new; what the
stranger's code was warned of before is not the edit's fault. Unused imports are not among them: they are
untidy, not wrong.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from typing import Final

from enchanted.swarm.model import Check, ModulePath, PythonVersion, Reason
from enchanted.swarm.tools import Tools

CORRECTNESS_RULES: Final = ("E9", "F50", "F52", "F63", "F7", "F811", "F82")
"""ruff: syntax, format strings, comparisons and tuples that cannot be meant, names redefined or undefined."""


def check_syntax(path: ModulePath, data: bytes, target: PythonVersion) -> tuple[Reason, ...]:
    """Reasons against a module that `target` could not read; empty when it can.

    Args:
        path: the module.
        data: its new bytes.
        target: the lowest version it must run on.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data, filename=path, feature_version=(target.major, target.minor))
            # Parsing lets through what only the compiler refuses, such as "return" outside a function.
            compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        subject = f"{path}:{error.lineno}" if error.lineno else str(path)
        return (Reason(Check.SYNTAX, subject, f"It does not parse for Python {target}: {error.msg}."),)
    except (ValueError, RecursionError, MemoryError) as error:
        return (Reason(Check.SYNTAX, path, f"It cannot be parsed ({type(error).__name__})."),)
    return ()


async def check_lint(
    path: ModulePath, base: bytes, new: bytes, target: PythonVersion, tools: Tools
) -> tuple[Reason, ...]:
    """Diagnostics of the correctness rules that the base does not have.

    Args:
        path: the module.
        base: its bytes before, UTF-8.
        new: its bytes after, UTF-8.
        target: the lowest version it must run on.
        tools: where ruff is.

    Raises:
        ToolError: ruff failed.
    """
    is_package = path.rpartition("/")[2] == "__init__.py"
    before, after = [
        await tools.diagnose(data.decode("utf-8-sig"), target, CORRECTNESS_RULES, is_package=is_package)
        for data in (base, new)
    ]
    # Lines move with the edit, so a diagnostic is known by what it says.
    known = Counter((each.code, each.message) for each in before)
    reasons: list[Reason] = []
    for each in after:
        if known[each.code, each.message] > 0:
            known[each.code, each.message] -= 1
        else:
            reasons.append(Reason(Check.LINT, f"{path}:{each.line} {each.code}", f"{each.message}."))
    return tuple(reasons)
