"""Time a class: this grader against stock nbgrader, on the same submissions, in one run.

`make bench-class` prints figures and asserts nothing but that both come to the same points.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import click

from autograde.notebooks import grading_metadata, read_notebook, source_of, split_writefile
from autograde.planting import plant
from autograde.submission import project_root

__all__ = ["main"]

_STOCK = """\
c = get_config()
c.CourseDirectory.course_id = "stock"
c.CourseDirectory.root = {root!r}
c.Execute.timeout = 180
"""


class Cost(NamedTuple):
    """What grading a class took; times in seconds, memory in bytes."""

    wall: float
    processor: float
    peak: int


def _answered(root: Path, slug: str, *, solved: bool) -> dict[str, Any]:
    """The handed-out notebook, as a learner hands it in: solved, or as it was."""
    notebook = read_notebook(root / "exercises" / slug / f"{slug}.ipynb")
    source = read_notebook(root / "solutions" / slug / f"{slug}.ipynb")
    texts = {}
    for cell in source["cells"]:
        metadata = grading_metadata(cell)
        name, text = split_writefile(source_of(cell))
        if metadata.get("solution") and name is not None:
            texts[metadata["grade_id"]] = f"%%writefile {name}\n{plant(text, name).solution}"
    for cell in notebook["cells"]:
        if solved and (found := texts.get(grading_metadata(cell).get("grade_id", ""))):
            cell["source"] = found
    return notebook


def _make_class(root: Path, submitted: Path, slugs: list[str], count: int) -> None:
    """Write `count` submissions, one in three of them wrong."""
    for number in range(count):
        slug = slugs[number % len(slugs)]
        learner = f"learner-{number // len(slugs):03}"
        solved = (number // len(slugs)) % 3 != 2
        path = submitted / learner / slug / f"{slug}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(_answered(root, slug, solved=solved)), encoding="utf-8")


def _run(
    command: list[str], folder: Path, environment: dict[str, str] | None = None, *, good: set[int]
) -> Cost:
    """Run a command and all that it starts; the peak is that of its largest process."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in good:
        raise click.ClickException(f"{command[2:]} ended with {done.returncode}:\n{done.stderr}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - start, processor, after.ru_maxrss * 1024)


def _ours(folder: Path, jobs: int) -> Cost:
    command = [sys.executable, "-m", "autograde", "grade", "--jobs", str(jobs)]
    return _run(command, folder, good={0, 1})


def _stock(folder: Path, slugs: list[str]) -> Cost:
    """Nbgrader as it comes: serial, in a kernel, without a wall."""
    settings = folder / "etc"
    settings.mkdir()
    (settings / "nbgrader_config.py").write_text(_STOCK.format(root=str(folder)), encoding="utf-8")
    chosen = {
        "JUPYTER_CONFIG_DIR": str(settings),
        # This environment brings a configuration of its own, and that one is not stock.
        "JUPYTER_NO_CONFIG": "1",
        # nbgrader runs alembic by its bare name.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    }
    command = [sys.executable, "-m", "nbgrader"]
    for slug in slugs:
        _run([*command, "generate_assignment", slug], settings, chosen, good={0})
    grade = [*command, "autograde", "--create"]
    costs = [_run([*grade, slug], settings, chosen, good={0}) for slug in slugs]
    wall, processor, peaks = zip(*costs, strict=True)
    return Cost(sum(wall), sum(processor), max(peaks))


def _points(database: Path) -> dict[tuple[str, str], float]:
    """Return the sum of automatic scores by learner and exercise."""
    query = """
        select submitted_assignment.student_id, assignment.name, sum(grade.auto_score)
        from grade
        join submitted_notebook on grade.notebook_id = submitted_notebook.id
        join submitted_assignment on submitted_notebook.assignment_id = submitted_assignment.id
        join assignment on submitted_assignment.assignment_id = assignment.id
        group by 1, 2
    """
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(query).fetchall()
    return {(student, slug): points for student, slug, points in rows}


def _row(name: str, cost: Cost, count: int) -> None:
    figures = (cost.wall, 60 * count / cost.wall, cost.processor / count, cost.peak / 1024**2)
    click.echo("{:<26} {:8.1f} {:10.1f} {:10.2f} {:10.0f}".format(name, *figures))


@click.command()
@click.option("--count", default=48, show_default=True, help="Submissions, one in three wrong.")
@click.option("--jobs", default=8, show_default=True, help="Gradings at once, here.")
@click.option("--exercises", default="01,04,06,07", show_default=True, help="Which, by number.")
@click.option("--cold", default=3, show_default=True, help="Fresh processes for each exercise.")
@click.option("--stock/--no-stock", default=True, help="Run stock nbgrader as well.")
def main(count: int, jobs: int, exercises: str, cold: int, stock: bool) -> None:
    """Grade the same class here and with stock nbgrader, and print what each took."""
    root = project_root()
    numbers = exercises.split(",")
    slugs = [
        path.name
        for path in sorted((root / "solutions").glob("[0-9]*"))
        if path.name[:2] in numbers
    ]
    click.echo(f"{count} submissions to {', '.join(slugs)}, one in three wrong")
    click.echo(f"{'':<26} {'wall s':>8} {'a minute':>10} {'CPU s each':>10} {'peak MiB':>10}")
    with tempfile.TemporaryDirectory(prefix="class-bench-") as name:
        ours, stocks = Path(name) / "ours", Path(name) / "stock"
        for folder in ("solutions", "exercises"):
            shutil.copytree(root / folder, ours / folder)
        shutil.copytree(root / "solutions", stocks / "source")
        _make_class(root, ours / "classroom" / "submitted", slugs, count)
        shutil.copytree(ours / "classroom" / "submitted", stocks / "submitted")
        cost = _ours(ours, jobs)
        _row(f"autograde, {jobs} at once", cost, count)
        warm = _reports(ours)
        outcomes = Counter(report["outcome"] for report in warm)
        click.echo(
            f"  {', '.join(f'{number} {name}' for name, number in sorted(outcomes.items()))}"
        )
        _phases(f"warm, {jobs} at once", [report["seconds"] for report in warm])
        _phases("cold, one alone", [_cold(ours, slug) for slug in slugs for _ in range(cold)])
        if not stock:
            return
        theirs = _stock(stocks, slugs)
        _row("stock nbgrader", theirs, count)
        click.echo(f"{theirs.wall / cost.wall:.1f} times the throughput, isolated")
        _compare(_points(ours / "classroom" / "gradebook.db"), _points(stocks / "gradebook.db"))


def _reports(folder: Path) -> list[dict[str, Any]]:
    path = folder / "classroom" / "grades" / "grades.json"
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _cold(course: Path, slug: str) -> dict[str, float]:
    """The phases of one right answer in a process of its own, whose start is all that is left."""
    aside = course / "cold"
    shutil.rmtree(course / "classroom" / "grading")
    shutil.copytree(course / "classroom" / "submitted" / "learner-000" / slug, aside / "ada" / slug)
    command = [sys.executable, "-m", "autograde", "grade", str(aside), "--no-gradebook"]
    cost = _run(command, course, good={0})
    shutil.rmtree(aside)
    (report,) = _reports(course)
    phases: dict[str, float] = report["seconds"]
    return {**phases, "start": cost.wall - sum(phases.values()) + phases["start"]}


def _phases(what: str, gradings: list[dict[str, float]]) -> None:
    """Print where the time of a grading goes, as percentiles."""
    for phase in (*gradings[0], "all"):
        seconds = sorted(sum(g.values()) if phase == "all" else g[phase] for g in gradings)
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        figures = f"p50 {cuts[49]:6.2f} s   p90 {cuts[89]:6.2f} s   p99 {cuts[98]:6.2f} s"
        click.echo(f"  {what:<16} {phase:<8} {figures}")


def _compare(ours: dict[tuple[str, str], float], theirs: dict[tuple[str, str], float]) -> None:
    different = {key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}
    click.echo(f"{len(ours) - len(different)} of {len(ours)} have the same points in both")
    for key in sorted(different):
        click.echo(f"  {' '.join(key)}: {ours.get(key)} here, {theirs.get(key)} there")


if __name__ == "__main__":
    main()
