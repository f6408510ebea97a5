"""Write reports into nbgrader's gradebook, through nbgrader itself: one process, one at a time.

Heavy to import, because nbgrader is; grading begins without this module.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from nbgrader.converters.generate_assignment import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from traitlets.config import Config

from autograde.errors import BrokenEnvironment, Misuse
from autograde.exercises import Listener
from autograde.nbgrader_config import with_converters
from autograde.preprocessors import ready_reports
from autograde.rosters import Score

if TYPE_CHECKING:
    from autograde.engine import Report

__all__ = ["Classroom"]

_OTHER_CELLS = "Cannot add or remove cells"


class Classroom:
    """The gradebook and the folders of a course, as nbgrader is configured for it."""

    def __init__(self, config: Config) -> None:
        self.config = with_converters(config)
        self.course = CourseDirectory(config=self.config)
        self._registered: set[str] = set()
        for name in ("autograde", "traitlets"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    @property
    def root(self) -> Path:
        return Path(self.course.root)

    def submitted(self, student: str, slug: str) -> Path:
        """Where nbgrader looks for this submission."""
        folder = self.course.format_path(self.course.submitted_directory, student, slug)
        return Path(folder) / f"{slug}.ipynb"

    def keep(self, student: str, slug: str, data: bytes) -> None:
        """Put a submission where nbgrader expects it, if it is not there already."""
        path = self.submitted(student, slug)
        if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # A reader, or a crash, never meets half a file.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).chmod(0o644)
        Path(name).replace(path)

    def register(self, slug: str) -> None:
        """Tell the gradebook of an exercise, unless it knows its checks and their points."""
        if slug in self._registered:
            return
        with _one_sentence(), tempfile.TemporaryDirectory(prefix="release-") as folder:
            config = self._aside(slug)
            # What is handed out stays as it is.
            config.CourseDirectory.release_directory = folder
            _convert(GenerateAssignment, config, force=True, create_assignment=True)
        self._registered.add(slug)

    def enter(self, student: str, slug: str, report: Report) -> None:
        """Record one report: the scores, and the graded notebook for the formgrader.

        Feedback is left to nbgrader's `generate_feedback`, when a teacher wants it given out.
        """
        self.register(slug)
        with _one_sentence(), ready_reports({(student, slug): report}):
            config = self._aside(slug, student)
            _convert(Autograde, config, force=True, create_student=True)

    def _aside(self, slug: str, student: str = "*") -> Config:
        config = Config(self.config)
        config.CourseDirectory.assignment_id = slug
        config.CourseDirectory.student_id = student
        return config

    def score(self, student: str, slug: str) -> tuple[float, float] | None:
        """The points that the gradebook has, manual ones included, and the most there are."""
        with Gradebook(self.course.db_url, self.course.course_id) as gradebook:
            try:
                submission = gradebook.find_submission(slug, student)
            except MissingEntry:
                return None
            return submission.score, submission.max_score

    def scores(self) -> list[Score]:
        """What everybody has, as nbgrader's own export counts it: late penalties are taken off.

        Where a check waits for a person, or for another run, there are no points.
        """
        found = []
        with _one_sentence(), Gradebook(self.course.db_url, self.course.course_id) as gradebook:
            for assignment in gradebook.assignments:
                for submission in gradebook.assignment_submissions(assignment.name):
                    grades = [grade for page in submission.notebooks for grade in page.grades]
                    points = max(0.0, submission.score - submission.late_submission_penalty)
                    checks = {
                        grade.name: (
                            None if grade.needs_manual_grade else grade.score,
                            grade.max_score,
                        )
                        for grade in grades
                        if grade.max_score
                    }
                    waits = any(score is None for score, _ in checks.values())
                    found.append(
                        Score(
                            submission.student.id,
                            assignment.name,
                            None if waits else points,
                            submission.max_score,
                            checks,
                        )
                    )
        return found


def _convert(kind: type, config: Config, **traits: Any) -> None:
    log = logging.Logger("nbgrader")  # noqa: LOG001 - one of its own: the terminal stays quiet
    said = Listener()
    log.addHandler(said)
    coursedir = CourseDirectory(config=config, log=log)
    converter = kind(coursedir=coursedir, config=config, log=log)
    for name, value in traits.items():
        setattr(converter, name, value)
    with warnings.catch_warnings():
        # nbgrader's own use of SQLAlchemy, which is not this project's to mend.
        warnings.simplefilter("ignore", SAWarning)
        try:
            converter.start()
        except NbGraderException as error:
            if _OTHER_CELLS in said.reason():
                slug = config.CourseDirectory.assignment_id
                raise Misuse(
                    f"{slug} has checks or answers more or less than when its first submission was "
                    "graded, which nbgrader does not take. Put them back (a check of 0 points "
                    f"counts for nothing), or run `nbgrader db assignment remove {slug} --force`, "
                    "which forgets all its grades and comments; then run the same command again."
                ) from error
            raise


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Tell what keeps nbgrader from writing in one sentence."""
    try:
        yield
    except OSError as error:
        raise BrokenEnvironment(
            f"The classroom cannot be written ({error.strerror}: {error.filename}). The grades so "
            "far are kept: mend it and run the same command again."
        ) from None
    except (NbGraderException, SQLAlchemyError, SystemExit) as error:
        raise BrokenEnvironment(
            f"The gradebook cannot be written ({_first_cause(error)}). The grades so far are kept: "
            "close what else uses the gradebook and run the same command again."
        ) from None


def _first_cause(error: BaseException) -> str:
    """What went wrong before nbgrader put it into words of its own."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).split("\n", 1)[0] or type(error).__name__
