"""The README's table of exercises, from what the notebooks say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

from autograde.errors import Misuse
from autograde.notebooks import read_notebook
from autograde.submission import Exercise

__all__ = ["exercise_table", "stale_readme", "write_readme"]

_TABLE = re.compile(r"(<!-- exercises -->\n).*?(<!-- /exercises -->)", re.DOTALL)
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


def _renewed(root: Path) -> tuple[str, str]:
    text = (root / "README.md").read_text(encoding="utf-8")
    if not _TABLE.search(text):
        raise Misuse("README.md has no <!-- exercises --> … <!-- /exercises --> to put a table in.")
    table = exercise_table(root)
    return text, _TABLE.sub(lambda match: match[1] + table + match[2], text)


def stale_readme(root: Path) -> list[str]:
    """A sentence if the README's table is not what the notebooks say."""
    text, renewed = _renewed(root)
    return ["README.md is stale: its table of exercises says something else."] * (text != renewed)


def write_readme(root: Path) -> None:
    _, renewed = _renewed(root)
    (root / "README.md").write_text(renewed, encoding="utf-8")
