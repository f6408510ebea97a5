"""Time what a person waits for: `make bench` prints figures and asserts nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from autograde.engine import grade
from autograde.lessons import copy_lessons, run_lesson
from autograde.notebooks import read_notebook, split_writefile
from autograde.places import OwnMachine, Sandbox
from autograde.planting import plant
from autograde.submission import Exercise, project_root

__all__ = ["main"]

_TIMED = ("06-everyone-waits-for-one-letter", "10-killed-at-thirty")
_LESSON = "00-start-here"


def _solution(root: Path, slug: str) -> tuple[Exercise, dict[str, str]]:
    path = root / "solutions" / slug / f"{slug}.ipynb"
    exercise = Exercise.load(path)
    files = exercise.files_of(read_notebook(path))
    return exercise, {name: plant(text, name).solution for name, text in files.items()}


def _time(action: Callable[[], Any], runs: int) -> list[float]:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return seconds


def _row(label: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    click.echo(
        f"{label:<58} {ordered[0]:6.2f} {statistics.median(ordered):7.2f} {ordered[-1]:6.2f}"
    )


def _command(root: Path, slug: str, files: dict[str, str]) -> Callable[[], None]:
    """A whole `autograde check` of a passing notebook, as a learner starts it."""
    import json

    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    target = folder / "exercises" / slug / f"{slug}.ipynb"
    target.parent.mkdir(parents=True)
    (folder / "solutions").symlink_to(root / "solutions")
    notebook = read_notebook(root / "exercises" / slug / f"{slug}.ipynb")
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        name, _ = split_writefile(source)
        if cell["cell_type"] == "code" and name in files:
            cell["source"] = f"%%writefile {name}\n{files[name]}"
    target.write_text(json.dumps(notebook), encoding="utf-8")

    def run() -> None:
        finished = subprocess.run(
            [sys.executable, "-m", "autograde", "check", str(target)],
            capture_output=True, text=True,
        )  # fmt: skip
        if finished.returncode:
            raise click.ClickException(f"the solution of {slug} did not pass:\n{finished.stdout}")

    return run


@click.command()
@click.option("--runs", default=5, show_default=True, help="Runs of each; one more goes before.")
def main(runs: int) -> None:
    """Print the seconds that checks, isolation and the first lesson take."""
    root = project_root()
    click.echo(f"{'seconds, over ' + str(runs) + ' runs':<58} {'min':>6} {'median':>7} {'max':>6}")
    for slug in _TIMED:
        exercise, files = _solution(root, slug)
        command = _command(root, slug, files)
        command()
        _row(f"autograde check {slug}", _time(command, runs))
        inside, outside = [], []
        for _ in range(runs):
            # In turn, so that a machine that slows down slows both.
            inside += _time(lambda e=exercise, f=files: grade(e, f, Sandbox), 1)  # type: ignore[misc]
            outside += _time(lambda e=exercise, f=files: grade(e, f, OwnMachine), 1)  # type: ignore[misc]
        _row("  the engine alone, behind the wall", inside)
        _row("  the engine alone, without it", outside)
        ratios = [a / b for a, b in zip(inside, outside, strict=True)]
        cost = 100 * (statistics.median(ratios) - 1)
        click.echo(f"  isolation costs {cost:+.0f} % (median ratio)")
    _row(f"lesson {_LESSON}", _time(lambda: _execute(f"{_LESSON}.ipynb"), min(runs, 3)))


def _execute(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy_lessons(Path(folder))
        run_lesson(Path(folder, name))


if __name__ == "__main__":
    main()
