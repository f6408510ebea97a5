"""How far a learner has come: the last check of each exercise, and the next step."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograde.journal import Journal
from autograde.notebooks import read_notebook
from autograde.submission import Exercise

__all__ = ["Standing", "class_text", "note_check", "read_standings", "standings_text"]

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

    @property
    def is_done(self) -> bool:
        return self.tries > 0 and self.points >= self.max_points


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


def read_standings(root: Path) -> list[Standing]:
    """Return a standing for each exercise, in order."""
    checks: dict[str, list[dict[str, Any]]] = {}
    for line in _read_lines(root / _FILE):
        if line.get("outcome") in {"passed", "failed"}:
            checks.setdefault(str(line.get("exercise")), []).append(line)
    standings = []
    for path in sorted((root / "exercises").glob("[0-9]*/*.ipynb")):
        if path.stem != path.parent.name:
            continue
        notebook = read_notebook(path)
        exercise = Exercise.from_notebook(path.stem, notebook)
        minutes = notebook.get("metadata", {}).get("exercise", {}).get("minutes")
        tried = checks.get(path.stem, [])
        last = tried[-1] if tried else {}
        standings.append(
            Standing(
                path.stem,
                exercise.title,
                tuple(minutes) if minutes else None,
                float(last.get("max_points", exercise.points)),
                float(last.get("points", 0.0)),
                len(tried),
                str(last.get("next_step", "")),
            )
        )
    return standings


def standings_text(standings: list[Standing]) -> str:
    """Return a table for a terminal, with what is left in minutes and the next step."""
    width = max((len(standing.slug) for standing in standings), default=0)
    lines = []
    for standing in standings:
        mark = "✔" if standing.is_done else ("…" if standing.tries else " ")
        points = f"{standing.points:g}/{standing.max_points:g}"
        tries = f"{standing.tries} {'try' if standing.tries == 1 else 'tries'}"
        told = f"{points:>6}  {tries}" if standing.tries else f"{'':>6}  not tried yet"
        lines.append(f"{mark} {standing.slug:<{width}}  {told}")
    left = [standing for standing in standings if not standing.is_done]
    done = len(standings) - len(left)
    lines.append("")
    if not left:
        lines.append(f"All {done} exercises are done. The newsletter is in good hands.")
        return "\n".join(lines)
    least, most = (sum(s.minutes[i] for s in left if s.minutes) for i in (0, 1))
    lines.append(f"{done} of {len(standings)} done; {least} to {most} minutes are left.")
    first = next((standing for standing in left if standing.tries), left[0])
    step = f" ({first.next_step})" if first.next_step else ""
    lines.append(f"Next: exercises/{first.slug}{step}")
    return "\n".join(lines)


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
