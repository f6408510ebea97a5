"""From seconds and words to centimetres."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasklab.heartbeat import Gap
    from tasklab.scenes import Bar, Scene

__all__ = ["MARGIN", "TEXT", "THINNEST", "WIDTH", "Measure", "Ruler"]

WIDTH = 20.0
MARGIN = 0.35
TEXT = 11.0
THINNEST = 0.12

Measure = Callable[[str, float, bool], float]
"""The width in centimetres of a text of so many points, bold or not."""


class Ruler:
    """Say where a moment is, and how much of a text fits; `left` and `right` bound the lanes."""

    def __init__(self, scene: Scene, measure: Measure) -> None:
        self.measure = measure
        self.since = "since request" if scene.asked else "time"
        names = [measure(lane.name, TEXT, True) for lane in scene.lanes]
        self.gutter = min(max(*names, measure(self.since, TEXT, False)), 4.5)
        self.left = MARGIN + self.gutter + 0.35
        self.right = WIDTH - MARGIN
        span = max(scene.end - scene.start, 0.02)
        # A mark moves by a whole step or not at all, so that a second run looks like the first.
        self.step = max(step for step in (0.1, 0.05, 0.02, 0.01, 0.005, 0.002) if span / step >= 10)
        pad = math.ceil(span * 0.05 / self.step) * self.step
        self.first = self.round(scene.start) - pad
        self.last = self.round(scene.start + span) + pad

    # -- time ---------------------------------------------------------------------------------

    def round(self, at: float) -> float:
        return round(at / self.step) * self.step

    def place(self, at: float) -> float:
        """Return x, without rounding and even outside the picture."""
        share = (at - self.first) / (self.last - self.first)
        return self.left + share * (self.right - self.left)

    def x(self, at: float) -> float:
        return min(max(self.place(self.round(at)), self.left), self.right)

    def x_end(self, bar: Bar) -> float:
        if bar.end is None:
            return self.right
        return max(self.x(bar.end), self.x(bar.start) + THINNEST)

    def ends(self, gap: Gap) -> tuple[float, float]:
        left = self.x(gap.start)
        return left, max(self.x(gap.end), left + THINNEST)

    def find_ticks(self, times: tuple[float, ...], period: float) -> list[float]:
        """Round beats to a grid: a tick stands for all beats of its stretch."""
        pitch = self.step * max(1, math.ceil((self.last - self.first) / self.step / 160))
        pitch = max(pitch, self.round(period))
        ticks = sorted({round(at / pitch) for at in times})
        return [at * pitch for at in ticks if self.first <= at * pitch <= self.last]

    def find_seconds(self) -> Iterator[tuple[float, str]]:
        """Yield the places of the axis's labels, at most ten round numbers."""
        span = self.last - self.first
        steps = (digit * 10.0**exponent for exponent in range(-3, 9) for digit in (1, 2, 5))
        step = next(step for step in steps if span / step <= 9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        number = math.ceil(self.first / step - 1e-9)
        while number * step <= self.last + 1e-9:
            yield number * step, f"{number * step:.{digits}f} s"
            number += 1

    # -- words --------------------------------------------------------------------------------

    def shorten(
        self, text: str, room: float, *, points: float = TEXT, is_bold: bool = False
    ) -> str:
        """Return as much of the text as fits, with an ellipsis if that is not all."""
        if self.measure(text, points, is_bold) <= room:
            return text
        fits = bisect.bisect_right(
            range(1, len(text)),
            room,
            key=lambda length: self.measure(text[:length].rstrip() + "…", points, is_bold),
        )
        return text[:fits].rstrip() + "…"

    def break_title(self, title: str) -> tuple[float, list[str]]:
        """Return its points and lines: at most two large ones, or three smaller ones."""
        lines = self._wrap(title, 15.0)
        if len(lines) <= 2:
            return 15.0, lines
        lines = self._wrap(title, 12.0)
        rest = " ".join(lines[2:])
        room = self.right - MARGIN
        last = [self.shorten(rest, room, points=12.0, is_bold=True)] if rest else []
        return 12.0, [*lines[:2], *last]

    def _wrap(self, text: str, points: float) -> list[str]:
        room = self.right - MARGIN
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if self.measure(longer, points, True) <= room:
                lines[-1] = longer
            else:
                lines.append(self.shorten(word, room, points=points, is_bold=True))
        return [line for line in lines if line] or [""]
