"""What is claimed, what was seen of it, and the verdict that follows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from packaging.version import Version

if TYPE_CHECKING:
    from tests.claims.bench import Bench
    from tests.claims.stacks import Stack

__all__ = [
    "LEDGER",
    "Case",
    "Claim",
    "NotAsked",
    "Seen",
    "Verdict",
    "case",
    "claim",
    "not_testable",
]

Observed = TypeVar("Observed")

_STEP = re.compile(r"(yes|no|-) (?:today|from (\w+) ([\d.]+))")


class Seen(StrEnum):
    """Whether a case of a claim was seen to hold."""

    YES = "yes"
    NO = "no"
    NOT_ASKED = "-"


class Verdict(StrEnum):
    """The words of lesson 11."""

    HOLDS = "holds"
    HOLDS_IF = "holds only if"
    WRONG = "wrong"
    OUTDATED = "outdated"
    NOT_TESTABLE = "not testable here"


class NotAsked(Exception):
    """These releases have nothing of which the question could be asked."""


@dataclass(frozen=True)
class Case:
    """One way to put a claim to the test.

    `history` says what is expected: "yes", or "no; yes from fastapi 0.106; no from fastapi 0.118",
    where each step holds from that release on ("yes today": on the releases that run this); "-" is
    where the question cannot be asked.
    """

    text: str
    observe: Callable[[Bench], Any]
    holds: Callable[[Any], bool]
    history: str

    def expected(self, stack: Stack) -> Seen:
        first, *steps = (part.strip() for part in self.history.split(";"))
        seen = Seen(first)
        for step in steps:
            match = _STEP.fullmatch(step)
            assert match, f"{step!r} is not of the form 'no from fastapi 0.118'"
            value, package, release = match.groups()
            if stack.release_of(package) >= Version(release) if package else not stack.pins:
                seen = Seen(value)
        return seen

    def look(self, bench: Bench) -> Seen:
        try:
            return Seen.YES if self.holds(bench.once(self.observe)) else Seen.NO
        except NotAsked:
            return Seen.NOT_ASKED


@dataclass(frozen=True)
class Claim:
    """One statement in our words, and the cases that decide about it."""

    name: str
    text: str
    verdict: Verdict
    cases: tuple[Case, ...]

    def verdict_on(self, stack: Stack) -> Verdict:
        """What follows from the cases on these releases; OUTDATED cannot follow from one stack."""
        if not self.cases:
            return Verdict.NOT_TESTABLE
        seen = {case.expected(stack) for case in self.cases} - {Seen.NOT_ASKED}
        if seen == {Seen.YES}:
            return Verdict.HOLDS
        return Verdict.HOLDS_IF if Seen.YES in seen else Verdict.WRONG


LEDGER: dict[str, Claim] = {}
"""Every claim by its name: those of the guide as in lesson 11, and the causes C01 to C31."""


def case(
    text: str,
    observe: Callable[[Bench], Observed],
    holds: Callable[[Observed], bool],
    history: str,
) -> Case:
    return Case(text, observe, holds, history)


def claim(name: str, text: str, verdict: Verdict, *cases: Case) -> None:
    """Enter a claim."""
    assert name not in LEDGER, f"{name} is claimed twice"
    assert cases, f"{name} has no case"
    LEDGER[name] = Claim(name, text, verdict, cases)


def not_testable(name: str, text: str) -> None:
    """Enter a claim that nothing on one machine can decide."""
    LEDGER[name] = Claim(name, text, Verdict.NOT_TESTABLE, ())
