"""Grade what a class handed in: read, grade side by side, write down, enter into the gradebook."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from autograde.batch import Task, grade_all, grade_task, load_exercises
from autograde.engine import Report
from autograde.errors import Misuse
from autograde.intake import Refused, Submission, find_submissions
from autograde.journal import Entry, Journal
from autograde.notebooks import grading_metadata
from autograde.places import Limits
from autograde.submission import choose_slug
from autograde.tables import Graded, as_csv, as_gradescope, as_json, as_junit
from autograde.walls import sandbox_program

__all__ = ["ClassGrading", "Settings"]


@dataclass(frozen=True)
class Settings:
    """How a class is graded."""

    root: Path
    jobs: int = 8
    sandbox: bool = True
    assignment: str | None = None
    limits: Limits = field(default_factory=Limits)
    pattern: str = ""
    gradebook: bool = True
    config: Any = None
    """nbgrader's, for the gradebook."""


class ClassGrading:
    """One run over a folder or a zip of submissions."""

    def __init__(self, place: Path, settings: Settings) -> None:
        if settings.sandbox:
            sandbox_program()
        self.settings = settings
        self.exercises = load_exercises(settings.root / "solutions")
        assignment = settings.assignment and choose_slug(settings.assignment, self.exercises)
        ids = {slug: _grade_ids(notebook) for slug, notebook in self.exercises.items()}
        self._instructors = {slug: json.dumps(nb) for slug, nb in self.exercises.items()}
        self.submissions, self.refused = find_submissions(
            place, ids, assignment=assignment, pattern=settings.pattern
        )
        if not self.submissions:
            why = f" ({self.refused[0].name}: {self.refused[0].why})" if self.refused else ""
            raise Misuse(f"There is nothing to grade in {place}{why}.")
        self.outcomes: Counter[str] = Counter()
        self.graded_before = 0
        """How many of the class's grades are not of this run's submissions."""

    @property
    def classroom(self) -> Path:
        return self.settings.root / "classroom"

    @property
    def _journal_path(self) -> Path:
        return self.classroom / "grading" / "journal.jsonl"

    def run(
        self,
        *,
        executor: Executor | None = None,
        on_done: Callable[[Entry], None] = lambda _: None,
        work: Callable[[Task], dict[str, Any]] = grade_task,
    ) -> list[Graded]:
        """Grade what is not graded yet; return the class's grades, in order of names.

        They are the newest grades of everybody who has one for an exercise that this run is about:
        what came in another zip, or earlier, is no less graded.
        """
        with contextlib.ExitStack() as stack:
            journal = stack.enter_context(Journal(self._journal_path))
            if executor is None:
                executor = ThreadPoolExecutor(self.settings.jobs, thread_name_prefix="grade")
                stack.push(_end_with(executor))
            writer = _Writer(journal, self.settings.config) if self.settings.gradebook else None
            if writer is not None:
                stack.enter_context(writer)
            done: set[tuple[str, str]] = set()
            for entry in self._grade(journal, executor, work):
                self.outcomes[str(entry.report["outcome"])] += 1
                if writer is not None and not entry.entered:
                    writer.enter(entry, self._data[entry.student, entry.slug])
                done.add((entry.student, entry.slug))
                on_done(entry)
            found = list(self._newest(journal, done))
        self.graded_before = len(found) - len(done)
        return found

    def _newest(self, journal: Journal, done: set[tuple[str, str]]) -> Iterator[Graded]:
        given = {(submission.student, submission.slug) for submission in self.submissions}
        slugs = {slug for _, slug in given}
        for entry in journal:
            key = entry.student, entry.slug
            # What was handed in anew and could not be read leaves no earlier grade standing.
            if key in done or (entry.slug in slugs and key not in given):
                yield Graded(entry.student, entry.slug, entry.report)

    def _grade(
        self, journal: Journal, executor: Executor, work: Callable[[Task], dict[str, Any]]
    ) -> Iterator[Entry]:
        self._data: dict[tuple[str, str], Submission] = {}
        known: list[Entry] = []

        def tasks() -> Iterator[Task]:
            for submission in self.submissions:
                self._data[submission.student, submission.slug] = submission
                try:
                    task = self._task(submission, submission.read())
                except Misuse as error:
                    self.refused.append(Refused(submission.name, str(error)))
                    continue
                entry = journal.find(task.student, task.slug, task.fingerprint)
                if entry is None:
                    yield task
                else:
                    known.append(entry)

        for task, report in grade_all(tasks(), executor, self.settings.jobs, work=work):
            yield journal.note_graded(task.student, task.slug, task.fingerprint, report)
            while known:
                yield known.pop()
        while known:
            yield known.pop()

    def _task(self, submission: Submission, data: bytes) -> Task:
        return Task(
            submission.student,
            submission.slug,
            submission.name,
            data,
            self._instructors[submission.slug],
            self.settings.limits,
            self.settings.sandbox,
        )

    def count_kept(self) -> int:
        """Count the submissions whose grades are written down, whoever was interrupted when."""
        journal = Journal(self._journal_path)
        journal.load()
        kept = 0
        for submission in self.submissions:
            with contextlib.suppress(Misuse):
                task = self._task(submission, submission.read())
                kept += journal.find(task.student, task.slug, task.fingerprint) is not None
        return kept

    def write_tables(self, graded: list[Graded], folder: Path) -> list[Path]:
        """Write the grades as CSV, JSON, JUnit XML, and a Gradescope file each."""
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            "grades.csv": as_csv(graded),
            "grades.json": as_json(graded),
            "grades.xml": as_junit(graded),
        }
        for row in graded:
            texts[f"gradescope/{row.student}/{row.slug}.json"] = as_gradescope(row.report)
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return [folder / name for name in texts if "/" not in name]


def _end_with(executor: Executor) -> Callable[..., None]:
    """Return what ends the executor's threads; after Ctrl-C it waits for none: it may take long."""

    def leave(kind: type[BaseException] | None, *_: object) -> None:
        executor.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)

    return leave


def _grade_ids(notebook: dict[str, Any]) -> list[str]:
    metadata = [grading_metadata(cell) for cell in notebook["cells"]]
    return [found["grade_id"] for found in metadata if found]


class _Writer:
    """The one thread that writes the gradebook, while others still grade."""

    def __init__(self, journal: Journal, config: Any) -> None:
        self._journal = journal
        self._config = config
        self._waiting: list[tuple[Entry, Submission]] = []
        self._more = threading.Condition()
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gradebook")

    def enter(self, entry: Entry, submission: Submission) -> None:
        with self._more:
            if self._error is not None:
                raise self._error
            self._waiting.append((entry, submission))
            self._more.notify()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._more:
            self._closing = True
            if kind is not None:
                # What is not entered yet is entered by the next run.
                self._waiting.clear()
            self._more.notify()
        self._thread.join()
        if self._error is not None and kind is None:
            raise self._error

    def _run(self) -> None:
        try:
            from autograde.gradebook import Classroom

            classroom = Classroom(self._config)
            while True:
                with self._more:
                    while not self._waiting and not self._closing:
                        self._more.wait()
                    if not self._waiting:
                        return
                    entry, submission = self._waiting.pop(0)
                self._enter(classroom, entry, submission)
        except BaseException as error:  # noqa: BLE001 - it is raised where the run is
            self._error = error

    def _enter(self, classroom: Any, entry: Entry, submission: Submission) -> None:
        classroom.keep(entry.student, entry.slug, submission.read())
        classroom.enter(entry.student, entry.slug, Report.from_json(entry.report))
        self._journal.note_entered(entry)
