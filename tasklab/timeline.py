"""What happened when, drawn in lanes: one lane an actor, time from left to right."""

from __future__ import annotations

import base64
import html
import math
import string
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, cast

from tasklab.scenes import BARS, DOTS, Bar, Beats, Dot, Mark, Scene, Seconds

__all__ = ["AnswerLike", "HeartbeatLike", "LetterLike", "MailroomLike", "Timeline"]


class LetterLike(Protocol):
    @property
    def to(self) -> str: ...
    @property
    def arrived(self) -> float: ...
    @property
    def answered(self) -> float | None: ...
    @property
    def status(self) -> int | None: ...


class MailroomLike(Protocol):
    @property
    def letters(self) -> Iterable[LetterLike]: ...


class AnswerLike(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def sent(self) -> float: ...
    @property
    def received(self) -> float | None: ...
    @property
    def status(self) -> int | None: ...


class HeartbeatLike(Protocol):
    @property
    def times(self) -> Iterable[float]: ...
    @property
    def period(self) -> float: ...


Evidence = MailroomLike | LetterLike | AnswerLike | HeartbeatLike
Title = str | Callable[["Timeline"], str]


class Timeline:
    """Draw what happened, from evidence that is read again each time the picture is shown.

    All times are time.monotonic() seconds. In the picture they count from the first request, or
    from the first mark if there is none. Marks in the picture and numbers in the words are rounded
    to 0.1 s, so that a second run looks like the first.

    `title` states the finding. It may hold {longest_gap}, {longest_wait}, {longest_bar}, {span},
    {letters}, {requests} and {unanswered}, measured in the picture itself, or be a function that
    takes the timeline and returns the title. Without one, the longest silence or wait is the title.
    """

    def __init__(self, title: Title | None = None) -> None:
        if isinstance(title, str):
            _refuse_unknown_fields(title)
        self._title = title
        self._marks: list[Mark] = []
        self._sources: list[tuple[Any, str | None]] = []
        self._notes: dict[str, str] = {}
        self._starts_at: float | None = None
        self._ends_at: float | None = None

    # -- collecting ---------------------------------------------------------------------------

    def bar(
        self, lane: str, label: str, start: float, end: float | None = None, kind: str | None = None
    ) -> Timeline:
        """Draw work. Without an end it goes on to the edge of the picture and says so in words.

        `kind`: request, work, blocking, thread, process or letter; the lane knows its usual one.
        {seconds} in the label becomes how long the bar lasts.
        """
        if end is not None and end < start:
            raise ValueError(
                f"the bar {label!r} ends {start - end:g} s before it starts; "
                "give the start first, both from time.monotonic()"
            )
        chosen = kind or _usual_kind(lane)
        _refuse_unknown_kind(chosen, BARS)
        _refuse_unreal_times(label, start, end)
        self._marks.append(Bar(lane, label, start, end, chosen))
        return self

    def dot(self, lane: str, label: str, at: float, kind: str = "event") -> Timeline:
        """Draw one moment. `kind`: event, start, exit or error."""
        _refuse_unknown_kind(kind, DOTS)
        _refuse_unreal_times(label, at)
        self._marks.append(Dot(lane, label, at, kind))
        return self

    def beats(
        self,
        lane: str,
        times: Iterable[float],
        period: float = 0.05,
        *,
        since: float | None = None,
        until: float | None = None,
    ) -> Timeline:
        """Draw a heartbeat; silence between `since` and the first beat is a gap like any other."""
        known = tuple(times)
        _refuse_unreal_times("heartbeat", *known, since, until)
        self._marks.append(_beats(lane, known, period, since, until))
        return self

    def add(self, *evidence: Evidence | Iterable[Evidence], lane: str | None = None) -> Timeline:
        """Draw what a mailroom, an answer, a letter or a heartbeat saw; lists of them too."""
        for thing in evidence:
            if _is_mailroom(thing):
                self.lane(lane or "mailroom", empty="no letter arrived")
            elif not (_is_letter(thing) or _is_answer(thing) or _is_heartbeat(thing)):
                if not isinstance(thing, Iterable) or isinstance(thing, (str, bytes)):
                    raise TypeError(
                        f"a timeline cannot draw {thing!r}; add a mailroom, a letter, an answer or "
                        "a heartbeat, or draw it with bar() or dot()"
                    )
                self.add(*thing, lane=lane)
                continue
            if all(thing is not known for known, _ in self._sources):
                self._sources.append((thing, lane))
        return self

    def lane(self, name: str, *, empty: str = "nothing seen") -> Timeline:
        """Show this lane even when nothing happens in it, which is a finding too."""
        self._notes[name] = empty
        return self

    def starts_at(self, at: float) -> Timeline:
        """Count seconds from here; letters and answers from before it are left out."""
        self._starts_at = at
        return self

    def ends_at(self, at: float) -> Timeline:
        """Show nothing later; what is unanswered then is drawn as unanswered."""
        self._ends_at = at
        return self

    # -- reading ------------------------------------------------------------------------------

    @property
    def longest_gap(self) -> Seconds:
        """The longest silence of any heartbeat in the picture; 0 if there is no gap."""
        return self._scene().longest_gap

    @property
    def longest_wait(self) -> Seconds:
        """The longest request, answered or not."""
        return self._scene().longest_wait

    @property
    def title(self) -> str:
        return self._title_of(self._scene())

    @property
    def alt_text(self) -> str:
        """The picture in words, with its numbers."""
        scene = self._scene()
        return scene.describe(self._title_of(scene))

    def __str__(self) -> str:
        scene = self._scene()
        return "\n".join([self._title_of(scene), *(f"  {line}" for line in scene.lines())])

    def _repr_html_(self) -> str:
        from tasklab.pictures import WIDTH, draw_png

        scene = self._scene()
        title = self._title_of(scene)
        data = base64.b64encode(draw_png(scene, title)).decode()
        # A PNG in an <img>: JupyterLab strips <svg> from a notebook that is not trusted yet.
        return (
            f'<img alt="{html.escape(scene.describe(title))}" width="{round(WIDTH / 2.54 * 96)}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{data}">'
        )

    def save(self, path: str | Path) -> Path:
        """Write the picture (.png, .svg) or its words (.txt); two runs of the same are equal."""
        from tasklab.pictures import draw_png, draw_svg

        target = Path(path)
        scene = self._scene()
        title = self._title_of(scene)
        if target.suffix == ".png":
            target.write_bytes(draw_png(scene, title))
        elif target.suffix == ".svg":
            target.write_bytes(draw_svg(scene, title, scene.describe(title)))
        elif target.suffix == ".txt":
            target.write_text(f"{self}\n", encoding="utf-8")
        else:
            raise ValueError(
                f"a timeline cannot be saved as {target.name!r}; end the name in .png, .svg or .txt"
            )
        return target

    # -- inside -------------------------------------------------------------------------------

    def _title_of(self, scene: Scene) -> str:
        if self._title is None:
            return scene.finding
        if callable(self._title):
            return self._title(self)
        return self._title.format_map(scene.measured)

    def _scene(self) -> Scene:
        now = time.monotonic()
        marks = [*self._marks]
        for source, lane in self._sources:
            marks.extend(_read(source, lane))
        return Scene.arrange(
            marks,
            notes=self._notes,
            starts_at=self._starts_at,
            ends_at=self._ends_at,
            now=now,
        )


def _usual_kind(lane: str) -> str:
    usual = {
        "client": "request",
        "thread pool": "thread",
        "worker": "process",
        "mailroom": "letter",
    }
    return next((kind for name, kind in usual.items() if lane.startswith(name)), "work")


def _is_mailroom(thing: Any) -> bool:
    return hasattr(thing, "letters")


def _is_letter(thing: Any) -> bool:
    return hasattr(thing, "arrived") and hasattr(thing, "answered")


def _is_answer(thing: Any) -> bool:
    return hasattr(thing, "sent") and hasattr(thing, "received")


def _is_heartbeat(thing: Any) -> bool:
    return hasattr(thing, "times") and hasattr(thing, "period")


def _read(source: Any, lane: str | None) -> list[Mark]:
    if _is_mailroom(source):
        return [_letter_bar(letter, lane) for letter in source.letters]
    if _is_letter(source):
        return [_letter_bar(source, lane)]
    if _is_answer(source):
        return [_request_bar(source, lane)]
    return [
        _beats(
            lane or getattr(source, "lane", "event loop"),
            tuple(source.times),
            source.period,
            getattr(source, "since", None),
            getattr(source, "until", None),
        )
    ]


def _letter_bar(letter: LetterLike, lane: str | None) -> Bar:
    outcome = "" if letter.answered is None else str(letter.status or "hung up")
    label = f"letter to {letter.to.partition('@')[0]}".strip()
    return Bar(
        lane or "mailroom", label, letter.arrived, letter.answered, "letter", outcome, live=True
    )


def _request_bar(answer: AnswerLike, lane: str | None) -> Bar:
    outcome = "" if answer.status is None else str(answer.status)
    # The moment a connection broke is not known, so such a bar has no end.
    lost = answer.received is None and getattr(answer, "error", None) is not None
    return Bar(
        lane or "client",
        f"{answer.method} {answer.path}",
        answer.sent,
        answer.received,
        "request",
        "no answer, connection lost" if lost else outcome,
        live=not lost,
    )


def _beats(
    lane: str, times: tuple[float, ...], period: float, since: float | None, until: float | None
) -> Beats:
    if not times and (since is None or until is None):
        raise ValueError("a heartbeat without a single beat needs since and until")
    return Beats(
        lane,
        tuple(sorted(times)),
        period,
        min(times) if since is None else since,
        max(times) if until is None else until,
    )


def _refuse_unknown_kind(kind: str, known: Iterable[str]) -> None:
    if kind not in known:
        raise ValueError(f"there is no kind {kind!r}; choose one of {', '.join(known)}")


def _refuse_unreal_times(label: str, *times: float | None) -> None:
    for at in times:
        if at is not None and not math.isfinite(at):
            raise ValueError(f"{label!r} is at {at}; give seconds from time.monotonic()")


def _refuse_unknown_fields(title: str) -> None:
    known = set(Scene.arrange([], notes={}, now=0.0).measured)
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(title) if field is not None}
    except ValueError as error:
        raise ValueError(f"the title {title!r} cannot be read: {error}") from None
    if unknown := fields - known:
        raise ValueError(
            f"the title asks for {', '.join(sorted(unknown))!r}; "
            f"it can quote {', '.join(sorted(known))} (write {{{{ for a brace)"
        )
