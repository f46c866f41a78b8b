# SPDX-License-Identifier: Apache-2.0
"""`import fdb` only in keyspace and in `records.py`.

Code that can reach the binding can open a database and read another tenant's keys. With the binding in two
kinds of files only, those are the files to review.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.house_rules.source import Finding, Source, imports


class DatabaseBinding:
    """Reports imports of `fdb` where no keys are written."""

    name = "fdb-import"

    def check(self, source: Source) -> Iterator[Finding]:
        """Yield a finding for each import of `fdb` outside keyspace and `records.py`."""
        if not source.inside or source.room == "keyspace" or source.path.name == "records.py":
            return
        for imported in imports(source):
            if imported.module.partition(".")[0] == "fdb":
                yield Finding(
                    imported.line,
                    "fdb is imported outside keyspace and records.py",
                    "put a transactional function f(tr, space, …) into the room's records.py and run it with "
                    "Keyspace.run from enchanted.keyspace",
                )
