# SPDX-License-Identifier: Apache-2.0
"""Bisection leaves out what does harm and nothing else, within its limit; what it accepts has passed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enchanted.swarm.bisection import Bisection, Fate, Oracle, Trial, bisect
from enchanted.swarm.edits import Part
from enchanted.swarm.model import ACCEPTED, Check, PartNumber, Reason, Verdict

pytestmark = pytest.mark.feature("E-07")

PLENTY = 100_000


def make_parts(count: int) -> tuple[Part, ...]:
    return tuple(
        Part(PartNumber(number), 2 * number, 2 * number, b"", ("R",), "Change.")
        for number in range(1, count + 1)
    )


def failing(check: Check, subject: str) -> Verdict:
    return Verdict.failing(check, (Reason(check, subject, f"It fails: {subject}."),))


def harm(*sets: set[int], needs: dict[int, int] | None = None) -> Oracle:
    """An oracle whose tests fail when all of a set are in, and whose linter fails when a need is not in."""

    async def oracle(parts: tuple[Part, ...]) -> Verdict:
        present = {int(part.number) for part in parts}
        for one, needed in (needs or {}).items():
            if one in present and needed not in present:
                return failing(Check.LINT, f"{one} without {needed}")
        for group in sets:
            if group <= present:
                return failing(Check.TESTS, f"test of {sorted(group)}")
        return ACCEPTED

    return oracle


async def run(parts: tuple[Part, ...], oracle: Oracle, trials_max: int = PLENTY) -> Bisection:
    heard: list[Trial] = []

    async def on_trial(trial: Trial) -> None:
        heard.append(trial)

    found = await bisect(parts, oracle, on_trial=on_trial, trials_max=trials_max)
    assert tuple(heard) == found.trials
    assert [trial.number for trial in heard] == list(range(1, len(heard) + 1))
    taken = [part.number for part in found.accepted]
    assert sorted([*taken, *(left.part.number for left in found.left_out)]) == [part.number for part in parts]
    return found


def numbers(parts: tuple[Part, ...]) -> set[int]:
    return {int(part.number) for part in parts}


async def test_an_edit_without_harm_costs_one_question() -> None:
    found = await run(make_parts(20), harm())
    assert len(found.accepted) == 20
    assert len(found.trials) == 1


async def test_an_edit_without_parts_costs_nothing() -> None:
    assert await run((), harm()) == Bisection((), (), (), limit_reached=False)


@given(st.integers(1, 24).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(1, count)))))
async def test_exactly_the_parts_that_do_harm_alone_are_left_out(case: tuple[int, set[int]]) -> None:
    count, bad = case
    found = await run(make_parts(count), harm(*({number} for number in bad)))
    assert {int(left.part.number) for left in found.left_out} == bad
    for left in found.left_out:
        assert left.fate is Fate.HARMFUL
        assert left.together_with == ()
        assert left.reasons[0].subject == f"test of [{left.part.number}]"


_SETS = st.lists(st.sets(st.integers(1, 14), min_size=1, max_size=3), max_size=4)


@given(_SETS, st.dictionaries(st.integers(1, 14), st.integers(1, 14), max_size=4))
async def test_what_is_accepted_has_passed_as_it_is(sets: list[set[int]], needs: dict[int, int]) -> None:
    oracle = harm(*sets, needs=needs)
    found = await run(make_parts(14), oracle)
    assert (await oracle(found.accepted)).accepted
    passed = {trial.parts for trial in found.trials if trial.verdict.accepted}
    assert not found.accepted or tuple(part.number for part in found.accepted) in passed


@given(_SETS)
async def test_of_parts_that_do_harm_together_only_one_is_lost(sets: list[set[int]]) -> None:
    oracle = harm(*sets)
    found = await run(make_parts(14), oracle)
    for left in found.left_out:
        with_it = tuple(sorted((*found.accepted, left.part), key=lambda part: part.number))
        assert not (await oracle(with_it)).accepted


@given(_SETS, st.integers(0, 12))
async def test_the_limit_of_trials_is_kept(sets: list[set[int]], limit: int) -> None:
    oracle = harm(*sets)
    found = await run(make_parts(14), oracle, trials_max=limit)
    assert len(found.trials) <= limit
    assert (await oracle(found.accepted)).accepted
    if not found.limit_reached:
        assert all(left.fate is Fate.HARMFUL for left in found.left_out)


async def test_a_part_that_merely_needs_another_is_not_blamed_for_a_failing_test() -> None:
    # 1 removes an import whose last use 2 rewrites; 3 breaks a test and has nothing to do with either.
    found = await run(make_parts(3), harm({3}, needs={1: 2}))
    assert numbers(found.accepted) == {1, 2}


async def test_a_part_that_needs_a_harmful_one_goes_with_it_and_says_why() -> None:
    found = await run(make_parts(3), harm({2}, needs={1: 2}))
    assert numbers(found.accepted) == {3}
    reasons = {int(left.part.number): left.reasons[0] for left in found.left_out}
    assert reasons[2].check is Check.TESTS
    assert reasons[1] == Reason(Check.LINT, "1 without 2", "It fails: 1 without 2.")


async def test_a_part_is_not_blamed_for_another_failure_of_the_same_check() -> None:
    # 3 needs the harmful 2, so the linter fails once 2 is out; 1 needs 9 and would fail it too, alone.
    found = await run(make_parts(9), harm({2}, needs={3: 2, 1: 9}))
    assert numbers(found.accepted) == {1, 4, 5, 6, 7, 8, 9}


async def test_a_rule_that_does_harm_everywhere_does_not_cost_what_others_did() -> None:
    parts = tuple(
        dataclasses.replace(part, rules=("good",) if part.number % 2 else ("bad", "also"))
        for part in make_parts(80)
    )
    found = await run(parts, harm(*({number} for number in range(2, 81, 2))), trials_max=30)
    assert found.limit_reached
    assert len(found.trials) == 30
    assert numbers(found.accepted) == set(range(1, 81, 2))


async def test_the_same_question_is_never_asked_twice() -> None:
    found = await run(make_parts(16), harm({3, 11}, {7}, needs={5: 3}))
    asked = [trial.parts for trial in found.trials]
    assert len(asked) == len(set(asked))


async def test_one_harmful_part_of_many_is_found_in_logarithmic_time() -> None:
    found = await run(make_parts(64), harm({41}))
    assert len(found.trials) <= 2 + 2 * 6
