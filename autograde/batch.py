"""Grade many submissions at once, on any executor; each one travels by value."""

from __future__ import annotations

import functools
import hashlib
import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autograde.engine import Report, Result, grade
from autograde.errors import AutogradeError, Misuse
from autograde.notebooks import parse_notebook, read_notebook
from autograde.places import Confined, Limits, OwnMachine, Sandbox
from autograde.submission import Exercise, rebuild
from tasklab.verdicts import Outcome, Verdict

__all__ = ["Task", "fingerprint_of", "grade_all", "grade_task", "load_exercises", "open_many_files"]

_MOST_FILES = 65_536


@dataclass(frozen=True)
class Task:
    """All that one grading needs, and nothing that is not plain data."""

    student: str
    slug: str
    name: str
    submitted: bytes
    instructor: str
    """The instructor's notebook, as JSON."""
    limits: Limits
    sandbox: bool = True

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(self)


def fingerprint_of(task: Task) -> str:
    """Return what changes when the same work would have to be graded again."""
    digest = hashlib.sha256()
    limits = json.dumps(asdict(task.limits), sort_keys=True)
    release = version("vanishing-tasks")
    for part in (task.submitted, task.instructor.encode(), limits.encode(), release.encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def load_exercises(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the instructor's notebooks in solutions/ by slug; raise Misuse if there are none."""
    found = {
        path.stem: read_notebook(path)
        for path in sorted(folder.glob("*/*.ipynb"))
        if path.stem == path.parent.name
    }
    if not found:
        raise Misuse(f"There are no exercises in {folder}: grading needs the solutions/ folder.")
    return found


def grade_task(
    task: Task, *, confined: type[Confined] = Sandbox, warm: bool = True
) -> dict[str, Any]:
    """Grade one submission and return the report as JSON; whatever happens, there is one."""
    began = time.monotonic()
    exercise, instructor = _exercise(task.slug, task.instructor)
    try:
        submitted = parse_notebook(task.submitted, Path(task.name).name)
    except Misuse as error:
        return _refuse(exercise, str(error)).as_json()
    try:
        notebook, remarks = rebuild(instructor, submitted)
        place: Callable[..., OwnMachine] = (
            functools.partial(confined, limits=task.limits) if task.sandbox else OwnMachine
        )
        files = exercise.files_of(notebook)
        start = time.monotonic() - began
        report = grade(exercise, files, functools.partial(place, warm=warm), remarks=tuple(remarks))
        return replace(report, seconds={"start": start, **report.seconds}).as_json()
    except AutogradeError as error:
        return _all_broken(exercise, str(error)).as_json()
    except Exception as error:  # noqa: BLE001 - the next one is graded all the same
        why = f"the grader stumbled over it ({type(error).__name__}: {error})"
        return _all_broken(exercise, why).as_json()


def open_many_files() -> None:
    """Let this process open as many files as the system lets it: each app holds connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@functools.lru_cache(maxsize=64)
def _exercise(slug: str, text: str) -> tuple[Exercise, dict[str, Any]]:
    notebook = json.loads(text)
    return Exercise.from_notebook(slug, notebook), notebook


def _every_check(exercise: Exercise, outcome: Outcome, saw: str, expected: str) -> Report:
    results = tuple(
        Result(
            check.grade_id,
            check.points,
            check.hidden,
            Verdict(outcome, check.grade_id, saw, expected, ""),
        )
        for check in exercise.checks
    )
    return Report(exercise.slug, results, (saw,))


def _refuse(exercise: Exercise, why: str) -> Report:
    """Fail what cannot be read at all: running it again would change nothing."""
    return _every_check(exercise, Outcome.FAILED, why, "a notebook")


def _all_broken(exercise: Exercise, why: str) -> Report:
    return _every_check(exercise, Outcome.BROKEN, why, "")


def grade_all(
    tasks: Iterable[Task],
    executor: Executor,
    jobs: int,
    *,
    work: Callable[[Task], dict[str, Any]] = grade_task,
) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Yield each task with its report as it ends; never more than `jobs` are under way.

    `tasks` is read no faster than it is graded, so a large class needs no more memory than a
    small one. A task whose worker was lost is handed in once more.
    """
    waiting = iter(tasks)
    running: dict[Future[dict[str, Any]], tuple[Task, int]] = {}

    def submit(task: Task, losses: int = 0) -> None:
        running[executor.submit(work, task)] = task, losses

    try:
        for task in waiting:
            submit(task)
            if len(running) >= jobs:
                yield from _finished(running, submit)
        while running:
            yield from _finished(running, submit)
    finally:
        for future in running:
            future.cancel()


def _finished(
    running: dict[Future[dict[str, Any]], tuple[Task, int]],
    submit: Callable[[Task, int], None],
) -> Iterator[tuple[Task, dict[str, Any]]]:
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        task, losses = running.pop(future)
        try:
            yield task, future.result()
        except (Exception, CancelledError) as error:  # noqa: BLE001 - a worker may end in any way
            if not losses:
                submit(task, losses + 1)
                continue
            exercise, _ = _exercise(task.slug, task.instructor)
            why = f"the process that graded it was lost twice ({type(error).__name__})"
            yield task, _all_broken(exercise, why).as_json()
