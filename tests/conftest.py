# SPDX-License-Identifier: Apache-2.0
"""What all tests share: how hypothesis searches.

In CI the same examples are tried every time, so that a red run means a change and not luck; on a person's
machine each run tries others. A failure prints what reproduces it.
"""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("developer", print_blob=True, deadline=None)
settings.register_profile("ci", settings.get_profile("developer"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "developer")
