# SPDX-License-Identifier: Apache-2.0
"""Requests without a limit cannot be made, and errors say in one line what to do."""

from dataclasses import fields

import pytest

from enchanted.sandbox import Command, Limits, Obstacle, SandboxFailedError, SandboxUnavailableError

pytestmark = pytest.mark.feature("E-12")


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_every_limit_is_set_and_positive(name: str) -> None:
    assert getattr(Limits(), name) > 0
    with pytest.raises(AssertionError):
        Limits(**{name: 0})


def test_a_command_has_a_program() -> None:
    with pytest.raises(AssertionError):
        Command(())


@pytest.mark.parametrize("obstacle", Obstacle, ids=lambda obstacle: obstacle.name)
def test_what_is_in_the_way_is_one_line_that_says_what_to_do(obstacle: Obstacle) -> None:
    text = str(SandboxUnavailableError(obstacle, "what the system\nsaid"))
    assert "\n" not in text
    assert "install" in text or "allow" in text


def test_a_failure_names_what_it_is_about() -> None:
    assert str(SandboxFailedError("no such thing", "/work")) == "no such thing: /work"
    assert str(SandboxFailedError("no such thing")) == "no such thing"
