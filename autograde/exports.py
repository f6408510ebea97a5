"""The gradebook's points in a file that an LMS imports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autograde import canvas, moodle
from autograde.errors import Misuse
from autograde.nbgrader_config import load_config
from autograde.submission import project_root

if TYPE_CHECKING:
    from autograde.rosters import Filled, Score

__all__ = ["export_grades"]


def export_grades(
    lms: str, roster: Path, output: Path | None, *, assignment: str | None, checks: bool
) -> tuple[Path, Filled]:
    """Write the roster with the points in it; return where, and what it has to be told of."""
    root = project_root()
    scores = [score for score in _read_scores(root) if assignment in (None, score.slug)]
    if not scores:
        what = f"of {assignment} " if assignment else ""
        raise Misuse(
            f"The gradebook has no grades {what}yet: run `autograde grade`, then this again."
        )
    if lms == "canvas":
        filled = canvas.fill_roster(roster, scores, checks=checks)
    else:
        filled = moodle.fill_roster(roster, scores, assignment=assignment, checks=checks)
    target = output or root / "classroom" / "grades" / f"{lms}.csv"
    if target.exists() and target.samefile(roster):
        raise Misuse(f"{target} is the roster itself: name another file by --output.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(filled.text, encoding="utf-8", newline="")
    except OSError as error:
        raise Misuse(f"{target} cannot be written: {error.strerror}.") from None
    return target, filled


def _read_scores(root: Path) -> list[Score]:
    if not (root / "classroom").is_dir():
        return []
    from autograde.gradebook import Classroom

    return Classroom(load_config(root)).scores()
