"""Waiting for a condition, with a deadline, and never for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tasklab.processors import fair_share

__all__ = ["DeadlinePassed", "Patience", "comes_true", "wait_until"]

T = TypeVar("T")

_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.02
# A pause that took much longer than it was asked to means that the whole machine stood still
# (a suspended laptop, a starved runner). Such time says nothing about the app.
_MOST_A_PAUSE_COUNTS = 0.1
# Whoever starts thread after thread must not wait for ever; and most of what is awaited takes
# less work than a server's start, which sets a share of its own.
_LEAST_SHARE = 1 / 4


class DeadlinePassed(TimeoutError):
    """The awaited condition did not come true in time; the message says which, and how long."""

    def __init__(self, what: str, within: float) -> None:
        super().__init__(f"{what}: not seen within {within:g} s")
        self.what = what
        self.within = within


class Patience:
    """Count down seconds of waiting, leaving out those in which the machine stood still.

    For `work`, seconds of a processor are meant: they pass more slowly, the more threads share
    one, down to `least_share`. That is for what takes as long as it takes to compute, and has no
    timer of its own.
    """

    def __init__(
        self, seconds: float, *, work: bool = False, least_share: float = _LEAST_SHARE
    ) -> None:
        self.seconds = seconds
        self.work = work
        self.least_share = least_share
        self.used = 0.0
        self._pause = _SHORTEST_PAUSE

    @property
    def left(self) -> float:
        return max(0.0, self.seconds - self.used)

    def pause(self) -> bool:
        """Sleep a moment; return False, and at once, if no patience is left."""
        if self.left <= 0:
            return False
        before = time.monotonic()
        time.sleep(self._next())
        self._count(before)
        return True

    async def pause_here(self) -> bool:
        """Do the same on an event loop, without holding it."""
        # Not cheap, and most who wait here have no event loop.
        import asyncio

        if self.left <= 0:
            return False
        before = time.monotonic()
        await asyncio.sleep(self._next())
        self._count(before)
        return True

    def _next(self) -> float:
        # Where seconds count for less, pauses as long as what is left would never use it up.
        return min(self._pause, max(self.left, _SHORTEST_PAUSE))

    def _count(self, since: float) -> None:
        waited = min(time.monotonic() - since, _MOST_A_PAUSE_COUNTS)
        self.used += waited * max(fair_share(), self.least_share) if self.work else waited
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE)


def wait_until(
    condition: Callable[[], T],
    *,
    within: float = 10.0,
    what: str = "the awaited condition",
    work: bool = False,
) -> T:
    """Return the first truthy value of `condition`, asking again and again.

    Raises DeadlinePassed after `within` seconds; `work` makes them a processor's, as Patience
    says. The condition is asked once more after the deadline, so that a machine which stood
    still does not turn a yes into a no.
    """
    patience = Patience(within, work=work)
    while True:
        value = condition()
        if value:
            return value
        if not patience.pause():
            value = condition()
            if value:
                return value
            raise DeadlinePassed(what, within)


def comes_true(condition: Callable[[], T], within: float = 4.0, *, work: bool = True) -> T | None:
    """Return the first truthy value of `condition`, or None if there is none in time.

    A grader that runs many apps at once must give each the same chance, so the seconds are a
    processor's, as for Patience. Where the app's own timers decide, pass `work=False`.
    """
    try:
        return wait_until(condition, within=within, work=work)
    except DeadlinePassed:
        return None
