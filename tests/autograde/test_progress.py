from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autograde.exercises import build
from autograde.journal import Journal
from autograde.progress import class_text, note_check, read_standings, standings_text
from tests.autograde.courses import NAME, Course, exercise


def report(points: float, *, broken: bool = False) -> dict[str, Any]:
    outcome = "broken" if broken else ("passed" if points == 5 else "failed")
    results = [
        {"outcome": "passed", "grade_id": "health-answers", "look": "the log"},
        {"outcome": outcome, "grade_id": "letter-arrives", "look": "lesson 00"},
    ]
    return {
        "exercise": NAME,
        "points": points,
        "max_points": 5.0,
        "outcome": outcome,
        "results": results,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    source = exercise()
    source["metadata"]["exercise"] = {"minutes": [10, 20], "symptom": None}
    Course(tmp_path).source(source)
    build(tmp_path)
    return tmp_path


def test_an_exercise_that_was_never_tried_is_the_next_step(root: Path) -> None:
    text = standings_text(read_standings(root))
    assert "not tried yet" in text
    assert "0 of 1 done; 10 to 20 minutes are left." in text
    assert text.endswith(f"Next: exercises/{NAME}")


def test_the_last_check_counts_and_says_where_to_go_on(root: Path) -> None:
    note_check(root, report(0.0))
    note_check(root, report(2.0))
    note_check(root, report(0.0, broken=True))
    (standing,) = read_standings(root)
    assert (standing.points, standing.tries, standing.is_done) == (2.0, 2, False)
    text = standings_text([standing])
    assert text.endswith(f"Next: exercises/{NAME} (letter-arrives: lesson 00)")


def test_all_done_is_said_in_one_line(root: Path) -> None:
    note_check(root, report(5.0))
    assert standings_text(read_standings(root)).endswith("The newsletter is in good hands.")


def test_a_spoilt_line_or_a_folder_without_rights_costs_nothing(root: Path) -> None:
    note_check(root, report(2.0))
    with (root / ".progress.jsonl").open("ab") as file:
        file.write(b'{"exercise": \xff\n[1]\n')
    assert read_standings(root)[0].tries == 1
    note_check(Path("/proc/1"), report(2.0))


def test_the_class_shows_who_has_what(root: Path) -> None:
    assert "Nothing is graded yet" in class_text(root)
    with Journal(root / "classroom" / "grading" / "journal.jsonl") as journal:
        journal.note_graded("ada", NAME, "1", report(5.0))
        journal.note_graded("bo", NAME, "2", report(0.0, broken=True))
        journal.note_graded("bo", "02-other", "3", report(2.0))
    lines = class_text(root).splitlines()
    assert lines[0].split() == ["learner", "01", "02", "sum"]
    assert lines[1].split() == ["ada", "5", "·", "5"]
    assert lines[2].split() == ["bo", "?", "2", "2"]
    assert lines[-1].startswith("3 graded, 1 with full points.")


def test_the_journal_is_json_that_anyone_can_read(root: Path) -> None:
    note_check(root, report(2.0))
    line = json.loads((root / ".progress.jsonl").read_text(encoding="utf-8"))
    assert line["next_step"] == "letter-arrives: lesson 00"
