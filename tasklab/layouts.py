"""Where every mark and label of a timeline goes, in centimetres from the top left corner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasklab.captions import group_by_kind, label_bar, label_gap, summarize
from tasklab.rulers import MARGIN, TEXT, WIDTH, Measure, Ruler
from tasklab.scenes import Bar, Beats, Dot, Lane, Scene, Seconds, fold_lanes

__all__ = ["HIGHEST", "INK", "MUTED", "Label", "Layout", "Shape", "lay_out"]

HIGHEST = 10.0
LINE = 0.46
ROW = 0.68
BAR = 0.54
BESIDE = 0.14
APART = 0.25
MIDDLE = (ROW - LINE) / 2
MOST_ROWS = 8
MOST_LABELS = 24
MOST_LINES = 200
INK = "#1a1a1a"
MUTED = "#555555"


@dataclass(frozen=True)
class Label:
    text: str
    x: float
    y: float
    width: float
    points: float = TEXT
    is_bold: bool = False
    colour: str = INK
    is_boxed: bool = False
    """On a panel of its own, because a hatch is below it."""

    @property
    def height(self) -> float:
        return LINE * self.points / TEXT

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class Shape:
    kind: str
    """A kind of bar or dot, or one of: failed, band, gap, tick, grid, zero, divider."""
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
    """A mark and its label, measured from the top of their row, and how wide they are together."""

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
    for shown in (scene, fold_lanes(scene)):
        for most_rows in range(MOST_ROWS, -1, -1):
            layout = _Sheet(shown, measure, most_rows).lay_out(title)
            if layout.height <= HIGHEST:
                return layout
    return layout


class _Sheet:
    def __init__(self, scene: Scene, measure: Measure, most_rows: int) -> None:
        self.scene = scene
        self.ruler = Ruler(scene, measure)
        self.most_rows = most_rows

    def lay_out(self, title: str) -> Layout:
        layout = Layout(0.0, labels=self._title_lines(title))
        layout.height = top = layout.labels[-1].bottom + 0.15
        for lane in self.scene.lanes:
            self._add_lane(layout, lane)
        self._add_axis(layout, top, bottom := layout.height)
        gaps = [g for lane in self.scene.lanes for p in lane.beats for g in self.scene.gaps(p)]
        for x, right in map(self.ruler.ends, gaps):
            layout.shapes.insert(0, Shape("band", x, top, right - x, bottom - top))
        layout.height += MARGIN
        return layout

    def _title_lines(self, title: str) -> list[Label]:
        points, lines = self.ruler.break_title(title)
        pitch = LINE * points / TEXT
        widths = [self.ruler.measure(line, points, True) for line in lines]
        return [
            Label(line, MARGIN, MARGIN + row * pitch, width, points, is_bold=True)
            for row, (line, width) in enumerate(zip(lines, widths, strict=True))
        ]

    def _label(self, text: str, x: float, y: float, room: float, **look: Any) -> Label:
        text = self.ruler.shorten(text, room)
        return Label(text, x, y, self._width(text), **look)

    def _width(self, text: str) -> float:
        return self.ruler.measure(text, TEXT, False)

    # -- lanes --------------------------------------------------------------------------------

    def _add_lane(self, layout: Layout, lane: Lane) -> None:
        ruler = self.ruler
        layout.shapes.append(Shape("divider", MARGIN, layout.height, ruler.right - MARGIN))
        y = layout.height + 0.1
        name = ruler.shorten(lane.name, ruler.gutter, is_bold=True)
        width = ruler.measure(name, TEXT, True)
        layout.labels.append(Label(name, MARGIN, y + MIDDLE, width, is_bold=True))
        rows = [row for pulse in lane.beats for row in self._beat_rows(lane, pulse)]
        rows += self._mark_rows(lane)
        if not rows:
            x = ruler.x(0.0) + BESIDE
            note = self._label(lane.note, x, MIDDLE, ruler.right - x, colour=MUTED)
            rows = [[Item(ruler.left, ruler.right, labels=[note])]]
        for row in rows:
            for item in row:
                layout.shapes += [replace(shape, y=shape.y + y) for shape in item.shapes]
                layout.labels += [replace(label, y=label.y + y) for label in item.labels]
            y += max(item.height for item in row)
        layout.height = y + 0.1

    def _mark_rows(self, lane: Lane) -> list[list[Item]]:
        groups = group_by_kind(lane.marks)
        crowds = [group for group in groups if len(group) > MOST_LABELS]
        groups = [group for group in groups if len(group) <= MOST_LABELS]
        while True:
            items = [(group[0].begin, self._crowd(group)) for group in crowds]
            items += [(mark.begin, self._item(mark)) for group in groups for mark in group]
            # By time, not by place: a label may begin long before its mark.
            items.sort(key=lambda pair: self.ruler.round(pair[0]))
            rows = _pack((item for _, item in items), in_order=True)
            if len(rows) > self.most_rows:
                rows = _pack(item for _, item in items)
            largest = max(groups, key=len, default=[])
            if len(rows) <= self.most_rows or len(largest) < 2:
                break
            groups.remove(largest)
            crowds.append(largest)
        if self.most_rows == 0 and len(rows) > 1:
            return [[self._crowd(lane.marks)]]
        return rows

    def _item(self, mark: Bar | Dot) -> Item:
        if isinstance(mark, Dot):
            x = self.ruler.x(mark.at)
            item = self._beside(mark.label, x, x, 0.32)
            item.shapes.append(Shape(mark.kind, x, item.height - ROW / 2))
            return item
        x, right = self.ruler.x(mark.start), self.ruler.x_end(mark)
        text = label_bar(self.scene, mark)
        if self._width(text) + 4 * BESIDE <= right - x:
            label = self._label(text, x + 2 * BESIDE, MIDDLE, right - x, is_boxed=True)
            item = Item(x, right, labels=[label])
        else:
            item = self._beside(text, x, right, BESIDE)
        y = item.height - (ROW + BAR) / 2
        item.shapes.append(Shape(mark.look, x, y, right - x, BAR, is_open=mark.end is None))
        return item

    def _beside(self, text: str, x: float, right: float, gap: float) -> Item:
        """Write to the right of a mark, or to its left, or above it: where there is room."""
        width = self._width(text)
        if right + gap + width <= self.ruler.right:
            label = self._label(text, right + gap, MIDDLE, width)
            return Item(x, label.right + APART, labels=[label])
        if x - gap - width >= self.ruler.left:
            label = self._label(text, x - gap - width, MIDDLE, width)
            return Item(label.x - APART, right, labels=[label])
        return self._above(text, x, right)

    def _above(self, text: str, x: float, right: float) -> Item:
        room = self.ruler.right - self.ruler.left
        text = self.ruler.shorten(text, room)
        place = min(x + BESIDE / 2, self.ruler.right - self._width(text))
        label = self._label(text, max(self.ruler.left, place), 0.0, room)
        left, right = min(x, label.x), max(right, label.right) + APART
        return Item(left, right, height=LINE + ROW, labels=[label])

    def _crowd(self, marks: Sequence[Bar | Dot]) -> Item:
        """Draw many marks small, one below the other, under one label for all."""
        bars = [mark for mark in marks if isinstance(mark, Bar)]
        dots = {(mark.kind, self.ruler.x(mark.at)): None for mark in marks if isinstance(mark, Dot)}
        places = [x for _, x in dots]
        lefts = [*(self.ruler.x(bar.start) for bar in bars), *places]
        rights = [*map(self.ruler.x_end, bars), *places]
        item = self._above(summarize(self.scene, marks), min(lefts), max(rights))
        # More lines than this are finer than a pixel: draw some of them, evenly chosen.
        bars = bars[:: len(bars) // MOST_LINES + 1]
        pitch = min(0.16, (0.3 + 0.5 * self.most_rows) / max(len(bars), 1))
        for row, bar in enumerate(bars):
            x, y = self.ruler.x(bar.start), LINE + row * pitch
            width = self.ruler.x_end(bar) - x
            item.shapes.append(Shape(bar.look, x, y, width, pitch * 0.75, bar.end is None))
        stack = LINE + len(bars) * pitch
        y = stack if self.most_rows else LINE
        item.shapes += [Shape(kind, x, y + 0.18) for kind, x in dots]
        item.height = max(stack, y + (0.4 if dots else 0.1))
        return item

    # -- heartbeats ---------------------------------------------------------------------------

    def _beat_rows(self, lane: Lane, pulse: Beats) -> list[list[Item]]:
        gaps = self.scene.gaps(pulse)
        places = [self.ruler.ends(gap) for gap in gaps]
        beats = Item(self.ruler.left, self.ruler.right)
        captions: list[Item] = []
        for gap, (x, right) in zip(gaps, places, strict=True):
            beats.shapes.append(Shape("gap", x, (ROW - BAR) / 2, right - x, BAR))
            for text in (label_gap(lane, gap), str(Seconds(gap.seconds))):
                width = self._width(text)
                if width + 0.3 <= right - x:
                    place = (x + right - width) / 2
                    beats.labels.append(self._label(text, place, MIDDLE, width))
                    break
            else:
                captions.append(self._caption(label_gap(lane, gap), x))
        rows = _pack(captions)
        if len(rows) > max(self.most_rows - 2, 1):
            longest = Seconds(max(gap.seconds for gap in gaps))
            rows = [[self._caption(f"{len(gaps)} gaps, the longest {longest}", places[0][0])]]
            beats.labels = []
        for at in self.ruler.find_ticks(pulse.times, pulse.period):
            x = self.ruler.x(at)
            if all(x <= left or x >= right for left, right in places):
                beats.shapes.append(Shape("tick", x, (ROW - BAR) / 2, 0.0, BAR))
        return [*rows, [beats]]

    def _caption(self, text: str, x: float) -> Item:
        label = self._above(text, x, x).labels[0]
        return Item(label.x, label.right + APART, LINE, labels=[label])

    # -- axis ---------------------------------------------------------------------------------

    def _add_axis(self, layout: Layout, top: float, bottom: float) -> None:
        y = bottom + 0.1
        since = self._label(self.ruler.since, MARGIN, y, WIDTH, colour=MUTED)
        layout.labels.append(since)
        layout.shapes.append(Shape("divider", MARGIN, bottom, self.ruler.right - MARGIN))
        free = since.right + BESIDE
        for at, text in self.ruler.find_seconds():
            kind = "grid" if at else "zero"
            x, width = self.ruler.place(at), self._width(text)
            layout.shapes.insert(0, Shape(kind, x, top, 0.0, bottom - top))
            place = min(x - width / 2, WIDTH - 0.1 - width)
            if place >= free:
                layout.labels.append(self._label(text, place, y, width, colour=MUTED))
                free = place + width + BESIDE
        layout.height = y + LINE


def _pack(items: Iterable[Item], *, in_order: bool = False) -> list[list[Item]]:
    """Put each item into the first row that is free from there on, or `in_order` into the last."""
    rows: list[list[Item]] = []
    ends: list[float] = []
    for item in items:
        for row in range(max(len(rows) - 1, 0) if in_order else 0, len(rows)):
            if item.left >= ends[row] - 1e-6:
                rows[row].append(item)
                ends[row] = item.right
                break
        else:
            rows.append([item])
            ends.append(item.right)
    return rows
