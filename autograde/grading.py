"""What `autograde grade` shows while it works, and says at the end."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autograde.batch import open_many_files
from autograde.classes import ClassGrading, Settings
from autograde.errors import BrokenEnvironment
from autograde.nbgrader_config import load_config
from autograde.places import Limits
from autograde.submission import project_root
from autograde.tables import reason

if TYPE_CHECKING:
    from autograde.journal import Entry

__all__ = ["grade_class"]

_EXIT_CODES = {"passed": 0, "failed": 1, "broken": 3}


def grade_class(
    place: Path | None, tables: Path | None, scheduler: str | None, **options: Any
) -> int:
    """Grade a class, show how it goes and return the exit code."""
    root = project_root()
    submitted = root / "classroom" / "submitted"
    open_many_files()
    config = load_config(root)
    limits = Limits(**config.RunChecks.get("limits", {}))
    pattern = str(config.FileNameCollectorPlugin.get("named_regexp", ""))
    settings = Settings(root, config=config, limits=limits, pattern=pattern, **options)
    try:
        grading = ClassGrading(place or submitted, settings)
    except BrokenEnvironment as error:
        raise BrokenEnvironment(
            f"{error} Other people's code is not run without one, unless you say --no-sandbox."
        ) from None
    total = len(grading.submissions)
    what = "submission" if total == 1 else "submissions"
    click.echo(f"{total} {what}, {options['jobs']} at once.")
    shown: Any = click.progressbar(
        length=total,
        show_pos=True,
        item_show_func=lambda _: _tally(grading),
        # Without a terminal click would print the bar's empty label.
        hidden=not sys.stdout.isatty(),
    )
    with _executor(scheduler) as executor, shown as bar:

        def show(entry: Entry) -> None:
            if why := reason(entry.report):
                _print_above(f"{_mark(entry)} {entry.student}, {entry.slug}: {why}")
            bar.update(1, entry)

        try:
            graded = grading.run(executor=executor, on_done=show)
        except KeyboardInterrupt:
            # Not those that were shown: a grade may be kept and not shown yet.
            kept = grading.count_kept()
            click.echo(
                f"\nStopped: {kept} of {total} are graded and kept; the same command goes on.",
                err=True,
            )
            return 130
    for refused in grading.refused:
        click.echo(f"Not graded: {refused.name}: {refused.why}", err=True)
    paths = grading.write_tables(graded, tables or root / "classroom" / "grades")
    before = f", with {grading.graded_before} graded before" if grading.graded_before else ""
    tables_are = ", ".join(_short(path) for path in paths)
    click.echo(f"{_tally(grading)}. Tables{before}: {tables_are}.")
    if grading.outcomes["broken"]:
        click.echo(
            "The broken ones have no grade, and that is no fault of theirs: run the same command "
            "again; only they are graded.",
            err=True,
        )
    worst = [name for name in ("broken", "failed", "passed") if grading.outcomes[name]]
    return _EXIT_CODES[worst[0]] if worst else 3


def _mark(entry: Entry) -> str:
    return "?" if entry.is_broken else "✘"


def _tally(grading: ClassGrading) -> str:
    return ", ".join(f"{grading.outcomes[name]} {name}" for name in ("passed", "failed", "broken"))


def _print_above(line: str) -> None:
    if sys.stdout.isatty():
        line = f"\r{' ' * (shutil.get_terminal_size().columns - 1)}\r{line}"
    click.echo(line)


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


@contextlib.contextmanager
def _executor(scheduler: str | None) -> Iterator[Executor | None]:
    """The executor of a Dask cluster, or None for threads of this process."""
    if scheduler is None:
        yield None
        return
    from autograde.cluster import connect

    with connect(scheduler) as executor:
        yield executor
