"""Where every mark and label of a timeline goes, in centimetres from the top left corner."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from tasklab.heartbeat import Gap
from tasklab.scenes import BARS, Bar, Beats, Dot, Lane, Scene, Seconds, fold_lanes, summarize

__all__ = ["HIGHEST", "WIDTH", "Label", "Layout", "Shape", "lay_out"]

WIDTH = 20.0
HIGHEST = 10.0
MARGIN = 0.35
LINE = 0.46
ROW = 0.68
BAR = 0.54
THINNEST = 0.12
BESIDE = 0.14
APART = 0.25
MOST_ROWS = 4
INK = "#1a1a1a"
MUTED = "#555555"

Measure = Callable[[str, float, bool], float]
"""The width in centimetres of a text of so many points, bold or not."""


@dataclass(frozen=True)
class Label:
    text: str
    x: float
    y: float
    width: float
    points: float = 11
    bold: bool = False
    colour: str = INK
    boxed: bool = False
    """On a panel of its own, because a hatch is below it."""

    @property
    def height(self) -> float:
        return LINE * self.points / 11

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class Shape:
    kind: str
    """A kind of bar or dot, or one of: band, gap, tick, grid, zero, divider."""
    x: float
    y: float
    width: float = 0.0
    height: float = 0.0
    is_open: bool = False

    @property
    def right(self) -> float:
        return self.x + self.width


@dataclass
class Item:
    """A mark with its label; `y` counts from the top of its row."""

    left: float
    right: float
    height: float = ROW
    shapes: list[Shape] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)


@dataclass
class Layout:
    height: float
    labels: list[Label] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)

    @property
    def scale(self) -> float:
        """By how much to shrink a picture that is too high however much shares a label."""
        return min(1.0, HIGHEST / self.height)


def lay_out(scene: Scene, title: str, measure: Measure) -> Layout:
    """Place everything; crowds of marks share one label as soon as the picture gets too high."""
    layout = Layout(0.0)
    for shown in (scene, fold_lanes(scene)):
        for most_rows in range(MOST_ROWS, -1, -1):
            layout = _Sheet(shown, measure, most_rows).lay_out(title)
            if layout.height <= HIGHEST:
                return layout
    return layout


class _Sheet:
    def __init__(self, scene: Scene, measure: Measure, most_rows: int) -> None:
        self.scene = scene
        self.measure = measure
        self.most_rows = most_rows
        names = [measure(lane.name, 11, True) for lane in scene.lanes]
        self.gutter = min(max([*names, measure("since request", 11, False)]), 4.5)
        self.left = MARGIN + self.gutter + 0.35
        self.right = WIDTH - MARGIN
        span = max(scene.end - scene.start, 0.02)
        self.step = 0.1 if span >= 2 else 10 ** math.floor(math.log10(span / 10))
        pad = math.ceil(span * 0.05 / self.step) * self.step
        self.first = self._round(scene.start) - pad
        self.last = self._round(scene.start + span) + pad

    def lay_out(self, title: str) -> Layout:
        layout = Layout(MARGIN)
        layout.labels = self._title_lines(title)
        layout.height = layout.labels[-1].bottom
        layout.height += 0.15
        top = layout.height
        for lane in self.scene.lanes:
            self._add_lane(layout, lane)
        bottom = layout.height
        self._add_axis(layout, top, bottom)
        for lane in self.scene.lanes:
            for pulse in lane.beats:
                for gap in self.scene.gaps(pulse):
                    x, right = self._ends(gap)
                    band = Shape("band", x, top, right - x, bottom - top)
                    layout.shapes.insert(0, band)
        layout.height += MARGIN
        return layout

    # -- time and text ------------------------------------------------------------------------

    def _round(self, at: float) -> float:
        return round(at / self.step) * self.step

    def _x(self, at: float) -> float:
        share = (self._round(at) - self.first) / (self.last - self.first)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def _ends(self, gap: Gap) -> tuple[float, float]:
        left = self._x(gap.start)
        return left, max(self._x(gap.end), left + THINNEST)

    def _label(self, text: str, x: float, y: float, room: float, **look: object) -> Label:
        text = self._shorten(text, room)
        return Label(text, x, y, self.measure(text, 11, False), **look)  # type: ignore[arg-type]

    def _shorten(self, text: str, room: float, points: float = 11, bold: bool = False) -> str:
        if self.measure(text, points, bold) <= room:
            return text
        fits = next(
            (
                n
                for n in range(len(text), 0, -1)
                if self.measure(text[:n] + "…", points, bold) <= room
            ),
            0,
        )
        return text[:fits].rstrip() + "…"

    def _title_lines(self, title: str) -> list[Label]:
        """Break the title into at most two large lines, or three smaller ones."""
        room = self.right - MARGIN
        lines = self._wrap(title, 15, room)
        points = 15 if len(lines) <= 2 else 12
        if points == 12:
            lines = self._wrap(title, 12, room)
            lines = [*lines[:2], self._shorten(" ".join(lines[2:]), room, 12, True)]
        height = LINE * points / 11
        return [
            Label(line, MARGIN, MARGIN + n * height, self.measure(line, points, True), points, True)
            for n, line in enumerate(lines)
            if line or not n
        ]

    def _wrap(self, text: str, points: float, room: float) -> list[str]:
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if self.measure(longer, points, True) <= room:
                lines[-1] = longer
            else:
                lines.append(self._shorten(word, room, points, True))
        return [line for line in lines if line] or [""]

    # -- lanes --------------------------------------------------------------------------------

    def _add_lane(self, layout: Layout, lane: Lane) -> None:
        layout.shapes.append(Shape("divider", MARGIN, layout.height, self.right - MARGIN))
        y = layout.height + 0.1
        name = self._shorten(lane.name, self.gutter, 11, True)
        name_width = self.measure(name, 11, True)
        layout.labels.append(Label(name, MARGIN, y + (ROW - LINE) / 2, name_width, bold=True))
        rows = [row for pulse in lane.beats for row in self._beat_rows(lane, pulse)]
        rows += self._mark_rows(lane)
        if not rows:
            room = self.right - self._x(0) - BESIDE
            note = self._label(lane.note, self._x(0) + BESIDE, (ROW - LINE) / 2, room, colour=MUTED)
            rows = [[Item(self.left, self.right, labels=[note])]]
        for row in rows:
            for item in row:
                layout.shapes += [replace(shape, y=shape.y + y) for shape in item.shapes]
                layout.labels += [replace(label, y=label.y + y) for label in item.labels]
            y += max(item.height for item in row)
        layout.height = y + 0.1

    def _mark_rows(self, lane: Lane) -> list[list[Item]]:
        groups: list[list[Bar] | list[Dot]] = [
            *(
                [b for b in lane.bars if b.kind == kind]
                for kind in dict.fromkeys(b.kind for b in lane.bars)
            ),
            *(
                [d for d in lane.dots if d.kind == kind]
                for kind in dict.fromkeys(d.kind for d in lane.dots)
            ),
        ]
        crowded: list[list[Bar] | list[Dot]] = []
        while True:
            items = [self._crowd(group) for group in crowded]
            items += [
                self._item(mark) for group in groups if group not in crowded for mark in group
            ]
            rows = _pack(items, in_order=True)
            if len(rows) > self.most_rows:
                rows = _pack(items)
            rest = [group for group in groups if group not in crowded and len(group) > 1]
            if len(rows) <= self.most_rows or not rest:
                break
            crowded.append(max(rest, key=len))
        if self.most_rows == 0 and len(rows) > 1:
            return [[self._crowd([*lane.bars, *lane.dots])]]
        return rows

    def _item(self, mark: Bar | Dot) -> Item:
        middle = (ROW - LINE) / 2
        if isinstance(mark, Dot):
            x = self._x(mark.at)
            item = self._beside(mark.label, x, x, 2 * BESIDE)
            item.shapes.append(Shape(mark.kind, x, ROW / 2))
            return item
        x, right = self._x(mark.start), self._x_end(mark)
        text = self.scene.text(mark)
        if self.measure(text, 11, False) + 4 * BESIDE <= right - x:
            label = self._label(text, x + 2 * BESIDE, middle, right - x, boxed=True)
            item = Item(x, right, labels=[label])
        else:
            item = self._beside(text, x, right, BESIDE)
        bar = Shape(mark.kind, x, (ROW - BAR) / 2, right - x, BAR, is_open=mark.end is None)
        item.shapes.append(bar)
        return item

    def _x_end(self, bar: Bar) -> float:
        if bar.end is None:
            return self.right
        return max(self._x(bar.end), self._x(bar.start) + THINNEST)

    def _beside(self, text: str, x: float, right: float, gap: float) -> Item:
        """Write to the right of a mark, or to its left, or above it: where there is room."""
        width = self.measure(text, 11, False)
        middle = (ROW - LINE) / 2
        if right + gap + width <= self.right:
            label = self._label(text, right + gap, middle, width)
            return Item(x, label.right + APART, labels=[label])
        if x - gap - width >= self.left:
            label = self._label(text, x - gap - width, middle, width)
            return Item(label.x - APART, right, labels=[label])
        return self._above(text, x, right)

    def _above(self, text: str, x: float, right: float) -> Item:
        room = self.right - self.left
        width = min(self.measure(text, 11, False), room)
        place = min(x + BESIDE / 2, self.right - width)
        label = self._label(text, max(self.left, place), 0.0, room)
        return Item(
            min(x, label.x), max(right, label.right) + APART, height=LINE + ROW, labels=[label]
        )

    def _crowd(self, marks: Sequence[Bar | Dot]) -> Item:
        """Draw many marks small, one below the other, under one label for all."""
        bars = [mark for mark in marks if isinstance(mark, Bar)]
        dots = [mark for mark in marks if isinstance(mark, Dot)]
        lefts = [*(self._x(bar.start) for bar in bars), *(self._x(dot.at) for dot in dots)]
        rights = [*(self._x_end(bar) for bar in bars), *(self._x(dot.at) for dot in dots)]
        item = self._above(summarize(self.scene, marks), min(lefts), max(rights))
        pitch = min(0.16, (0.3 + 0.5 * self.most_rows) / max(len(bars), 1))
        item.shapes += [
            Shape(
                bar.kind,
                self._x(bar.start),
                LINE + number * pitch,
                self._x_end(bar) - self._x(bar.start),
                pitch * 0.75,
                is_open=bar.end is None,
            )
            for number, bar in enumerate(bars)
        ]
        y = LINE + (len(bars) * pitch if self.most_rows else 0.0)
        item.shapes += [Shape(dot.kind, self._x(dot.at), y + 0.18) for dot in dots]
        item.height = max(y + (0.4 if dots else 0.1), LINE + len(bars) * pitch)
        return item

    # -- heartbeats ---------------------------------------------------------------------------

    def _beat_rows(self, lane: Lane, pulse: Beats) -> list[list[Item]]:
        gaps = [(gap, *self._ends(gap)) for gap in self.scene.gaps(pulse)]
        beats = Item(self.left, self.right)
        captions: list[Item] = []
        for gap, x, right in gaps:
            beats.shapes.append(Shape("gap", x, (ROW - BAR) / 2, right - x, BAR))
            for text in (self.scene.silence(lane, gap), str(Seconds(gap.seconds))):
                width = self.measure(text, 11, False)
                if width + 0.3 <= right - x:
                    place = (x + right - width) / 2
                    beats.labels.append(self._label(text, place, (ROW - LINE) / 2, width))
                    break
            else:
                captions.append(self._caption(self.scene.silence(lane, gap), x, right))
        rows = _pack(captions)
        if len(rows) > max(self.most_rows - 2, 1):
            longest = Seconds(max(gap.seconds for gap, _, _ in gaps))
            text = f"{len(gaps)} gaps, the longest {longest}"
            rows = [[self._caption(text, gaps[0][1], gaps[0][1])]]
            beats.labels = []
        # A tick stands for all beats of its stretch, so that a second run looks like the first.
        pitch = self.step * max(1, math.ceil((self.last - self.first) / self.step / 160))
        pitch = max(pitch, self._round(pulse.period))
        ticks = {round(at / pitch) * pitch for at in pulse.times}
        for at in sorted(ticks):
            x = self._x(at)
            if self.first <= at <= self.last and all(x <= a or x >= b for _, a, b in gaps):
                beats.shapes.append(Shape("tick", x, (ROW - BAR) / 2, 0.0, BAR))
        return [*rows, [beats]]

    def _caption(self, text: str, x: float, right: float) -> Item:
        item = self._above(text, x, right)
        item.height = LINE
        item.left, item.right = item.labels[0].x, item.labels[0].right + APART
        return item

    # -- axis ---------------------------------------------------------------------------------

    def _add_axis(self, layout: Layout, top: float, bottom: float) -> None:
        span = self.last - self.first
        steps = (d * 10.0**e for e in range(-3, 6) for d in (1, 2, 5))
        step = next(s for s in steps if span / s <= 9)
        digits = max(0, -math.floor(math.log10(step)))
        y = bottom + 0.1
        since = "since request" if self.scene.asked else "time"
        width = self.measure(since, 11, False)
        layout.labels.append(Label(since, MARGIN, y, width, colour=MUTED))
        layout.shapes.append(Shape("divider", MARGIN, bottom, self.right - MARGIN))
        grid = []
        free = MARGIN + width + BESIDE
        for number in range(
            math.ceil(self.first / step - 1e-9), math.floor(self.last / step + 1e-9) + 1
        ):
            share = (number * step - self.first) / span
            x = self.left + share * (self.right - self.left)
            grid.append(Shape("zero" if number == 0 else "grid", x, top, 0.0, bottom - top))
            text = f"{number * step:.{digits}f} s"
            width = self.measure(text, 11, False)
            place = min(x - width / 2, WIDTH - 0.1 - width)
            if place >= free:
                layout.labels.append(Label(text, place, y, width, colour=MUTED))
                free = place + width + BESIDE
        layout.shapes[:0] = grid
        layout.height = y + LINE


def _pack(items: Iterable[Item], *, in_order: bool = False) -> list[list[Item]]:
    """Put each item into the first row where it overlaps nothing, or `in_order` into the last."""
    rows: list[list[Item]] = []
    for item in sorted(items, key=lambda item: item.left):
        for row in rows[-1:] if in_order else rows:
            if all(item.left >= o.right - 1e-6 or item.right <= o.left + 1e-6 for o in row):
                row.append(item)
                break
        else:
            rows.append([item])
    return rows
