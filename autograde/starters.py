"""Give an exercise back as it was handed out, and lose nothing of what was there."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from autograde.errors import Misuse
from autograde.notebooks import read_notebook
from autograde.submission import Exercise, find_exercise, project_root

__all__ = ["begun_exercises", "reset"]

_KEPT = "before-reset"


def reset(name: str) -> tuple[Path, Path]:
    """Put the starter back; return the notebook and the copy of what it replaced.

    The files that the answer cells wrote are removed: they are in the copy too, as cells.
    """
    path = find_exercise(name)
    starter = _find_starter(path)
    kept = _free_name(path)
    try:
        before = path.read_bytes()
        kept.write_bytes(before)
        path.write_text(starter, encoding="utf-8")
    except OSError as error:
        raise Misuse(f"{path.name} cannot be reset: {error.strerror}.") from None
    for answer in Exercise.from_notebook(path.stem, json.loads(starter)).answers:
        (path.parent / answer.file).unlink(missing_ok=True)
    return path, kept


def begun_exercises(root: Path) -> list[str]:
    """Return the names of the exercises that are not as they were handed out."""
    return [
        path.stem
        for path in sorted((root / "exercises").glob("[0-9]*/*.ipynb"))
        if path.stem == path.parent.name and read_notebook(path) != json.loads(_find_starter(path))
    ]


def _find_starter(path: Path) -> str:
    root = project_root()
    if (root / "solutions" / path.stem / path.name).is_file():
        from autograde.exercises import generate_starter

        return generate_starter(root, path.stem)
    kept = path.parents[1] / ".starters" / path.name
    if not kept.is_file():
        raise Misuse(
            f"The starter of {path.stem} is not here: take {path.name} from a fresh copy of the "
            "course instead."
        )
    return json.dumps(read_notebook(kept), indent=1, ensure_ascii=False) + "\n"


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.stem}.{_KEPT}-{n}.ipynb") for n in itertools.count(1))
    return next(name for name in names if not name.exists())
