# SPDX-License-Identifier: Apache-2.0
"""Telemetry: what a process writes down about itself, for whoever has to find out what happened.

One place sets up logging for every process, so that no line is lost in a format of its own and no secret is
written by one of them.
"""

from enchanted.telemetry.logs import configure_logs, redact

__all__ = ["configure_logs", "redact"]
