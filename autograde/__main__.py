"""The command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from autograde.errors import AutogradeError

__all__ = ["main"]

# What a shell expects of a command that Ctrl-C ended.
_INTERRUPTED = 130
_EXIT_CODES = {"passed": 0, "failed": 1, "broken": 3}


class _OneSentence(click.Group):
    """Tell an error in one sentence, with its exit code, and never as a traceback."""

    def invoke(self, context: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A terminal that has no ✔ shows a ? and not a traceback.
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(context)
        except AutogradeError as error:
            click.echo(str(error), err=True)
            context.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("\nStopped; nothing is lost.", err=True)
            context.exit(_INTERRUPTED)
        except BrokenPipeError:
            # Whoever read this has gone; Python would say so once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(3)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if os.environ.get("AUTOGRADE_TRACEBACK"):
                raise
            click.echo(
                f"autograde itself stumbled ({type(error).__name__}: {error}), which says nothing "
                "about your answer; AUTOGRADE_TRACEBACK=1 shows where.",
                err=True,
            )
            context.exit(3)


@click.group(cls=_OneSentence, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vanishing-tasks", prog_name="autograde")
def main() -> None:
    """Check answers to the exercises of Vanishing Tasks.

    Exit codes: 0 all passed, 1 something failed, 2 misuse, 3 this machine is at fault.
    """


@main.command()
@click.argument("exercise", required=False)
@click.option("--begun", is_flag=True, help="Check every exercise that is no longer as it was.")
@click.option("--files", is_flag=True, help="Check the files as they are now, not the notebook's.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--sandbox/--no-sandbox", default=True, help="Run the answer behind a wall.")
def check(exercise: str | None, begun: bool, files: bool, as_json: bool, sandbox: bool) -> None:
    """Check your own work on EXERCISE: a folder, a notebook, or a number such as 06."""
    from autograde.submission import project_root

    if begun == (exercise is not None):
        raise click.UsageError("Name one EXERCISE, or say --begun.")
    if exercise is not None:
        sys.exit(_check_one(exercise, files=files, as_json=as_json, sandbox=sandbox))
    from autograde.starters import begun_exercises

    names = begun_exercises(project_root())
    if not names:
        click.echo("No exercise is begun yet.", err=True)
    codes = [_check_one(name, files=files, as_json=as_json, sandbox=sandbox) for name in names]
    sys.exit(max(codes, default=0))


def _check_one(exercise: str, *, files: bool, as_json: bool, sandbox: bool) -> int:
    from autograde.check import check_work, collect_work
    from autograde.progress import note_check, steps_after
    from autograde.reports import next_text, result_text, summary_text
    from autograde.submission import project_root

    work = collect_work(exercise, from_files=files)
    if not as_json:
        count = len(work.exercise.checks)
        click.echo(f"{work.exercise.title}: {count} checks, please wait.\n")
    seen: set[str] = set()

    def show(result: Any) -> None:
        if not as_json:
            click.echo(result_text(result.as_json(), seen))

    # What a check prints is not the report's.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        report = check_work(work, sandbox=sandbox, on_result=show)
    told = report.as_json()
    note_check(project_root(), told)
    if told["outcome"] == "passed":
        told["next"] = steps_after(project_root(), told["exercise"])
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo()
        for remark in report.remarks:
            click.echo(f"Note: {remark}")
        click.echo("\n".join(filter(None, (summary_text(told), next_text(told)))))
    return _EXIT_CODES[report.outcome.value]


@main.command()
@click.argument("place", type=click.Path(path_type=Path), required=False)
@click.option("--assignment", metavar="EXERCISE", help="Grade this exercise only.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Gradings at once; most is waiting.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Grade on this Dask cluster.")
@click.option("--sandbox/--no-sandbox", default=True, help="Run answers behind a wall.")
@click.option("--gradebook/--no-gradebook", default=True, help="Enter grades into the gradebook.")
@click.option(
    "--tables",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where grades.csv, grades.json, grades.xml and gradescope/ go.  [classroom/grades]",
)
def grade(place: Path | None, tables: Path | None, scheduler: str | None, **options: Any) -> None:
    """Grade what a class handed in: a folder, a zip from an LMS, or classroom/submitted.

    An interrupted grading goes on where it stopped. What changed is graded again.
    """
    from autograde.grading import grade_class

    code = grade_class(place, tables, scheduler, **options)
    if code == _INTERRUPTED:
        # Nobody waits for the threads that still grade. What they started ends with this process.
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


@main.command()
@click.argument("listing", type=click.Path(path_type=Path, dir_okay=False))
def collect(listing: Path) -> None:
    """Take what students pushed to their repositories, for `autograde grade`.

    LISTING is a CSV file with the columns student and repository. Nothing of a repository is run.
    """
    from autograde.batch import load_exercises
    from autograde.repositories import collect as collect_all
    from autograde.repositories import read_listing
    from autograde.submission import project_root

    root = project_root()
    starters = load_exercises(root / "exercises")
    found = collect_all(read_listing(listing), starters, root / "classroom" / "submitted")
    for one in found:
        for line in one.wrong:
            click.echo(line, err=True)
        if not one.wrong and not one.exercises:
            click.echo(f"{one.student}: no exercise is begun.", err=True)
    answers = sum(len(one.exercises) for one in found)
    click.echo(f"{answers} answers from {len(found)} repositories are in classroom/submitted.")
    sys.exit(3 if any(one.wrong for one in found) else 0)


@main.command()
@click.argument("lms", type=click.Choice(["canvas", "moodle"]))
@click.argument("roster", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--assignment", metavar="EXERCISE", help="Export this exercise only.")
@click.option("--checks", is_flag=True, help="Export the points of each check too.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the file goes.  [classroom/grades/LMS.csv]",
)
def export(
    lms: str, roster: Path, assignment: str | None, checks: bool, output: Path | None
) -> None:
    """Fill the gradebook's points into ROSTER, for Canvas or Moodle to import.

    ROSTER is the CSV file that the LMS exports: its gradebook, or a grading worksheet of Moodle.
    The exit code is 1 if somebody's points found no place in it.
    """
    from autograde.exports import export_grades

    target, filled = export_grades(lms, roster, output, assignment=assignment, checks=checks)
    for line in (*filled.remarks, *filled.lost):
        click.echo(line, err=True)
    grades = "1 grade is" if filled.entered == 1 else f"{filled.entered} grades are"
    click.echo(f"{grades} in {target}: import that file.")
    sys.exit(1 if filled.lost else 0)


@main.command()
@click.option("--class", "whole_class", is_flag=True, help="Show the class that was graded here.")
def progress(whole_class: bool) -> None:
    """Show what is done, what is left, and the next step."""
    from autograde.progress import class_text, parts_text, read_parts
    from autograde.submission import project_root

    root = project_root()
    click.echo(class_text(root) if whole_class else parts_text(read_parts(root)))


@main.command()
@click.argument("exercise")
def reset(exercise: str) -> None:
    """Give EXERCISE back as it was handed out; your version is kept beside it."""
    from autograde.starters import reset as put_back

    path, kept = put_back(exercise)
    click.echo(f"{path.name} is as it was handed out. Your version is in {kept.name}.")


@main.command()
def doctor() -> None:
    """Look at this machine and say in one line each what to do."""
    from autograde.doctor import examine
    from autograde.submission import project_root

    wanting = 0
    for finding in examine(project_root()):
        wanting += finding.needed and not finding.good
        advice = f" → {finding.advice}" if not finding.good and finding.advice else ""
        click.echo(f"{finding.mark} {finding.what}: {finding.saw}{advice}")
    sys.exit(3 if wanting else 0)


@main.command()
@click.option("--check", "only_check", is_flag=True, help="Say what is stale; write nothing.")
@click.argument("names", nargs=-1)
def exercises(only_check: bool, names: tuple[str, ...]) -> None:
    """Generate exercises/ and the pages' tables from solutions/, all or the named ones."""
    from autograde.exercises import build, find_stale
    from autograde.submission import project_root
    from autograde.syllabus import stale_tables, write_tables

    root = project_root()
    if only_check:
        stale = [*find_stale(root), *stale_tables(root)]
        for line in stale:
            click.echo(line, err=True)
        if stale:
            click.echo("Something is not what solutions/ says: run `make exercises`.", err=True)
            sys.exit(1)
        return
    build(root, list(names) or None)
    write_tables(root)


