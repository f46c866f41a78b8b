# SPDX-License-Identifier: Apache-2.0
"""The command's entry, which loads everything else.

Loading takes a good part of a second; a Ctrl-C in it must end the command as quietly as at any other time, so
the loading itself is inside what answers to it.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command that the arguments name."""
    try:
        from enchanted.cli.application import build  # noqa: PLC0415 - see above

        build()()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
