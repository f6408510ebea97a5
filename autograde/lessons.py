"""Run every lesson anew, each in a clean kernel and a folder of its own, and keep its outputs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["LESSONS", "copy_lessons", "main", "run_lesson"]

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
_LONGEST_CELL = 120


def copy_lessons(folder: Path) -> None:
    """Put the lessons into `folder`: one reads its neighbours, and some write files beside them."""
    for path in LESSONS.glob("*.ipynb"):
        shutil.copy(path, folder)


def run_lesson(path: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """Return the notebook as a clean kernel leaves it, run in the folder that it is in.

    Raises nbclient's CellExecutionError where a cell fails that is not tagged raises-exception.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=_LONGEST_CELL,
        kernel_name="python3",
        # Without times and split streams, the outputs of two runs are equal.
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env={**os.environ, **(environment or {})})
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main(names: Sequence[str]) -> int:
    """Run the lessons with these file names, or all; return the exit code."""
    import nbformat
    from nbclient.exceptions import CellExecutionError

    for lesson in [LESSONS / name for name in names] or sorted(LESSONS.glob("*.ipynb")):
        if not lesson.is_file():
            click.echo(f"There is no lesson {lesson.name} in {LESSONS.name}/.", err=True)
            return 2
        before = time.monotonic()
        with TemporaryDirectory() as folder:
            copy_lessons(Path(folder))
            try:
                notebook = run_lesson(Path(folder, lesson.name))
            except CellExecutionError as error:
                why = f"{error.ename}: {error.evalue}"
                click.echo(f"{lesson.name} fails and stays as it was. {why}", err=True)
                return 1
        nbformat.write(notebook, lesson)  # type: ignore[no-untyped-call]
        click.echo(f"{lesson.name}  {time.monotonic() - before:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
