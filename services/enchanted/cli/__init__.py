# SPDX-License-Identifier: Apache-2.0
"""The `enchanted` command: everything that a person can do from a terminal, through the rooms' clients alone.

Data goes to standard output, talk to standard error; every command can answer in JSON; every failure is one
line, one hint and an exit code that is documented in ``docs/CLI.md``.
"""
