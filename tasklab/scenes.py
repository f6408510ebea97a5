"""What a timeline shows: marks, arranged in lanes, in seconds from the request."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

from tasklab.heartbeat import SILENCE, Gap, find_gaps

__all__ = [
    "BARS", "DOTS", "FAILED", "Bar", "Beats", "Dot", "Lane", "Mark", "Scene", "Seconds",
    "fold_lanes",
]  # fmt: skip

ACTORS = ("client", "event loop", "thread pool", "worker", "mailroom")
"""From top to bottom; lanes of any other name come before the last."""


class Kind(NamedTuple):
    many: str
    unfinished: str
    """What to say of a bar without an end."""
    lasting: str


BARS = {
    "request": Kind("requests", "no answer", "for"),
    "work": Kind("calls", "still running", "after"),
    "blocking": Kind("blocking calls", "still blocking", "after"),
    "thread": Kind("calls in threads", "still running", "after"),
    "process": Kind("processes", "still alive", "after"),
    "letter": Kind("letters", "still in flight", "after"),
}
FAILED = "failed"
"""How a request or a letter looks that was refused, or got no answer at all."""
DOTS = {"event": "events", "start": "starts", "exit": "exits", "error": "errors"}


class Seconds(float):
    """A length of time that reads "2.0 s"; a tenth stays the same from run to run."""

    __slots__ = ()

    @property
    def is_short(self) -> bool:
        return self < 0.095

    def __str__(self) -> str:
        if math.isnan(self):
            return "an unknown time"
        return "less than 0.1 s" if self.is_short else f"{float(self):.1f} s"

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)


@final
@dataclass(frozen=True)
class Bar:
    lane: str
    label: str
    start: float
    end: float | None
    kind: str
    outcome: str = ""
    """How it ended, or why it never will."""
    failed: bool = False
    live: bool = False
    """Without an end it lasts until now, and not only to the edge of the picture."""

    @property
    def begin(self) -> float:
        return self.start

    @property
    def look(self) -> str:
        return FAILED if self.failed else self.kind


@final
@dataclass(frozen=True)
class Dot:
    lane: str
    label: str
    at: float
    kind: str

    @property
    def begin(self) -> float:
        return self.at


@final
@dataclass(frozen=True)
class Beats:
    lane: str
    times: tuple[float, ...]
    period: float
    since: float
    until: float

    @property
    def begin(self) -> float:
        return self.since

    @property
    def silence(self) -> float:
        """How many seconds without a beat are a gap: more than a busy machine explains."""
        return max(SILENCE, 4 * self.period)


Mark = Bar | Dot | Beats


class Lane(NamedTuple):
    name: str
    bars: tuple[Bar, ...]
    dots: tuple[Dot, ...]
    beats: tuple[Beats, ...]
    note: str
    """What to say when nothing is in it."""

    @property
    def marks(self) -> list[Bar | Dot]:
        return [*self.bars, *self.dots]

    @property
    def is_empty(self) -> bool:
        return not (self.bars or self.dots or self.beats)


@dataclass(frozen=True)
class Scene:
    """Marks in seconds from second 0, not rounded; the picture reaches from `start` to `end`."""

    lanes: tuple[Lane, ...]
    start: float
    end: float
    asked: bool
    """Whether second 0 is a request."""

    @classmethod
    def arrange(
        cls,
        marks: Iterable[Mark],
        *,
        notes: Mapping[str, str],
        starts_at: float | None = None,
        ends_at: float | None = None,
        now: float,
    ) -> Scene:
        """Order the lanes, choose second 0, and leave out what lies outside the picture."""
        marks = list(marks)
        latest = math.inf if ends_at is None else ends_at
        requests = [m.start for m in marks if isinstance(m, Bar) and m.kind == "request"]
        starts = [m.begin for m in marks if not isinstance(m, Beats)]
        origin = starts_at
        if origin is None:
            origin = min(requests or starts or [m.begin for m in marks], default=0.0)
        bars = [
            _cut(m, latest)
            for m in marks
            if isinstance(m, Bar) and m.start <= latest and not (m.live and m.start < origin)
        ]
        dots = [m for m in marks if isinstance(m, Dot) and m.at <= latest]
        beats = [
            replace(m, until=min(m.until, latest), times=tuple(t for t in m.times if t <= latest))
            for m in marks
            if isinstance(m, Beats) and m.since <= latest
        ]
        start, end = _find_edges(bars, dots, beats, notes, origin, ends_at, now)
        left: list[Mark] = [*bars, *dots, *beats]
        shown = [_shift(mark, origin) for mark in left]
        names = sorted(dict.fromkeys([*(m.lane for m in shown), *notes]), key=_rank)
        lanes = tuple(
            _fill(name, shown, notes.get(name, "nothing seen"))
            for name in names or ("client", "event loop", "mailroom")
        )
        return cls(lanes, start - origin, end - origin, starts_at is not None or bool(requests))

    @property
    def bars(self) -> list[Bar]:
        return [bar for lane in self.lanes for bar in lane.bars]

    def seconds(self, bar: Bar) -> Seconds:
        return Seconds((self.end if bar.end is None else bar.end) - bar.start)

    def gaps(self, pulse: Beats, over: float | None = None) -> tuple[Gap, ...]:
        """Return the silences that reach into the picture, longer than those of a healthy loop."""
        over = pulse.silence if over is None else over
        found = find_gaps(pulse.times, pulse.since, pulse.until, over)
        return tuple(gap for gap in found if gap.end > self.start and gap.start < self.end)

    @property
    def measured(self) -> dict[str, Seconds | int]:
        """What a title may quote."""
        requests = [bar for bar in self.bars if bar.kind == "request"]
        letters = [bar for bar in self.bars if bar.kind == "letter"]
        pulses = [pulse for lane in self.lanes for pulse in lane.beats]
        return {
            "longest_gap": longest(self.longest_gap(pulse) for pulse in pulses),
            "longest_wait": longest(self.seconds(bar) for bar in requests),
            "longest_bar": longest(self.seconds(bar) for bar in self.bars),
            "span": Seconds(self.end - self.start),
            "requests": len(requests),
            "unanswered": sum(bar.end is None for bar in requests),
            "letters": len(letters),
            "in_flight": sum(bar.end is None for bar in letters),
        }

    def longest_gap(self, pulse: Beats) -> Seconds:
        """Return the longest silence, that of a healthy loop too."""
        return longest(gap.seconds for gap in self.gaps(pulse, over=0.0))


def longest(lengths: Iterable[float]) -> Seconds:
    return Seconds(max(lengths, default=math.nan))


def fold_lanes(scene: Scene) -> Scene:
    """Put all lanes of one sort of actor into one, and keep its most silent heartbeat."""
    groups: dict[int, list[Lane]] = {}
    for lane in scene.lanes:
        groups.setdefault(_rank(lane.name), []).append(lane)
    return replace(scene, lanes=tuple(_fold(scene, rank, group) for rank, group in groups.items()))


def _fold(scene: Scene, rank: int, group: Sequence[Lane]) -> Lane:
    many = "others" if rank % 2 else f"{ACTORS[rank // 2]}s"
    pulses = [pulse for lane in group for pulse in lane.beats]
    return Lane(
        group[0].name if len(group) == 1 else f"{len(group)} {many}",
        tuple(bar for lane in group for bar in lane.bars),
        tuple(dot for lane in group for dot in lane.dots),
        tuple([max(pulses, key=scene.longest_gap)] if pulses else []),
        group[0].note,
    )


def _rank(lane: str) -> int:
    for number, actor in enumerate(ACTORS):
        if lane == actor or lane.startswith(f"{actor} "):
            return 2 * number
    return 2 * ACTORS.index("mailroom") - 1


def _find_edges(
    bars: Sequence[Bar],
    dots: Sequence[Dot],
    beats: Sequence[Beats],
    noted: Collection[str],
    origin: float,
    ends_at: float | None,
    now: float,
) -> tuple[float, float]:
    marks: list[Bar | Dot] = [*bars, *dots]
    edges = [origin, *(mark.begin for mark in marks)]
    edges += [bar.end for bar in bars if bar.end is not None]
    if any(bar.end is None and bar.live for bar in bars):
        edges.append(now)
    for pulse in beats:
        if not marks:
            edges += [pulse.since, pulse.until]
        # A silence that began in the picture is shown to its end.
        edges += [
            gap.end
            for gap in find_gaps(pulse.times, pulse.since, pulse.until, pulse.silence)
            if origin < gap.end and gap.start <= max(edges)
        ]
    start, end = min(edges), max(edges)
    if ends_at is not None:
        return min(start, ends_at), ends_at
    if beats:
        # A loop that beats again, or a letter that never came, needs some time to be seen.
        missing = set(noted) - {mark.lane for mark in marks}
        after = math.inf if missing else max(0.3, 0.12 * (end - start))
        end = max(end, min(end + after, max(pulse.until for pulse in beats)))
    if not (marks or beats):
        end = start + 1.0
    return start, end


def _cut(bar: Bar, latest: float) -> Bar:
    if bar.end is None or bar.end <= latest:
        return bar
    return replace(bar, end=None, outcome="", failed=False)


def _shift(mark: Mark, origin: float) -> Mark:
    if isinstance(mark, Bar):
        end = None if mark.end is None else mark.end - origin
        return replace(mark, start=mark.start - origin, end=end)
    if isinstance(mark, Dot):
        return replace(mark, at=mark.at - origin)
    return replace(
        mark,
        times=tuple(at - origin for at in mark.times),
        since=mark.since - origin,
        until=mark.until - origin,
    )


def _fill(name: str, marks: Sequence[Mark], note: str) -> Lane:
    mine = [mark for mark in marks if mark.lane == name]
    bars = sorted((m for m in mine if isinstance(m, Bar)), key=lambda bar: bar.start)
    dots = sorted((m for m in mine if isinstance(m, Dot)), key=lambda dot: dot.at)
    beats = tuple(m for m in mine if isinstance(m, Beats))
    return Lane(name, tuple(bars), tuple(dots), beats, note)
