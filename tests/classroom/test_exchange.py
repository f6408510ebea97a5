"""From the teacher to two students and back, by nbgrader's commands and its exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from nbgrader.api import Gradebook

from tests.autograde.courses import LETTER, NAME, Course, find

if TYPE_CHECKING:
    from tests.classroom.people import Classroom, Student

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:nbgrader"),
]

# Words that only the hidden check has.
HIDDEN = ("SECRET_NUMBER", "4711", "HIDDEN TESTS")


def row(course: Course, student: str) -> tuple[float, float, float]:
    """Points for the answers, points taken off them and seconds late, as the gradebook has them."""
    with Gradebook(course.db_url) as gradebook:
        found = gradebook.find_submission(NAME, student)
        (notebook,) = found.notebooks
        return found.score, notebook.late_submission_penalty or 0, found.total_seconds_late


@pytest.mark.parametrize("grader", ["nbgrader", "autograde"])
def test_an_exercise_goes_out_and_comes_back_with_feedback(
    classroom: Classroom, ada: Student, bo: Student, grader: str
) -> None:
    course = classroom.course
    classroom.release()
    released = classroom.outbound / f"{NAME}.ipynb"
    assert released.read_bytes() == (
        (course.root / "exercises" / NAME / f"{NAME}.ipynb").read_bytes()
    )
    assert [path.name for path in classroom.outbound.iterdir()] == [released.name]
    for word in (*HIDDEN, "BEGIN SOLUTION", "BEGIN BUG"):
        assert word not in released.read_text(encoding="utf-8")

    for student in (ada, bo):
        assert f"vanishing-tasks {NAME}" in student.nbgrader("list")
        student.fetch()
        assert student.notebook.read_bytes() == released.read_bytes()
    ada.hand_in(course.fix())
    bo.hand_in(course.fix(wrong=True))

    classroom.teach("collect", NAME)
    for student in (ada, bo):
        collected = course.root / "classroom" / "submitted" / student.name / NAME
        assert (collected / f"{NAME}.ipynb").read_bytes() == student.notebook.read_bytes()
    classroom.grade(grader)
    assert row(course, "ada") == (5, 0, 0)
    assert row(course, "bo") == (2, 0, 0)

    classroom.give_back()
    pages = classroom.exchange / "vanishing-tasks" / "feedback"
    assert len(list(pages.iterdir())) == 2
    for student, words in ((ada, "1 letter"), (bo, "0 letters")):
        student.fetch_feedback()
        (page,) = student.feedback
        assert words in page
        for word in HIDDEN:
            assert word not in page
    assert "✘ failed" in bo.feedback[0]
    assert "✘ failed" not in ada.feedback[0]


def test_who_is_late_and_who_hands_in_again(
    classroom: Classroom, ada: Student, bo: Student
) -> None:
    """Graded by turns, so that each grader finds what the other one left."""
    course = classroom.course
    classroom.set("c.LateSubmissionPlugin.penalty_method = 'zero'")
    classroom.release()
    ada.fetch()
    bo.fetch()
    in_time = ada.hand_in(course.fix(wrong=True))
    # The due date is that moment: whatever comes after it is late, however fast this machine is.
    due = (in_time / "timestamp.txt").read_text(encoding="utf-8")
    classroom.teach("db", "assignment", "add", NAME, f"--duedate={due}")
    bo.hand_in(course.fix())
    again = ada.hand_in(course.fix())
    assert classroom.inbound[0] == in_time
    assert classroom.inbound[-1] == again

    classroom.teach("collect", NAME, "--before-duedate")
    classroom.grade("autograde")
    assert row(course, "ada") == (2, 0, 0)
    score, penalty, late = row(course, "bo")
    assert (score, penalty) == (5, 5)
    assert late > 0

    classroom.teach("collect", NAME, "--update")
    classroom.grade("nbgrader", "--force")
    score, penalty, late = row(course, "ada")
    assert (score, penalty) == (5, 5)
    assert late > 0

    # More time for all. No answer has changed, so it has to be asked for.
    classroom.teach("db", "assignment", "add", NAME, "--duedate=2999-01-01 00:00:00 UTC")
    classroom.grade("nbgrader", "--force")
    assert row(course, "ada") == (5, 0, 0)
    assert row(course, "bo") == (5, 0, 0)

    classroom.give_back()
    ada.fetch_feedback()
    (page,) = ada.feedback
    assert "1 letter" in page
    assert "✘ failed" not in page


def test_a_regrade_after_a_mended_check_keeps_what_a_person_wrote(
    classroom: Classroom, ada: Student
) -> None:
    course = classroom.course
    mistaken = course.read_source()
    asked = LETTER.replace("count == 1", "count == 2")
    assert asked != LETTER
    find(mistaken, "letter-arrives")["source"] = asked.splitlines(keepends=True)
    good = course.read_source()
    course.source(mistaken)
    classroom.release()
    ada.fetch()
    ada.hand_in(course.fix())
    classroom.teach("collect", NAME)
    classroom.grade("nbgrader")
    assert row(course, "ada")[0] == 2
    words = "The order of these two lines is a good idea, Ada."
    with Gradebook(course.db_url) as gradebook:
        comment = gradebook.find_comment("answer-newsletter", NAME, NAME, "ada")
        comment.manual_comment = words
        gradebook.find_grade("health-answers", NAME, NAME, "ada").extra_credit = 0.5
        gradebook.db.commit()
    classroom.give_back()
    ada.fetch_feedback()
    assert words in ada.feedback[0]
    assert "✘ failed" in ada.feedback[0]

    course.source(good)
    classroom.release()
    for grader in ("autograde", "nbgrader"):
        classroom.grade(grader, "--force")
        assert row(course, "ada")[0] == 5.5
        with Gradebook(course.db_url) as gradebook:
            comment = gradebook.find_comment("answer-newsletter", NAME, NAME, "ada")
            assert comment.manual_comment == words

    classroom.give_back()
    ada.fetch_feedback()
    (page,) = ada.feedback
    assert words in page
    assert "✘ failed" not in page
