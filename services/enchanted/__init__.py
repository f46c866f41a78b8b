# SPDX-License-Identifier: Apache-2.0
"""Enchanted: a software swarm in a glass box.

Each package below is a room with the same furniture (see `docs/ARCHITECTURE.md`). This file wires nothing:
importing the distribution must cost nothing, so that an agent's process loads only what it uses.
"""