@main.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the folder and the zip go.  [classroom/handout]",
)
def handout(output: Path | None) -> None:
    """Build the students' bundle, a folder and a zip, without anything to grade by."""
    from autograde.handout import build_handout
    from autograde.submission import project_root

    root = project_root()
    bundle = build_handout(root, output or root / "classroom" / "handout")
    size = bundle.stat().st_size / 1e6
    click.echo(f"{bundle} ({size:.1f} MB) and the folder beside it are for your students.")


@main.command()
@click.argument("exercise", nargs=-1)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the zips go.  [classroom/gradescope]",
)
def gradescope(exercise: tuple[str, ...], output: Path | None) -> None:
    """Build the autograder that Gradescope runs, a zip for each EXERCISE, or for all."""
    from autograde.gradescope import build_autograder
    from autograde.submission import project_root

    root = project_root()
    folder = output or root / "classroom" / "gradescope"
    slugs = exercise or sorted(path.name for path in (root / "solutions").glob("[0-9]*"))
    for slug in slugs:
        build_autograder(root, slug, folder)
    zips = "1 zip is" if len(slugs) == 1 else f"{len(slugs)} zips are"
    click.echo(f"{zips} in {folder}: upload each as the autograder of an assignment of its own.")


@main.command()
@click.argument("host", type=click.Choice(["github", "gitlab"]))
def workflow(host: str) -> None:
    """Write the workflow that grades in your own repository at HOST what students push."""
    from autograde.submission import project_root
    from autograde.workflows import write_workflow

    target = write_workflow(project_root(), host)
    click.echo(f"{target} says in its first lines what it needs; commit it when that is there.")


if __name__ == "__main__":
    main()
