"""The one writer of the gradebook, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from autograde.batch import Task, grade_task
from autograde.engine import Report
from autograde.errors import Misuse
from autograde.exercises import build
from autograde.gradebook import Classroom
from autograde.nbgrader_config import load_config
from autograde.places import Limits
from tasklab import postgres_server
from tests.autograde.courses import NAME, Course, exercise, find

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:nbgrader"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Course:
    course = Course(tmp_path_factory.mktemp("made"))
    course.source(exercise())
    build(course.root)
    return course


@pytest.fixture(scope="module")
def reports(made: Course) -> dict[str, Report]:
    """What the engine says of a right and a wrong answer."""
    source = json.dumps(made.read_source())
    found = {}
    for name, content in {"right": made.fix(), "wrong": made.fix(wrong=True)}.items():
        data = json.dumps(content).encode()
        found[name] = Report.from_json(grade_task(Task("x", NAME, name, data, source, Limits())))
    assert [report.points for report in found.values()] == [5, 2]
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def classroom(request: pytest.FixtureRequest, made: Course, tmp_path: Path) -> Iterator[Classroom]:
    root = shutil.copytree(made.root, tmp_path / "course")
    config = load_config(root)
    if request.param == "sqlite":
        yield Classroom(config)
        return
    with postgres_server() as server:
        config.CourseDirectory.db_url = server.url.replace("postgresql://", "postgresql+psycopg://")
        yield Classroom(config)


def scores(classroom: Classroom, student: str) -> dict[str, Any]:
    with Gradebook(classroom.course.db_url, classroom.course.course_id) as gradebook:
        submission = gradebook.find_submission(NAME, student)
        return {row.name: row.auto_score for nb in submission.notebooks for row in nb.grades}


def test_a_report_becomes_scores_and_a_new_one_replaces_them(
    classroom: Classroom, made: Course, reports: dict[str, Report]
) -> None:
    classroom.keep("ada", NAME, b'{"cells": [], "metadata": {}, "nbformat": 4}')
    classroom.enter("ada", NAME, reports["wrong"])
    assert classroom.score("ada", NAME) == (2, 5)
    classroom.enter("ada", NAME, reports["right"])
    assert classroom.score("ada", NAME) == (5, 5)
    assert scores(classroom, "ada")["letter-arrives"] == 3
    broken = Report(NAME, ())
    classroom.enter("ada", NAME, broken)
    assert scores(classroom, "ada")["letter-arrives"] is None
    assert classroom.score("bo", NAME) is None
    # What is handed out is what it was.
    starter = classroom.root / "exercises" / NAME / f"{NAME}.ipynb"
    assert starter.read_bytes() == (made.root / starter.relative_to(classroom.root)).read_bytes()


def test_a_score_given_by_a_person_stays(classroom: Classroom, reports: dict[str, Report]) -> None:
    classroom.keep("ada", NAME, b'{"cells": [], "metadata": {}, "nbformat": 4}')
    classroom.enter("ada", NAME, reports["wrong"])
    with Gradebook(classroom.course.db_url, classroom.course.course_id) as gradebook:
        row = gradebook.find_grade("letter-arrives", NAME, NAME, "ada")
        row.manual_score = 2.5
        gradebook.db.commit()
    classroom.enter("ada", NAME, reports["right"])
    assert classroom.score("ada", NAME) == (4.5, 5)


def test_a_check_that_is_gone_is_told_in_a_sentence(
    classroom: Classroom, made: Course, reports: dict[str, Report]
) -> None:
    """Once there are grades for its cells, nbgrader lets an exercise neither lose nor gain one."""
    classroom.keep("ada", NAME, json.dumps(made.fix()).encode())
    classroom.enter("ada", NAME, reports["right"])
    course = Course(classroom.root)
    source = course.read_source()
    source["cells"].remove(find(source, "health-answers"))
    course.source(source)

    with pytest.raises(Misuse, match=f"^{NAME} has checks or answers more or less than when"):
        Classroom(classroom.config).enter("ada", NAME, reports["right"])
    assert classroom.score("ada", NAME) == (5.0, 5.0)


def test_a_submission_is_kept_as_it_came(classroom: Classroom) -> None:
    path = classroom.submitted("ada", NAME)
    classroom.keep("ada", NAME, b"\xff first")
    assert path.read_bytes() == b"\xff first"
    before = path.stat().st_mtime_ns
    classroom.keep("ada", NAME, b"\xff first")
    assert path.stat().st_mtime_ns == before
    classroom.keep("ada", NAME, b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    path.unlink()
    path.symlink_to("/etc/hostname")
    classroom.keep("ada", NAME, b"third")
    assert not path.is_symlink()
