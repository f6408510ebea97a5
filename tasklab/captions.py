"""A timeline in words: what is written on its marks, its alt text, and its plain text form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tasklab.heartbeat import SILENCE
from tasklab.scenes import BARS, DOTS, Bar, Beats, Dot, Lane, Scene, Seconds, longest

if TYPE_CHECKING:
    from tasklab.heartbeat import Gap

__all__ = [
    "describe",
    "find_title",
    "group_by_kind",
    "label_bar",
    "label_gap",
    "list_lines",
    "summarize",
]

_MOST_IN_ALT_TEXT = 4


def label_bar(scene: Scene, bar: Bar) -> str:
    """Say what is written on a bar: how it ended, and how long that took."""
    seconds = scene.seconds(bar)
    label = bar.label.replace("{seconds}", str(seconds))
    told = "{seconds}" in bar.label or seconds.is_short
    if bar.outcome:
        return f"{label}: {bar.outcome}" + ("" if told or bar.end is None else f" after {seconds}")
    if bar.end is not None:
        return label
    kind = BARS[bar.kind]
    told = told or bar.kind == "process"
    return f"{label}: {kind.unfinished}" + ("" if told else f" {kind.lasting} {seconds}")


def label_gap(lane: Lane, gap: Gap) -> str:
    """Say what is written on a gap; a heartbeat in a client's lane is a question to a server."""
    what = "no answer" if lane.name.startswith("client") else "no beat"
    return f"{what} for {Seconds(gap.seconds)}"


def summarize(scene: Scene, marks: Sequence[Bar | Dot]) -> str:
    """Say in one line what many marks have in common."""
    words = []
    for group in group_by_kind(marks):
        bars = [mark for mark in group if isinstance(mark, Bar)]
        if len(group) > 1:
            words.append(_summarize_bars(scene, bars) if bars else _count_dots(group))
        else:
            words.append(label_bar(scene, bars[0]) if bars else group[0].label)
    return "; ".join(words)


def find_title(scene: Scene) -> str:
    """State the finding of a picture that was given no title: its longest silence, or bar."""
    silences = [
        (gap, lane) for lane in scene.lanes for pulse in lane.beats for gap in scene.gaps(pulse)
    ]
    if silences:
        gap, lane = max(silences, key=lambda pair: pair[0].seconds)
        who = {"event loop": "The loop was deaf", "client": "The server gave no answer"}
        silent = who.get(lane.name, f"{_capital(lane.name)} was silent")
        return f"{silent} for {Seconds(gap.seconds)}"
    marks = [mark for lane in scene.lanes for mark in lane.marks]
    if not marks:
        if any(lane.beats for lane in scene.lanes):
            return f"The heartbeat never paused for {Seconds(SILENCE)}"
        return "Nothing happened"
    missing = [lane.note for lane in scene.lanes if lane.is_empty][:1]
    bar = max(scene.bars, key=scene.seconds, default=None)
    if bar is not None and (missing or not scene.seconds(bar).is_short):
        words = label_bar(scene, bar)
        if bar.end is not None and not bar.outcome and "{seconds}" not in bar.label:
            words += f" lasted {scene.seconds(bar)}"
        return "; ".join([words, *missing])
    last = max(mark.end or mark.start if isinstance(mark, Bar) else mark.at for mark in marks)
    first = min(mark.begin for mark in marks)
    return "; ".join([f"All of it took {Seconds(last - first)}", *missing])


def describe(scene: Scene, title: str) -> str:
    """Put the picture into a few sentences, for who does not see it."""
    sentences = [
        title.rstrip("."),
        f"Timeline from {_clock(scene.start)} to {_clock(scene.end)}",
    ]
    for lane in scene.lanes:
        parts = [part for pulse in lane.beats for part in _describe_beats(scene, lane, pulse)]
        for group in group_by_kind(lane.marks):
            if len(group) > _MOST_IN_ALT_TEXT:
                parts.append(f"{summarize(scene, group)}, {_when(group)}")
            else:
                parts += [f"{summarize(scene, [mark])}, {_when([mark])}" for mark in group]
        sentences.append(f"{_capital(lane.name)}: {'; '.join(parts) or lane.note}")
    return ". ".join(sentences) + "."


