# SPDX-License-Identifier: Apache-2.0
"""House rules that no linter on the shelf knows, each a small rule with its own tests.

Run them with `python -m tests.house_rules`; `make lint` does. A finding says what to do instead, because a
rule that only forbids is worked around.
"""
