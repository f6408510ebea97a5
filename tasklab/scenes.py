"""What a timeline shows, arranged in lanes and put into words; nothing here draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from tasklab.heartbeat import SILENCE, Gap, find_gaps

__all__ = ["BARS", "DOTS", "Bar", "Beats", "Dot", "Lane", "Scene", "Seconds", "summarize"]

ACTORS = ("client", "event loop", "thread pool", "worker", "mailroom")


class Kind(NamedTuple):
    many: str
    unfinished: str
    """What to say of a bar without an end."""


BARS = {
    "request": Kind("requests", "no answer"),
    "work": Kind("pieces of work", "still running"),
    "blocking": Kind("blocking calls", "still blocking"),
    "thread": Kind("calls in threads", "still running"),
    "process": Kind("processes", "still alive"),
    "letter": Kind("letters", "still in flight"),
}
DOTS = {"event": "events", "start": "starts", "exit": "exits", "error": "errors"}


class Seconds(float):
    """A length of time that reads "2.0 s": a tenth is the same on every machine, a hundredth not."""

    __slots__ = ()

    def __str__(self) -> str:
        if math.isnan(self):
            return "an unknown time"
        return "less than 0.1 s" if abs(self) < 0.095 else f"{float(self):.1f} s"

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)


def _clock(at: float) -> str:
    return f"{round(at, 1) + 0.0:.1f} s"


@dataclass(frozen=True)
class Bar:
    lane: str
    label: str
    start: float
    end: float | None
    kind: str
    outcome: str = ""
    """How it ended, or why it never will."""
    live: bool = False
    """Without an end it lasts until now, and not only to the edge of the picture."""


@dataclass(frozen=True)
class Dot:
    lane: str
    label: str
    at: float
    kind: str


@dataclass(frozen=True)
class Beats:
    lane: str
    times: tuple[float, ...]
    period: float
    since: float
    until: float

    @property
    def silence(self) -> float:
        return max(SILENCE, 4 * self.period)


Mark = Bar | Dot | Beats


class Lane(NamedTuple):
    name: str
    bars: tuple[Bar, ...]
    dots: tuple[Dot, ...]
    beats: tuple[Beats, ...]
    note: str
    """What to say when there is no bar and no dot."""

    @property
    def is_empty(self) -> bool:
        return not (self.bars or self.dots or self.beats)


def _rank(name: str) -> int:
    for number, actor in enumerate(ACTORS):
        if name == actor or name.startswith(f"{actor} "):
            return 2 * number
    return 2 * ACTORS.index("mailroom") - 1


@dataclass(frozen=True)
class Scene:
    """Marks in seconds from `origin`, unrounded; the picture reaches from `start` to `end`."""

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
        starts = [_begin(m) for m in marks if not isinstance(m, Beats)]
        origin = starts_at
        if origin is None:
            origin = min(requests or starts or [_begin(m) for m in marks], default=0.0)
        bars = [
            _cut(m, latest)
            for m in marks
            if isinstance(m, Bar) and m.start <= latest and not (m.live and m.start < origin)
        ]
        dots = [m for m in marks if isinstance(m, Dot) and m.at <= latest]
        edges = [origin, *(bar.start for bar in bars), *(dot.at for dot in dots)]
        edges += [bar.end for bar in bars if bar.end is not None]
        if any(bar.end is None and bar.live for bar in bars):
            edges.append(min(now, latest))
        beats = [
            replace(m, until=min(m.until, latest), times=tuple(t for t in m.times if t <= latest))
            for m in marks
            if isinstance(m, Beats) and m.since <= latest
        ]
        for pulse in beats:
            if not (bars or dots):
                edges += [pulse.since, pulse.until]
            # A silence that began in the picture is shown to its end.
            edges += [
                gap.end
                for gap in find_gaps(pulse.times, pulse.since, pulse.until, pulse.silence)
                if origin < gap.end and gap.start <= max(edges)
            ]
        if ends_at is not None:
            edges.append(ends_at)
        elif beats:
            # A loop that beats again, or an answer that never came, needs time to be seen.
            missing = notes.keys() - {mark.lane for mark in (*bars, *dots)}
            after = math.inf if missing else max(0.3, 0.12 * (max(edges) - min(edges)))
            edges.append(min(max(edges) + after, max(pulse.until for pulse in beats)))
        if not marks:
            edges.append(origin + 1.0)
        start, end = min(edges) - origin, max(edges) - origin
        shown = [_shift(m, origin) for m in (*bars, *dots, *beats)]
        names = sorted(dict.fromkeys([*(m.lane for m in shown), *notes]), key=_rank)
        if not names:
            names = ["client", "event loop", "mailroom"]
        lanes = tuple(_fill(name, shown, notes.get(name, "nothing seen")) for name in names)
        return cls(lanes, start, end, asked=starts_at is not None or bool(requests))

    # -- measuring ----------------------------------------------------------------------------

    def seconds(self, bar: Bar) -> Seconds:
        return Seconds((self.end if bar.end is None else bar.end) - bar.start)

    def gaps(self, pulse: Beats, over: float | None = None) -> tuple[Gap, ...]:
        """Return the silences that reach into the picture, longer than those of a healthy loop."""
        over = pulse.silence if over is None else over
        found = find_gaps(pulse.times, pulse.since, pulse.until, over)
        return tuple(gap for gap in found if gap.end > self.start and gap.start < self.end)

    @property
    def bars(self) -> list[Bar]:
        return [bar for lane in self.lanes for bar in lane.bars]

    @property
    def measured(self) -> dict[str, Seconds | int]:
        """What a title may quote."""
        requests = [bar for bar in self.bars if bar.kind == "request"]
        pulses = [pulse for lane in self.lanes for pulse in lane.beats]
        return {
            "longest_gap": _longest(g.seconds for p in pulses for g in self.gaps(p, over=0.0)),
            "longest_wait": _longest(self.seconds(bar) for bar in requests),
            "longest_bar": _longest(self.seconds(bar) for bar in self.bars),
            "span": Seconds(self.end - self.start),
            "letters": sum(bar.kind == "letter" for bar in self.bars),
            "requests": len(requests),
            "unanswered": sum(bar.end is None for bar in requests),
        }

    # -- words --------------------------------------------------------------------------------

    def text(self, bar: Bar) -> str:
        """What is written on a bar."""
        label = bar.label.replace("{seconds}", str(self.seconds(bar)))
        long = self.seconds(bar) >= 0.095
        if bar.end is None and not bar.outcome:
            told = not long or bar.kind == "process" or "{seconds}" in bar.label
            length = "" if told else f" after {self.seconds(bar)}"
            return f"{label}: {BARS[bar.kind].unfinished}{length}"
        if bar.outcome:
            after = f" after {self.seconds(bar)}" if long and bar.end is not None else ""
            return f"{label}: {bar.outcome}{after}"
        return label

    def silence(self, lane: Lane, gap: Gap) -> str:
        """What is written on a gap."""
        what = "no answer" if _rank(lane.name) == 0 else "no beat"
        return f"{what} for {Seconds(gap.seconds)}"

    @property
    def finding(self) -> str:
        """The title of a picture that was given none: its longest silence, or longest wait."""
        silences = [(g, lane) for lane in self.lanes for p in lane.beats for g in self.gaps(p)]
        if silences:
            gap, lane = max(silences, key=lambda pair: pair[0].seconds)
            who = {"event loop": "The loop was deaf", "client": "The server gave no answer"}
            silent = f"{lane.name[:1].upper()}{lane.name[1:]} was silent"
            return f"{who.get(lane.name, silent)} for {Seconds(gap.seconds)}"
        missing = [lane for lane in self.lanes if not (lane.bars or lane.dots or lane.beats)]
        longest = max(self.bars, key=self.seconds, default=None)
        words = []
        if longest is not None and self.seconds(longest) >= 0.095:
            ended = longest.end is not None and not longest.outcome
            lasted = f" lasted {self.seconds(longest)}" if ended else ""
            words.append(f"{self.text(longest)}{lasted}")
        elif longest is not None and missing:
            words.append(self.text(self.bars[0]))
        elif longest is not None or any(lane.dots for lane in self.lanes):
            words.append(f"All of it took {Seconds(self.end - self.start)}")
        elif any(lane.beats for lane in self.lanes):
            words.append(f"The heartbeat never paused for {Seconds(SILENCE)}")
        else:
            return "Nothing happened"
        return "; ".join([*words, *(lane.note for lane in missing[:1])])

    def describe(self, title: str) -> str:
        """The picture in a few sentences, for who does not see it."""
        sentences = [f"{title.rstrip('.')}. Timeline from {_clock(self.start)} to {_clock(self.end)}"]
        for lane in self.lanes:
            parts = [part for pulse in lane.beats for part in self._describe_beats(lane, pulse)]
            for group in _by_kind(lane.bars):
                if len(group) > 4:
                    parts.append(f"{summarize(self, group)}, {self._when(group)}")
                else:
                    parts += [f"{self.text(bar)}, {self._when([bar])}" for bar in group]
            parts += [f"{dot.label}, at {_clock(dot.at)}" for dot in lane.dots]
            name = f"{lane.name[:1].upper()}{lane.name[1:]}"
            sentences.append(f"{name}: {'; '.join(parts) or lane.note}")
        return ". ".join(sentences) + "."

    def lines(self) -> list[str]:
        """Everything seen, a line each, in order of time."""
        rows: list[tuple[float, str, str, str]] = []
        for lane in self.lanes:
            for bar in lane.bars:
                end = "…" if bar.end is None else _clock(bar.end)
                rows.append((bar.start, f"to {end}", lane.name, self.text(bar)))
            rows += [(dot.at, "", lane.name, dot.label) for dot in lane.dots]
            for pulse in lane.beats:
                gaps = self.gaps(pulse)
                told = f"heartbeat every {pulse.period:g} s, {_count(len(gaps), 'gap')}"
                rows.append((max(pulse.since, self.start), "", lane.name, told))
                rows += [(g.start, f"to {_clock(g.end)}", lane.name, self.silence(lane, g)) for g in gaps]
            if lane.is_empty:
                rows.append((self.end, "", lane.name, lane.note))
        rows.sort(key=lambda row: row[0])
        width = max((len(lane.name) for lane in self.lanes), default=0)
        return [f"{_clock(at):>7} {to:<10}  {lane:<{width}}  {what}" for at, to, lane, what in rows]

    def _describe_beats(self, lane: Lane, pulse: Beats) -> list[str]:
        gaps = self.gaps(pulse)
        told = f"heartbeat every {pulse.period:g} s"
        if not gaps:
            return [f"{told} without a gap"]
        if len(gaps) > 4:
            return [f"{told} with {len(gaps)} gaps, the longest {_longest(g.seconds for g in gaps)}"]
        return [
            f"{told} with {_count(len(gaps), 'gap')}",
            *(f"{self.silence(lane, g)}, from {_clock(g.start)} to {_clock(g.end)}" for g in gaps),
        ]

    def _when(self, bars: Sequence[Bar]) -> str:
        start = min(bar.start for bar in bars)
        ends = [bar.end for bar in bars if bar.end is not None]
        end = max(ends, default=start)
        if _clock(start) == _clock(end):
            return f"from {_clock(start)} on" if len(ends) < len(bars) else f"at {_clock(start)}"
        return f"from {_clock(start)} to {_clock(end)}"


def summarize(scene: Scene, marks: Sequence[Bar | Dot]) -> str:
    """Say in one line what many marks have in common."""
    bars = [mark for mark in marks if isinstance(mark, Bar)]
    dots: dict[str, list[str]] = {}
    for mark in marks:
        if isinstance(mark, Dot):
            dots.setdefault(mark.kind, []).append(mark.label)
    words = [
        scene.text(group[0]) if len(group) == 1 else _summarize_bars(scene, group)
        for group in _by_kind(bars)
    ]
    words += [
        labels[0] if len(labels) == 1 else f"{len(labels)} {DOTS[kind]}"
        for kind, labels in dots.items()
    ]
    return "; ".join(words)


def _summarize_bars(scene: Scene, bars: Sequence[Bar]) -> str:
    kind = BARS[bars[0].kind]
    unfinished = sum(bar.end is None for bar in bars)
    outcomes = Counter(bar.outcome for bar in bars if bar.outcome)
    words = f"{len(bars)} {kind.many}"
    if len(outcomes) == 1 and sum(outcomes.values()) == len(bars):
        words += f": {next(iter(outcomes))}"
    elif outcomes:
        words += ": " + ", ".join(f"{number} × {what}" for what, number in outcomes.items())
    if unfinished:
        words += f", {'all' if unfinished == len(bars) else unfinished} {kind.unfinished}"
    longest = _longest(scene.seconds(bar) for bar in bars)
    return words if longest < 0.095 else f"{words}, longest {longest}"


def fold_lanes(scene: Scene) -> Scene:
    """Put all lanes of one sort of actor into one, and keep its most silent heartbeat."""
    groups: dict[int, list[Lane]] = {}
    for lane in scene.lanes:
        groups.setdefault(_rank(lane.name), []).append(lane)
    lanes = []
    for rank, group in groups.items():
        many = "others" if rank % 2 else f"{ACTORS[rank // 2]}s"
        pulses = [pulse for lane in group for pulse in lane.beats]
        pulses.sort(key=lambda p: max((g.seconds for g in scene.gaps(p, over=0.0)), default=0.0))
        lanes.append(
            Lane(
                group[0].name if len(group) == 1 else f"{len(group)} {many}",
                tuple(bar for lane in group for bar in lane.bars),
                tuple(dot for lane in group for dot in lane.dots),
                tuple(pulses[-1:]),
                group[0].note,
            )
        )
    return replace(scene, lanes=tuple(lanes))


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _longest(lengths: Iterable[float]) -> Seconds:
    return Seconds(max(lengths, default=math.nan))


def _by_kind(bars: Iterable[Bar]) -> list[list[Bar]]:
    groups: dict[str, list[Bar]] = {}
    for bar in bars:
        groups.setdefault(bar.kind, []).append(bar)
    return list(groups.values())


def _begin(mark: Mark) -> float:
    if isinstance(mark, Beats):
        return mark.since
    return mark.at if isinstance(mark, Dot) else mark.start


def _cut(bar: Bar, latest: float) -> Bar:
    if bar.end is None or bar.end <= latest:
        return bar
    return replace(bar, end=None, outcome="")


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
    return Lane(name, tuple(bars), tuple(dots), tuple(m for m in mine if isinstance(m, Beats)), note)
