# SPDX-License-Identifier: Apache-2.0
"""Counted things in sentences, said in one way everywhere."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """``1 change``, ``2 changes``; for nouns whose plural ends in s."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
