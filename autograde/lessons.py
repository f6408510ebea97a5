"""Run every lesson anew, each in a clean kernel and a folder of its own, and keep its outputs."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from tasklab.metronome import Metronome

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = [
    "LESSONS",
    "LessonRun",
    "copy_lessons",
    "lesson_executor",
    "main",
    "run_apart",
    "run_lesson",
]

LESSONS = Path(__file__).resolve().parent.parent / "notebooks"
_LONGEST_CELL = 120
_AT_ONCE = 3
# A quarter of what the lessons' worker timeouts leave to a worker that has done nothing wrong.
_LATE = 0.5


def copy_lessons(folder: Path) -> None:
    """Put the lessons into `folder`: one reads its neighbours, and some write files beside them."""
    for path in (*LESSONS.glob("*.ipynb"), *LESSONS.glob("*.json")):
        shutil.copy(path, folder)


def run_lesson(path: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """Return the notebook as a clean kernel leaves it, run in the folder that it is in.

    Raises nbclient's CellExecutionError where a cell fails that is not tagged raises-exception.
    """
    import nbformat
    import zmq
    from nbclient import NotebookClient
    from traitlets.config import Config

    config = Config()
    if zmq.has("curve"):
        config.KernelManager.transport_encryption = "auto"  # else the kernel warns that it has none
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=_LONGEST_CELL,
        kernel_name="python3",
        # Without times and split streams, the outputs of two runs are equal.
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        config=config,
    )
    client.execute(env={**os.environ, **(environment or {})})
    notebook.metadata.language_info = {"name": "python"}
    return notebook


@dataclass(frozen=True)
class LessonRun:
    """A notebook as a clean kernel left it, and what that took, in seconds."""

    notebook: NotebookNode
    seconds: float
    processor_time: float
    """Of the kernel and of all that it started and waited for."""


def run_apart(path: Path, environment: Mapping[str, str] | None = None) -> LessonRun:
    """Run a lesson as run_lesson() does, in a process that measures nothing else meanwhile.

    The lessons show timeouts that kill. On a machine that let nothing run for half a second, what
    was killed says nothing about the lesson: if it failed there, it is run once more.
    """
    from nbclient.exceptions import CellExecutionError

    with Metronome() as metronome:
        try:
            return _measure(path, environment)
        except CellExecutionError:
            if metronome.lateness < _LATE:
                raise
    return _measure(path, environment)


def _measure(path: Path, environment: Mapping[str, str] | None) -> LessonRun:
    began, used = time.monotonic(), _used_by_children()
    notebook = run_lesson(path, environment)
    return LessonRun(notebook, time.monotonic() - began, _used_by_children() - used)


def lesson_executor() -> ProcessPoolExecutor:
    """Return an executor for run_apart(): most of a lesson is waiting, so some run at once."""
    return ProcessPoolExecutor(_AT_ONCE, mp_context=multiprocessing.get_context("spawn"))


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _find_lessons(names: Iterable[str]) -> list[Path]:
    lessons = sorted(LESSONS.glob("*.ipynb"))
    found = {}
    for name in names:
        called_so = [path for path in lessons if name in (path.name, path.stem, path.stem[:2])]
        if not called_so:
            raise click.UsageError(
                f"There is no lesson {name} in {LESSONS.name}/: give the name of its file, "
                "or its number."
            )
        found.update(dict.fromkeys(called_so))
    return list(found) or lessons


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[LESSON]...")
def main(names: tuple[str, ...]) -> None:
    """Run each LESSON anew, or all of them, and keep the outputs.

    LESSON is the name of its file, with or without .ipynb, or its number. One that fails stays as
    it was, and the exit code is 1.
    """
    import nbformat
    from nbclient.exceptions import CellExecutionError

    failed = 0
    with TemporaryDirectory() as parent, lesson_executor() as executor:
        runs = {}
        for lesson in _find_lessons(names):
            folder = Path(parent, lesson.stem)
            folder.mkdir()
            copy_lessons(folder)
            runs[executor.submit(run_apart, folder / lesson.name)] = lesson
        for finished in as_completed(runs):
            lesson = runs[finished]
            try:
                run = finished.result()
            except CellExecutionError as error:
                why = f"{error.ename}: {error.evalue}"
                click.echo(f"{lesson.name} fails and stays as it was. {why}", err=True)
                failed = 1
            else:
                nbformat.write(run.notebook, lesson)  # type: ignore[no-untyped-call]
                click.echo(f"{lesson.name}  {run.seconds:.1f} s")
    sys.exit(failed)


if __name__ == "__main__":
    main()
