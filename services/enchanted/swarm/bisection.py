# SPDX-License-Identifier: Apache-2.0
"""Find the harmful parts of an edit, leave them out, keep the rest.

One bad hunk must not cost the twenty good ones beside it, nor may a person be told "the tests fail" without
being told which line did it. This is delta debugging, *ddmin* of A. Zeller and R. Hildebrandt, "Simplifying
and Isolating Failure-Inducing Input", IEEE Transactions on Software Engineering 28(2), 2002: a smallest set
of parts that still fails is condemned and left out, and the search goes on until what remains passes.

Two habits keep it honest:

- Parts depend on each other (an import is removed because its last use was rewritten). A subset that fails in
  another way than the whole set did is *unresolved*, as in the paper, not harmful: a removed import that
  merely fails the linter on its own is not blamed for a failing test.
- What is returned as accepted has itself passed the oracle, as one set, or is empty.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from enchanted.swarm.edits import Part
from enchanted.swarm.model import ACCEPTED, PartNumber, Reason, Verdict

TRIALS_MAX: Final = 96
"""Default limit of oracle calls for one edit."""

Oracle = Callable[[tuple[Part, ...]], Awaitable[Verdict]]
"""Judges a subset of the parts, given in order; cheap checks first is the oracle's business."""


class Fate(Enum):
    """Why a part was left out."""

    HARMFUL = "harmful"
    """It, or the smallest failing set it belongs to, was condemned."""
    UNDECIDED = "undecided"
    """The limit of trials was reached before it could be cleared."""
    UNGUARDED = "unguarded"
    """A program could observe it and no test would tell; never tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One question to the oracle, for the record.

    Args:
        number: from 1.
        parts: the parts that were tried, in order.
        verdict: the oracle's answer.
    """

    number: int
    parts: tuple[PartNumber, ...]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part that is not accepted.

    Args:
        part: the part.
        fate: condemned, or merely not cleared in time.
        together_with: the other parts of the smallest failing set; empty when it is harmful alone.
        reasons: the oracle's reasons against that set; empty when undecided.
    """

    part: Part
    fate: Fate
    together_with: tuple[PartNumber, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Bisection:
    """The outcome: every part of the edit is either accepted or left out.

    Args:
        accepted: passed the oracle together, or empty.
        left_out: the rest, in order.
        trials: every question that was asked, in order.
        limit_reached: whether the search stopped at its limit of trials.
    """

    accepted: tuple[Part, ...]
    left_out: tuple[LeftOut, ...]
    trials: tuple[Trial, ...]
    limit_reached: bool


OnTrial = Callable[[Trial], Awaitable[None]]
"""Told of every trial as soon as it is decided, so that it can be recorded."""


async def bisect(
    parts: Sequence[Part], oracle: Oracle, *, on_trial: OnTrial, trials_max: int = TRIALS_MAX
) -> Bisection:
    """Split an edit's parts into a set that passes and the harmful rest.

    Deterministic for a deterministic oracle. The first trial is always the whole set, so an edit without harm
    costs one question.

    Args:
        parts: the parts, in order.
        oracle: judges a subset.
        on_trial: awaited after every trial.
        trials_max: most questions to ask.
    """
    return await _Search(tuple(parts), oracle, on_trial, trials_max).run()


class _LimitReachedError(Exception):
    """The next question would pass the limit."""


class _Search:
    def __init__(self, parts: tuple[Part, ...], oracle: Oracle, on_trial: OnTrial, trials_max: int) -> None:
        self._parts = parts
        self._oracle = oracle
        self._on_trial = on_trial
        self._trials_max = trials_max
        self._trials_open = max(trials_max - 1, min(trials_max, 1))
        """One trial is kept for the end, unless it is the only one."""
        self._verdicts: dict[tuple[Part, ...], Verdict] = {(): ACCEPTED}
        self._trials: list[Trial] = []
        self._condemned: dict[PartNumber, LeftOut] = {}
        self._accepted: tuple[Part, ...] = ()

    async def run(self) -> Bisection:
        limit_reached = False
        try:
            await self._condemn_until_clean()
            await self._pardon()
        except _LimitReachedError:
            limit_reached = True
            await self._guess()
            self._accepted = max(self._accepted, self._largest_passing(), key=len)
        kept = {part.number for part in self._accepted}
        left_out = tuple(
            self._condemned.get(part.number) or LeftOut(part, Fate.UNDECIDED, (), ())
            for part in self._parts
            if part.number not in kept
        )
        return Bisection(self._accepted, left_out, tuple(self._trials), limit_reached)

    async def _condemn_until_clean(self) -> None:
        remaining = self._parts
        while not (verdict := await self._ask(remaining)).accepted:
            culprits = await self._smallest_failing(remaining, verdict)
            reasons = _reasons_shared(await self._ask(culprits), verdict)
            numbers = tuple(part.number for part in culprits)
            for part in culprits:
                others = tuple(number for number in numbers if number != part.number)
                self._condemned[part.number] = LeftOut(part, Fate.HARMFUL, others, reasons)
            remaining = tuple(part for part in remaining if part.number not in self._condemned)
        self._accepted = remaining

    async def _smallest_failing(self, failing: tuple[Part, ...], verdict: Verdict) -> tuple[Part, ...]:
        """Return a subset that fails in the same way and of which no single part can be spared (ddmin)."""
        current = failing
        pieces = 2
        while len(current) > 1:
            for candidate, next_pieces in _candidates(current, pieces):
                if (await self._ask(candidate)).fails_like(verdict):
                    current, pieces = candidate, next_pieces
                    break
            else:
                if pieces >= len(current):
                    break
                pieces = min(pieces * 2, len(current))
        return current

    async def _pardon(self) -> None:
        """Take back single parts of condemned sets that are harmless without their accomplices."""
        for part in self._parts:
            left_out = self._condemned.get(part.number)
            if left_out is None or not left_out.together_with:
                continue
            candidate = tuple(sorted((*self._accepted, part), key=lambda each: each.number))
            if (await self._ask(candidate)).accepted:
                self._accepted = candidate

    async def _guess(self) -> None:
        """With the reserved trial, leave out whatever a rule made that has done harm: the rest may well pass.

        Where one rule does harm in a hundred places, the limit is met long before the last of them, and
        without this everything that the other rules did would be lost.
        """
        suspects = {rule for left_out in self._condemned.values() for rule in left_out.part.rules}
        candidate = tuple(part for part in self._parts if suspects.isdisjoint(part.rules))
        self._trials_open = self._trials_max
        if len(self._trials) < self._trials_max:
            await self._ask(candidate)

    async def _ask(self, subset: tuple[Part, ...]) -> Verdict:
        if subset not in self._verdicts:
            if len(self._trials) >= self._trials_open:
                raise _LimitReachedError
            verdict = await self._oracle(subset)
            self._verdicts[subset] = verdict
            trial = Trial(len(self._trials) + 1, tuple(part.number for part in subset), verdict)
            self._trials.append(trial)
            await self._on_trial(trial)
        return self._verdicts[subset]

    def _largest_passing(self) -> tuple[Part, ...]:
        passing = [subset for subset, verdict in self._verdicts.items() if verdict.accepted]
        return max(passing, key=lambda subset: (len(subset), [-part.number for part in subset]))


def _candidates(current: tuple[Part, ...], pieces: int) -> list[tuple[tuple[Part, ...], int]]:
    """Subsets to try next, and the number of pieces to go on with when one of them fails (ddmin)."""
    chunks = _divide(current, pieces)
    candidates = [(chunk, 2) for chunk in chunks]
    if pieces > 2:  # noqa: PLR2004 - of two chunks each is the other's complement
        candidates += [(_without(current, chunk), pieces - 1) for chunk in chunks]
    return candidates


def _reasons_shared(culprits: Verdict, whole: Verdict) -> tuple[Reason, ...]:
    """Reasons that the whole set failed for too; not what else breaks when the culprits stand alone."""
    return tuple(each for each in culprits.reasons if each.symptom in whole.symptoms) or culprits.reasons


def _divide(parts: tuple[Part, ...], pieces: int) -> list[tuple[Part, ...]]:
    """Cut into `pieces` contiguous chunks of nearly equal, never zero, length."""
    size, larger = divmod(len(parts), pieces)
    chunks: list[tuple[Part, ...]] = []
    start = 0
    for index in range(pieces):
        end = start + size + (1 if index < larger else 0)
        chunks.append(parts[start:end])
        start = end
    return chunks


def _without(parts: tuple[Part, ...], chunk: tuple[Part, ...]) -> tuple[Part, ...]:
    left = set(chunk)
    return tuple(part for part in parts if part not in left)
