# SPDX-License-Identifier: Apache-2.0
"""Where untrusted code runs.

The tests of someone else's repository are someone else's program: they may hang, eat memory, look for
secrets or delete what they reach. This room runs one command with its own namespaces, the mounts it is
given, no network and a limit on everything, and answers with what came of it. It knows neither repositories
nor jobs, and imports no other room: whoever asks chooses the mounts and judges the outcome.
"""

from enchanted.sandbox.bubblewrap import BubblewrapSandbox, open_sandbox
from enchanted.sandbox.model import (
    Command,
    Ending,
    Limits,
    Mount,
    Obstacle,
    Outcome,
    Sandbox,
    SandboxError,
    SandboxFailedError,
    SandboxUnavailableError,
)
from enchanted.sandbox.python_environment import PythonEnvironment, find_python

__all__ = [
    "BubblewrapSandbox",
    "Command",
    "Ending",
    "Limits",
    "Mount",
    "Obstacle",
    "Outcome",
    "PythonEnvironment",
    "Sandbox",
    "SandboxError",
    "SandboxFailedError",
    "SandboxUnavailableError",
    "find_python",
    "open_sandbox",
]