def list_lines(scene: Scene) -> list[str]:
    """Everything that was seen, a line each, in order of time."""
    rows: list[tuple[float, str, str, str]] = []
    for lane in scene.lanes:
        for bar in lane.bars:
            until = "to …" if bar.end is None else f"to {_clock(bar.end)}"
            rows.append((bar.start, until, lane.name, label_bar(scene, bar)))
        rows += [(dot.at, "", lane.name, dot.label) for dot in lane.dots]
        for pulse in lane.beats:
            gaps = scene.gaps(pulse)
            told = f"heartbeat every {pulse.period:g} s, {_count_gaps(gaps)}"
            rows.append((max(pulse.since, scene.start), "", lane.name, told))
            rows += [
                (gap.start, f"to {_clock(gap.end)}", lane.name, label_gap(lane, gap))
                for gap in gaps
            ]
        if lane.is_empty:
            rows.append((scene.end, "", lane.name, lane.note))
    rows.sort(key=lambda row: row[0])
    width = max(len(lane.name) for lane in scene.lanes)
    return [f"{_clock(at):>7} {to:<10}  {name:<{width}}  {what}" for at, to, name, what in rows]


def _summarize_bars(scene: Scene, bars: Sequence[Bar]) -> str:
    kind = BARS[bars[0].kind]
    endings = Counter(bar.outcome or (kind.unfinished if bar.end is None else "") for bar in bars)
    words = f"{len(bars)} {kind.many}"
    if len(endings) == 1 and "" not in endings:
        words += f", all {next(iter(endings))}"
    elif len(endings) > 1:
        told = [f"{number} × {ending or 'done'}" for ending, number in endings.items()]
        words += f": {', '.join(told)}"
    seconds = longest(scene.seconds(bar) for bar in bars)
    return words if seconds.is_short else f"{words}, longest {seconds}"


def _count_dots(dots: Sequence[Bar | Dot]) -> str:
    return f"{len(dots)} {DOTS[dots[0].kind]}"


def _describe_beats(scene: Scene, lane: Lane, pulse: Beats) -> list[str]:
    gaps = scene.gaps(pulse)
    told = f"heartbeat every {pulse.period:g} s with {_count_gaps(gaps)}"
    if len(gaps) > _MOST_IN_ALT_TEXT:
        return [f"{told}, the longest {longest(gap.seconds for gap in gaps)}"]
    return [
        told,
        *(f"{label_gap(lane, g)}, from {_clock(g.start)} to {_clock(g.end)}" for g in gaps),
    ]


def _when(marks: Sequence[Bar | Dot]) -> str:
    first = min(mark.begin for mark in marks)
    ends = [mark.end if isinstance(mark, Bar) else mark.at for mark in marks]
    if None in ends:
        return f"from {_clock(first)} on"
    last = max(end for end in ends if end is not None)
    if _clock(first) == _clock(last):
        return f"at {_clock(first)}"
    return f"from {_clock(first)} to {_clock(last)}"


def group_by_kind(marks: Iterable[Bar | Dot]) -> list[list[Bar | Dot]]:
    groups: dict[str, list[Bar | Dot]] = {}
    for mark in marks:
        groups.setdefault(mark.kind, []).append(mark)
    return list(groups.values())


def _count_gaps(gaps: Sequence[Gap]) -> str:
    return f"{len(gaps) or 'no'} gap{'' if len(gaps) == 1 else 's'}"


def _clock(at: float) -> str:
    # Adding zero turns a rounded "-0.0" into "0.0".
    return f"{round(at, 1) + 0.0:.1f} s"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
