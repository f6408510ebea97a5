"""What happened when, drawn in lanes: one lane an actor, time from left to right."""

from __future__ import annotations

import base64
import html
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tasklab.captions import describe, find_title, list_lines
from tasklab.evidence import Evidence, is_evidence, is_mailroom, read_marks
from tasklab.scenes import BARS, DOTS, Bar, Beats, Dot, Mark, Scene, Seconds

__all__ = ["Timeline"]

Title = str | Callable[["Timeline"], str]


class Timeline:
    """Draw what happened, from evidence that is read again each time the picture is shown.

    All times are time.monotonic() seconds. In the picture they count from the first request, or
    from the first mark if there is none. Marks in the picture and numbers in the words are rounded
    to 0.1 s, so that a second run looks like the first.

    `title` states the finding. It may hold {longest_gap}, {longest_wait}, {longest_bar}, {span},
    {requests}, {unanswered}, {letters} and {in_flight}, measured in the picture itself, or be a
    function that takes the timeline and returns the title. Without one, the longest silence or the
    longest bar is the title.
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
        self,
        lane: str,
        label: str,
        start: float,
        end: float | None = None,
        kind: str | None = None,
        *,
        failed: bool = False,
    ) -> Timeline:
        """Draw work. Without an end it goes on to the edge of the picture and says so in words.

        `kind`: request, work, blocking, thread, process or letter; the lane knows its usual one.
        What `failed` looks like a refused letter, whatever its kind.
        {seconds} in the label becomes how long the bar lasts.
        """
        _refuse_unreal_times(label, start, end)
        if end is not None and end < start:
            raise ValueError(
                f"the bar {label!r} ends {start - end:g} s before it starts; "
                "give the start first, both from time.monotonic()"
            )
        chosen = kind or _usual_kind(lane)
        _refuse_unknown_kind(chosen, BARS)
        self._marks.append(Bar(lane, label, start, end, chosen, failed=failed))
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
        if not known and (since is None or until is None):
            raise ValueError("a heartbeat without a single beat needs since and until")
        first = min(known) if since is None else since
        last = max(known) if until is None else until
        self._marks.append(Beats(lane, tuple(sorted(known)), period, first, last))
        return self

    def add(self, *evidence: Evidence | Iterable[Evidence], lane: str | None = None) -> Timeline:
        """Draw what a mailroom, an answer, a letter or a heartbeat saw; lists of them too."""
        for thing in evidence:
            if not is_evidence(thing):
                self.add(*_iterate(thing), lane=lane)
                continue
            if is_mailroom(thing):
                self.lane(lane or "mailroom", empty="no letter arrived")
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
    def measured(self) -> dict[str, Seconds | int]:
        """What a title can quote, by name; a time that was not seen is not a number."""
        return self._scene().measured

    @property
    def title(self) -> str:
        return self._title_of(self._scene())

    @property
    def alt_text(self) -> str:
        """The picture in words, with its numbers."""
        scene = self._scene()
        return describe(scene, self._title_of(scene))

    def __str__(self) -> str:
        scene = self._scene()
        return "\n".join([self._title_of(scene), *(f"  {line}" for line in list_lines(scene))])

    def __repr__(self) -> str:
        return f"<Timeline: {self.title}>"

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from tasklab.pictures import draw_png, measure_png

        scene = self._scene()
        title = self._title_of(scene)
        png = draw_png(scene, title)
        # A PNG in an <img>: JupyterLab strips <svg> from a notebook that is not trusted yet.
        return (
            f'<img alt="{html.escape(describe(scene, title))}" width="{measure_png(png)[0]}" '
            'style="max-width:100%;height:auto" '
            f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
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
            target.write_bytes(draw_svg(scene, title, describe(scene, title)))
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
            return find_title(scene)
        if callable(self._title):
            return self._title(self)
        return self._title.format_map(scene.measured)

    def _scene(self) -> Scene:
        marks = [*self._marks]
        for source, lane in self._sources:
            marks += read_marks(source, lane)
        return Scene.arrange(
            marks,
            notes=self._notes,
            starts_at=self._starts_at,
            ends_at=self._ends_at,
            now=time.monotonic(),
        )


def _usual_kind(lane: str) -> str:
    usual = {
        "client": "request",
        "thread pool": "thread",
        "worker": "process",
        "mailroom": "letter",
    }
    return next((kind for name, kind in usual.items() if lane.startswith(name)), "work")


def _iterate(thing: Any) -> Iterable[Evidence]:
    if isinstance(thing, Iterable) and not isinstance(thing, (str, bytes)):
        return thing
    raise TypeError(
        f"a timeline cannot draw {thing!r}; add a mailroom, a letter, an answer or a heartbeat, "
        "or draw it with bar() or dot()"
    )


def _refuse_unknown_kind(kind: str, known: Iterable[str]) -> None:
    if kind not in known:
        raise ValueError(f"there is no kind {kind!r}; choose one of {', '.join(known)}")


def _refuse_unreal_times(label: str, *times: float | None) -> None:
    for at in times:
        if at is not None and not math.isfinite(at):
            raise ValueError(f"{label!r} is at {at}; give seconds from time.monotonic()")


def _refuse_unknown_fields(title: str) -> None:
    known = Scene.arrange([], notes={}, now=0.0).measured
    try:
        title.format_map(known)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"the title {title!r} cannot be filled in ({error}); between braces it can quote "
            f"{', '.join(known)}, and {{{{ is a brace"
        ) from None
