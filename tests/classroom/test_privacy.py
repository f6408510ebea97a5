"""What TEACHING.md says under Privacy forgets a student, and nobody else."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.autograde.courses import NAME, find
from tests.classroom.people import Student

if TYPE_CHECKING:
    from tests.classroom.people import Classroom

ROOT = Path(__file__).resolve().parents[2]
# A name as an LMS gives it, and words of her own.
SARKA, WORDS = "Šárka-Nová", "The task was attached too late."


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_page_forgets_a_student(classroom: Classroom, bo: Student) -> None:
    course, sarka = classroom.course, Student(SARKA, classroom)
    classroom.release()
    (course.root / ".venv").symlink_to(sys.prefix)
    exchange = course.root / "classroom" / "exchange"
    exchange.rmdir()
    exchange.symlink_to(classroom.exchange)
    sarka.fetch()
    bo.fetch()
    answer = course.fix()
    find(answer, "own-words")["source"] = WORDS
    sarka.hand_in(answer)
    bo.hand_in(course.fix())
    classroom.teach("collect", NAME)
    classroom.grade("autograde")
    classroom.give_back()
    page = (ROOT / "TEACHING.md").read_text(encoding="utf-8")
    section = page.split("\n## Privacy\n")[1].split("\n## ")[0]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert {*places_of(classroom, SARKA), *places_of(classroom, WORDS)} == {
        "submitted", "autograded", "feedback", "gradebook.db", "grading", "grades",
        "exchange/inbound", "exchange/feedback",
    }  # fmt: skip

    classroom.shell(commands.replace("STUDENT", SARKA))

    assert [*places_of(classroom, SARKA), *places_of(classroom, WORDS)] == []
    with (course.root / "classroom" / "grades" / "grades.csv").open(encoding="utf-8") as file:
        assert [row["student"] for row in csv.DictReader(file)] == ["bo"]
    classroom.teach("release_feedback", NAME)
    bo.fetch_feedback()
    assert "1 letter" in bo.feedback[0]


def places_of(classroom: Classroom, words: str) -> Iterator[str]:
    """The folders of the classroom and of the exchange that have these words in them."""
    spelled = {words.encode(), json.dumps(words)[1:-1].encode()}
    for top in (classroom.course.root / "classroom", classroom.exchange / "vanishing-tasks"):
        for path in top.rglob("*"):
            inside = path.relative_to(top)
            in_name = words in inside.as_posix()
            if in_name or (path.is_file() and any(text in path.read_bytes() for text in spelled)):
                yield f"{'' if top.name == 'classroom' else 'exchange/'}{inside.parts[0]}"
