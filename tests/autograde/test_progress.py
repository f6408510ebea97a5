from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autograde.exercises import build
from autograde.journal import Journal
from autograde.progress import (
    Standing,
    class_text,
    next_pages,
    note_check,
    parts_text,
    read_parts,
    steps_after,
)
from autograde.reports import next_text, report_html
from tests.autograde.courses import NAME, Course, exercise, markdown, notebook


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


def write_lesson(root: Path, stem: str, *exercises: str) -> None:
    items = "".join(f"- [{slug}](../exercises/{slug}/{slug}.ipynb)\n" for slug in exercises)
    text = f"# Why?\n\nThis lesson takes 25 to 45 minutes.\n\n## Exercises\n\n{items}"
    Course._write(root / "notebooks" / f"{stem}.ipynb", notebook(markdown(text)))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One lesson with one exercise."""
    source = exercise()
    source["metadata"]["exercise"] = {"minutes": [10, 20], "symptom": None}
    Course(tmp_path).source(source)
    build(tmp_path)
    write_lesson(tmp_path, "00-start-here", NAME)
    return tmp_path


@pytest.fixture
def course(root: Path) -> Path:
    """Four lessons: with one exercise, with two, with none and with one."""
    text = (root / "exercises" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8")
    for slug in ("02-second", "03-third", "04-fourth"):
        path = root / "exercises" / slug / f"{slug}.ipynb"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    write_lesson(root, "01-who-waits", "03-third", "02-second", "09-left-out")
    write_lesson(root, "02-by-the-way", "09-left-out")
    write_lesson(root, "03-the-end", "04-fourth")
    return root


def standing(root: Path, slug: str = NAME) -> Standing:
    (found,) = [one for part in read_parts(root) for one in part.standings if one.slug == slug]
    return found


def following(root: Path) -> list[str]:
    return [page.path.split("/")[1].removesuffix(".ipynb") for page in next_pages(read_parts(root))]


def test_who_begins_is_sent_to_the_first_lesson(root: Path) -> None:
    text = parts_text(read_parts(root))
    assert "not tried yet" in text
    assert re.search(r"^  00 start here +35 to 65 minutes$", text, re.MULTILINE)
    assert "0 of 1 exercises done; 35 to 65 minutes are left." in text
    assert text.endswith(
        "Next: notebooks/00-start-here.ipynb, 25 to 45 minutes; "
        f"then exercises/{NAME}/{NAME}.ipynb, 10 to 20 minutes"
    )


def test_the_last_check_counts_and_says_where_to_go_on(root: Path) -> None:
    note_check(root, report(0.0))
    note_check(root, report(2.0))
    note_check(root, report(0.0, broken=True))
    found = standing(root)
    assert (found.points, found.tries, found.is_done) == (2.0, 2, False)
    text = parts_text(read_parts(root))
    assert re.search(r"^… 00 start here +10 to 20 minutes left$", text, re.MULTILINE)
    assert text.endswith(
        f"Next: exercises/{NAME}/{NAME}.ipynb, 10 to 20 minutes (letter-arrives: lesson 00)"
    )


def test_all_done_is_said_in_one_line(root: Path) -> None:
    note_check(root, report(5.0))
    text = parts_text(read_parts(root))
    assert re.search(r"^✔ 00 start here +done$", text, re.MULTILINE)
    assert text.endswith("All 1 exercises are done. The newsletter is in good hands.")


def test_the_way_leads_from_lesson_to_exercise_to_lesson(course: Path) -> None:
    """Each step in turn, by nothing but checks: nobody has to tick a lesson."""
    assert following(course) == ["00-start-here", NAME]
    note_check(course, report(5.0))
    assert following(course) == ["01-who-waits", "03-third"]
    note_check(course, report(2.0) | {"exercise": "03-third"})
    assert following(course) == ["03-third"]
    note_check(course, report(5.0) | {"exercise": "03-third"})
    assert following(course) == ["02-second"]
    note_check(course, report(5.0) | {"exercise": "02-second"})
    assert following(course) == ["02-by-the-way", "03-the-end", "04-fourth"]
    note_check(course, report(2.0) | {"exercise": "04-fourth"})
    assert following(course) == ["04-fourth"]
    note_check(course, report(5.0) | {"exercise": "04-fourth"})
    assert following(course) == []


def test_who_was_ahead_is_led_back_with_the_lesson_first(course: Path) -> None:
    note_check(course, report(5.0) | {"exercise": "02-second"})
    assert following(course) == ["00-start-here", NAME]
    note_check(course, report(5.0))
    assert following(course) == ["01-who-waits", "03-third"]


def test_who_gave_one_up_goes_on_and_is_led_back_at_the_end(course: Path) -> None:
    note_check(course, report(2.0))
    note_check(course, report(5.0) | {"exercise": "03-third"})
    assert following(course) == ["02-second"]
    note_check(course, report(5.0) | {"exercise": "02-second"})
    assert following(course) == ["02-by-the-way", "03-the-end", "04-fourth"]
    note_check(course, report(5.0) | {"exercise": "04-fourth"})
    assert following(course) == ["00-start-here", NAME]


def test_what_is_left_counts_a_lesson_until_a_check_shows_that_it_is_behind(course: Path) -> None:
    assert "0 of 4 exercises done; 140 to 260 minutes are left." in parts_text(read_parts(course))
    note_check(course, report(2.0))
    assert "; 115 to 215 minutes are left." in parts_text(read_parts(course))
    note_check(course, report(2.0) | {"exercise": "04-fourth"})
    assert "; 65 to 125 minutes are left." in parts_text(read_parts(course))


def test_an_exercise_of_no_lesson_is_not_forgotten(course: Path) -> None:
    (course / "notebooks" / "03-the-end.ipynb").unlink()
    text = parts_text(read_parts(course))
    assert "  more exercises " in text
    for slug in (NAME, "02-second", "03-third"):
        note_check(course, report(5.0) | {"exercise": slug})
    assert following(course) == ["02-by-the-way", "04-fourth"]


def test_a_finished_part_is_celebrated_in_one_line_that_leads_on(course: Path) -> None:
    note_check(course, report(5.0))
    told = report(5.0) | {"remarks": [], "next": steps_after(course, NAME)}
    line = "That was all of part 00, start here. Next: notebooks/01-who-waits.ipynb"
    assert next_text(told) == f"{line}, 25 to 45 minutes."
    for result in told["results"]:
        result |= {"slug": "x", "saw": "", "expected": "", "points": 1, "max_points": 1}
    shown = report_html(told)
    assert '<a href="../../notebooks/01-who-waits.ipynb"' in shown
    assert line in re.sub("<[^>]+>", "", shown)

    note_check(course, report(5.0) | {"exercise": "03-third"})
    told["next"] = steps_after(course, "03-third")
    page = "exercises/02-second/02-second.ipynb"
    assert next_text(told) == f"Next: {page}, 10 to 20 minutes."


def test_the_last_part_ends_the_course(root: Path) -> None:
    note_check(root, report(5.0))
    assert next_text({"next": steps_after(root, NAME)}) == (
        "That was all of part 00, start here. "
        "All 1 exercises are done. The newsletter is in good hands."
    )


def test_a_page_that_cannot_be_read_costs_a_check_nothing(course: Path) -> None:
    (course / "notebooks" / "02-by-the-way.ipynb").write_text("{", encoding="utf-8")
    note_check(course, report(5.0))
    assert next_text({"next": steps_after(course, NAME)}) == ""


def test_a_spoilt_line_or_a_folder_without_rights_costs_nothing(root: Path) -> None:
    note_check(root, report(2.0))
    with (root / ".progress.jsonl").open("ab") as file:
        file.write(b'{"exercise": \xff\n[1]\n')
    assert standing(root).tries == 1
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
