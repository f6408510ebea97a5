"""The README's tables of lessons and exercises, from what the notebooks say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

from autograde.errors import Misuse
from autograde.notebooks import read_notebook, source_of
from autograde.submission import Exercise

__all__ = ["exercise_table", "lesson_table", "stale_readme", "write_readme"]

_TABLE = re.compile(r"(<!-- (exercises|lessons) -->\n).*?(<!-- /\2 -->)", re.DOTALL)
_LESSON_HEAD = "| lesson | | minutes |\n|---|---|---|\n"
_MINUTES = re.compile(r"takes (\d+ to \d+) minutes")
_HEAD = "| exercise | symptom | minutes | points |\n|---|---|---|---|\n"


def exercise_table(root: Path) -> str:
    """One row for each exercise in solutions/: its name, symptom, minutes and points."""
    rows = []
    for path in sorted((root / "solutions").glob("[0-9]*/*.ipynb")):
        notebook = read_notebook(path)
        exercise = Exercise.from_notebook(path.stem, notebook)
        try:
            least, most = notebook["metadata"]["exercise"]["minutes"]
        except (KeyError, TypeError, ValueError):
            raise Misuse(
                f"{path.stem} does not say how long it takes: its notebook's metadata needs "
                '{"exercise": {"minutes": [10, 20]}}.'
            ) from None
        link = f"[{path.stem}](exercises/{path.stem}/{path.name})"
        rows.append(f"| {link} | {exercise.title} | {least} to {most} | {exercise.points:g} |\n")
    return _HEAD + "".join(rows)


def lesson_table(root: Path) -> str:
    """One row for each lesson in notebooks/: its number, title and minutes."""
    rows = []
    for path in sorted((root / "notebooks").glob("[0-9]*.ipynb")):
        prose = [
            source_of(cell)
            for cell in read_notebook(path)["cells"]
            if cell["cell_type"] == "markdown"
        ]
        title = next((text[2:].split("\n", 1)[0] for text in prose if text.startswith("# ")), "")
        minutes = _MINUTES.search(" ".join("\n".join(prose).split()))
        if not title or minutes is None:
            raise Misuse(f"{path.name} needs a title and “This lesson takes 25 to 45 minutes”.")
        number = path.stem.split("-", 1)[0]
        rows.append(f"| [{number}](notebooks/{path.name}) | {title} | {minutes[1]} |\n")
    return _LESSON_HEAD + "".join(rows)


def _renewed(root: Path) -> tuple[str, str]:
    text = (root / "README.md").read_text(encoding="utf-8")
    if "<!-- /exercises -->" not in text or not _TABLE.search(text):
        raise Misuse("README.md has no <!-- exercises --> … <!-- /exercises --> to put a table in.")
    tables = {"exercises": exercise_table, "lessons": lesson_table}
    renewed = _TABLE.sub(lambda match: match[1] + tables[match[2]](root) + match[3], text)
    return text, renewed


def stale_readme(root: Path) -> list[str]:
    """A sentence if the README's table is not what the notebooks say."""
    text, renewed = _renewed(root)
    return ["README.md is stale: a table in it says something else."] * (text != renewed)


def write_readme(root: Path) -> None:
    _, renewed = _renewed(root)
    (root / "README.md").write_text(renewed, encoding="utf-8")
