"""How far a learner has come: the last check of each exercise, and the next page to open."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde.errors import AutogradeError
from autograde.journal import Journal
from autograde.notebooks import read_notebook
from autograde.submission import Exercise
from autograde.syllabus import Lesson, read_lessons

__all__ = ["Page", "Part", "Standing", "class_text", "note_check", "parts_text", "read_parts"]

_FILE = ".progress.jsonl"


@dataclass(frozen=True)
class Standing:
    """Where one learner stands with one exercise."""

    slug: str
    title: str
    minutes: tuple[int, int] | None
    max_points: float
    points: float = 0.0
    tries: int = 0
    next_step: str = ""
    is_latest: bool = False
    """Whether the last check of all was one of this exercise."""

    @property
    def is_done(self) -> bool:
        return self.tries > 0 and self.points >= self.max_points

    @property
    def page(self) -> Page:
        return Page(f"exercises/{self.slug}/{self.slug}.ipynb", self.minutes, self.next_step)


@dataclass(frozen=True)
class Page:
    """A page to open, how long it takes, and what to look at there."""

    path: str
    minutes: tuple[int, int] | None
    step: str = ""

    def __str__(self) -> str:
        minutes = f", {_range(self.minutes)}" if self.minutes else ""
        return f"{self.path}{minutes}" + (f" ({self.step})" if self.step else "")


@dataclass(frozen=True)
class Part:
    """A lesson and the exercises that it sends to, or those that no lesson sends to.

    Nobody can see from outside whether a lesson was read, and nobody has to say so: a part is done
    when its exercises are, and a lesson without exercises stands in nobody's way.
    """

    lesson: Lesson | None
    standings: tuple[Standing, ...]

    @property
    def name(self) -> str:
        return f"{self.lesson.number} {self.lesson.words}" if self.lesson else "more exercises"

    @property
    def pages(self) -> list[Page]:
        return [Page(self.lesson.page, self.lesson.minutes)] if self.lesson else []

    @property
    def is_begun(self) -> bool:
        return any(standing.tries for standing in self.standings)

    @property
    def is_done(self) -> bool:
        return bool(self.standings) and all(standing.is_done for standing in self.standings)

    @property
    def is_latest(self) -> bool:
        return any(standing.is_latest for standing in self.standings)

    @property
    def left(self) -> list[Page]:
        """What is still to be read and mended; who has tried an exercise has read its lesson."""
        mending = [standing.page for standing in self.standings if not standing.is_done]
        return mending if self.is_begun else [*self.pages, *mending]


def note_check(root: Path, report: dict[str, Any]) -> None:
    """Remember what a check found; where that cannot be written, do without."""
    first = next((r for r in report["results"] if r["outcome"] != "passed"), None)
    line = {
        "exercise": report["exercise"],
        "points": report["points"],
        "max_points": report["max_points"],
        "outcome": report["outcome"],
        "next_step": "" if first is None else f"{first['grade_id']}: {first['look']}",
        "at": round(time.time()),
    }
    with contextlib.suppress(OSError), (root / _FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _read_lines(path: Path) -> Iterable[dict[str, Any]]:
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found


def _read_standings(root: Path) -> Iterator[Standing]:
    checks: dict[str, list[dict[str, Any]]] = {}
    latest = ""
    for line in _read_lines(root / _FILE):
        if line.get("outcome") in {"passed", "failed"}:
            latest = str(line.get("exercise"))
            checks.setdefault(latest, []).append(line)
    for path in sorted((root / "exercises").glob("[0-9]*/*.ipynb")):
        if path.stem != path.parent.name:
            continue
        notebook = read_notebook(path)
        exercise = Exercise.from_notebook(path.stem, notebook)
        minutes = notebook.get("metadata", {}).get("exercise", {}).get("minutes")
        tried = checks.get(path.stem, [])
        last = tried[-1] if tried else {}
        yield Standing(
            path.stem,
            exercise.title,
            tuple(minutes) if minutes else None,
            float(last.get("max_points", exercise.points)),
            float(last.get("points", 0.0)),
            len(tried),
            str(last.get("next_step", "")),
            path.stem == latest,
        )


def read_parts(root: Path) -> list[Part]:
    """Return the lessons in order, each with where one stands with its exercises."""
    standings = {standing.slug: standing for standing in _read_standings(root)}
    parts = []
    for lesson in read_lessons(root):
        mine = [standings.pop(slug) for slug in lesson.exercises if slug in standings]
        parts.append(Part(lesson, tuple(mine)))
    return [*parts, Part(None, tuple(standings.values()))] if standings else parts


def next_pages(parts: Sequence[Part]) -> list[Page]:
    """Go on where the last check was; but who was ahead is led back to what was left out.

    The pages lead up to an exercise. Who comes from another part begins with the lesson.
    """
    for standing in (standing for part in parts for standing in part.standings):
        if standing.is_latest and not standing.is_done:
            return [standing.page]
    pages: list[Page] = []
    latest = next((number for number, part in enumerate(parts) if part.is_latest), 0)
    earlier, later = parts[:latest], parts[latest:]
    left_out = [part for part in earlier if not part.is_begun]
    given_up = [part for part in earlier if part.is_begun]
    shown = _not_passed_by(parts)
    for part in [part for part in (*left_out, *later, *given_up) if part in shown]:
        todo = [standing.page for standing in part.standings if not standing.is_done]
        if todo:
            return [*pages, *([] if part.is_latest else part.pages), todo[0]]
        if not part.standings:
            pages += part.pages
    return pages


def _not_passed_by(parts: Sequence[Part]) -> list[Part]:
    """All but the lessons without exercises that come before a part that was begun."""
    begun = max((number for number, part in enumerate(parts) if part.is_begun), default=-1)
    return [part for number, part in enumerate(parts) if part.standings or number > begun]


def steps_after(root: Path, slug: str) -> dict[str, Any]:
    """What to say after a check that passed: the part that it finishes, and the next page."""
    try:
        parts = read_parts(root)
    except AutogradeError:
        return {}  # another page cannot be read, which is no matter of this check
    said = [
        f"That was all of part {part.lesson.number}, {part.lesson.words}."
        for part in parts
        if part.lesson and part.is_done and slug in {standing.slug for standing in part.standings}
    ]
    if all(part.is_done for part in parts if part.standings):
        said.append(_all_done(parts))
    pages = next_pages(parts)
    return {
        "said": " ".join(said),
        "page": pages[0].path if pages else "",
        "minutes": pages[0].minutes if pages else None,
    }


def parts_text(parts: Sequence[Part]) -> str:
    """Return a table for a terminal, with what is left in minutes and the next page."""
    standings = [standing for part in parts for standing in part.standings]
    width = max((len(standing.slug) for standing in standings), default=0)
    lines = []
    for part in parts:
        left = _sum_minutes(part.left)
        mark = "✔" if part.is_done else ("…" if part.is_begun else " ")
        told = "done" if part.is_done else _range(left) + (" left" if part.is_begun else "")
        lines.append(f"{mark} {part.name:<{width + 2}}  {told}")
        lines += [f"  {_standing_line(standing, width)}" for standing in part.standings]
    pages = next_pages(parts)
    lines.append("")
    if all(standing.is_done for standing in standings):
        lines.append(_all_done(parts))
    else:
        done = sum(standing.is_done for standing in standings)
        left = _sum_minutes(page for part in _not_passed_by(parts) for page in part.left)
        lines.append(f"{done} of {len(standings)} exercises done; {_range(left)} are left.")
    if pages:
        lines.append(f"Next: {'; then '.join(map(str, pages))}")
    return "\n".join(lines)


def _standing_line(standing: Standing, width: int) -> str:
    mark = "✔" if standing.is_done else ("…" if standing.tries else " ")
    points = f"{standing.points:g}/{standing.max_points:g}"
    tries = f"{standing.tries} {'try' if standing.tries == 1 else 'tries'}"
    told = f"{points:>6}  {tries}" if standing.tries else f"{'':>6}  not tried yet"
    return f"{mark} {standing.slug:<{width}}  {told}"


def _all_done(parts: Sequence[Part]) -> str:
    count = sum(len(part.standings) for part in parts)
    return f"All {count} exercises are done. The newsletter is in good hands."


def _sum_minutes(pages: Iterable[Page]) -> tuple[int, int]:
    known = [page.minutes for page in pages if page.minutes]
    return sum(least for least, _ in known), sum(most for _, most in known)


def _range(minutes: Sequence[int]) -> str:
    return f"{minutes[0]} to {minutes[1]} minutes"


def class_text(root: Path) -> str:
    """Return a table of learners and exercises from what `autograde grade` wrote down."""
    journal = Journal(root / "classroom" / "grading" / "journal.jsonl")
    journal.load()
    entries = list(journal)
    if not entries:
        return "Nothing is graded yet: run `autograde grade`."
    slugs = sorted({entry.slug for entry in entries})
    students = sorted({entry.student for entry in entries})
    width = max(len("learner"), *(len(student) for student in students))
    numbers = [slug.split("-", 1)[0] for slug in slugs]
    lines = [f"{'learner':<{width}}  " + "".join(f"{number:>5}" for number in numbers) + "   sum"]
    for student in students:
        cells, total = [], 0.0
        for slug in slugs:
            entry = journal.entries.get((student, slug))
            if entry is None:
                cells.append("·")
            elif entry.is_broken:
                cells.append("?")
            else:
                total += entry.report["points"]
                cells.append(f"{entry.report['points']:g}")
        lines.append(f"{student:<{width}}  {''.join(f'{c:>5}' for c in cells)} {total:>5g}")
    done = sum(entry.report["outcome"] == "passed" for entry in entries)
    lines.append("")
    lines.append(
        f"{len(entries)} graded, {done} with full points. · not handed in, ? not graded yet."
    )
    return "\n".join(lines)
