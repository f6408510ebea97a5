"""Check one's own work: what `autograde check` and the cell in the notebook do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from autograde.engine import Report, Result, grade
from autograde.errors import BrokenEnvironment, Misuse
from autograde.notebooks import read_notebook
from autograde.places import OwnMachine, Sandbox
from autograde.submission import Exercise, find_exercise, rebuild
from autograde.walls import sandbox_program

__all__ = ["Work", "check_work", "collect_work"]


@dataclass(frozen=True)
class Work:
    """An exercise and the files that are to be checked as its answer."""

    exercise: Exercise
    files: dict[str, str]
    remarks: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    """The hidden checks whose text is not on this machine, by grade_id."""


def collect_work(name: str, *, from_files: bool = False) -> Work:
    """Read the answer from the notebook's cells, or from the files that they wrote.

    The checks come from the instructor's notebook where the course has it, and from the
    learner's own otherwise: then only those that are not hidden.
    """
    path = find_exercise(name)
    submitted = read_notebook(path)
    source = _instructors(path)
    instructor = submitted if source is None else read_notebook(source)
    exercise = Exercise.from_notebook(path.stem, instructor)
    elsewhere = [check.grade_id for check in exercise.checks if check.is_empty]
    exercise = exercise.without(elsewhere)
    if not exercise.checks:
        raise Misuse(f"{path.name} has no checks: it is not an exercise, or they were deleted.")
    notebook, remarks = rebuild(instructor, submitted)
    files = exercise.files_of(notebook)
    if from_files:
        files, remarks = _written(path.parent, files)
    return Work(exercise, files, tuple(remarks), tuple(elsewhere))


def _instructors(path: Path) -> Path | None:
    for folder in path.parents:
        source = folder / "solutions" / path.stem / path.name
        if source.is_file():
            return source
    return None


def _written(folder: Path, cells: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    files, remarks = {}, []
    for name, text in cells.items():
        try:
            files[name] = (folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise Misuse(
                f"There is no {name} here yet: run the cell that begins with "
                f"`%%writefile {name}`, then check again."
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise Misuse(f"{name} cannot be read ({error}); run its cell again.") from None
        if files[name].strip() != text.strip():
            remarks.append(
                f"{name} was checked as it is now. The saved notebook has another version of it: "
                "save the notebook before you hand it in."
            )
    return files, remarks


def check_work(
    work: Work,
    *,
    sandbox: bool = True,
    on_result: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Grade the work; without a sandbox, on this machine as it is, and a remark says so."""
    remarks = work.remarks
    place: type[OwnMachine] = Sandbox
    if not sandbox:
        place = OwnMachine
    else:
        try:
            sandbox_program()
        except BrokenEnvironment as error:
            place = OwnMachine
            remarks = (*remarks, f"Checked without a sandbox. {error}")
    report = grade(work.exercise, work.files, place, remarks=remarks, on_result=on_result)
    return replace(report, elsewhere=work.elsewhere)
