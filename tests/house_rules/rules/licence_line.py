# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence on its first line, and nothing more about it.

One line that tools read survives copying; a banner does not get read.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.house_rules.source import Finding, Source

_SPDX = "SPDX-License-Identifier: Apache-2.0"
_COMMENT = {".py": "# ", ".proto": "// "}


class LicenceLine:
    """Reports files whose first line is not the licence line."""

    name = "licence-line"

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding if the first line is anything else."""
        wanted = _COMMENT[source.path.suffix] + _SPDX
        if source.text.partition("\n")[0] != wanted:
            yield Finding(1, "the first line does not say the licence", f'make the first line "{wanted}"')
