from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from autograde.errors import Misuse
from autograde.syllabus import (
    exercise_table,
    lesson_table,
    message_list,
    read_lessons,
    stale_tables,
    week_table,
    write_tables,
)
from tests.autograde.courses import Course, markdown, notebook

ROOT = Path(__file__).resolve().parents[2]


def write_exercise(root: Path, slug: str, metadata: dict[str, Any]) -> None:
    check = {"grade": True, "locked": True, "grade_id": "looks", "points": 10}
    notebook = {
        "metadata": metadata,
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": "# Nothing comes\n\nWhy?"},
            {"cell_type": "code", "metadata": {"nbgrader": check}, "source": "1"},
        ],
    }
    folder = root / "solutions" / slug
    folder.mkdir(parents=True)
    (folder / f"{slug}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def test_a_row_says_symptom_minutes_and_points(tmp_path: Path) -> None:
    write_exercise(tmp_path, "03-nothing-comes", {"exercise": {"minutes": [5, 15]}})

    row = exercise_table(tmp_path).splitlines()[-1]

    assert "[03-nothing-comes](exercises/03-nothing-comes/03-nothing-comes.ipynb)" in row
    assert row.endswith("| Nothing comes | 5 to 15 | 10 |")


def test_a_notebook_that_states_no_minutes_is_refused(tmp_path: Path) -> None:
    write_exercise(tmp_path, "03-nothing-comes", {})

    with pytest.raises(Misuse, match="03-nothing-comes does not say how long it takes"):
        exercise_table(tmp_path)


def test_writing_mends_what_is_stale(tmp_path: Path) -> None:
    write_exercise(tmp_path, "03-nothing-comes", {"exercise": {"minutes": [5, 15]}})
    readme = tmp_path / "README.md"
    readme.write_text("Before\n<!-- exercises -->\n<!-- /exercises -->\nAfter\n", encoding="utf-8")

    assert stale_tables(tmp_path)
    write_tables(tmp_path)

    assert not stale_tables(tmp_path)
    assert readme.read_text(encoding="utf-8").startswith("Before\n<!-- exercises -->\n| exercise ")
    assert readme.read_text(encoding="utf-8").endswith("<!-- /exercises -->\nAfter\n")


def test_a_readme_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    write_exercise(tmp_path, "03-nothing-comes", {"exercise": {"minutes": [5, 15]}})
    (tmp_path / "README.md").write_text("# Nothing\n", encoding="utf-8")

    with pytest.raises(Misuse, match=r"README\.md has no"):
        stale_tables(tmp_path)


def test_a_lesson_says_its_title_and_minutes(tmp_path: Path) -> None:
    text = "# Why\n\nThis lesson takes 25\nto 45 minutes."
    Course._write(tmp_path / "notebooks" / "01-why.ipynb", notebook(markdown(text)))
    assert lesson_table(tmp_path).splitlines()[2:] == [
        "| [01](notebooks/01-why.ipynb) | Why | 25 to 45 |"
    ]
    Course._write(tmp_path / "notebooks" / "02-what.ipynb", notebook(markdown("# What")))
    with pytest.raises(Misuse, match=r"02-what\.ipynb needs a title"):
        lesson_table(tmp_path)


def write_lesson(root: Path, stem: str, *exercises: str, minutes: str = "20 to 30") -> None:
    items = "".join(f"- [{slug}](../exercises/{slug}/{slug}.ipynb): why?\n" for slug in exercises)
    told = f"## Exercises\n\n{items}\nSee [one](../exercises/09-other/09-other.ipynb)."
    head = markdown(f"# Why {stem}?\n\nThis lesson takes {minutes} minutes.")
    path = root / "notebooks" / f"{stem}.ipynb"
    Course._write(path, notebook(head, markdown(told), markdown("## Glossary\n\n- [no](x)")))


def test_a_lesson_sends_to_what_it_lists_and_not_to_what_a_sentence_names(tmp_path: Path) -> None:
    write_lesson(tmp_path, "01-after-it", "03-nothing-comes", "02-half")

    (lesson,) = read_lessons(tmp_path)

    assert lesson.exercises == ("03-nothing-comes", "02-half")
    assert (lesson.number, lesson.words, lesson.minutes) == ("01", "after it", (20, 30))


def test_a_week_is_a_lesson_with_exercises_and_what_follows_without(tmp_path: Path) -> None:
    for slug in ("02-half", "03-nothing-comes", "04-late"):
        write_exercise(tmp_path, slug, {"exercise": {"minutes": [5, 15]}})
    write_lesson(tmp_path, "00-start", "03-nothing-comes", "02-half", "10-left-out")
    write_lesson(tmp_path, "01-then", "10-left-out")
    write_lesson(tmp_path, "02-last", "04-late", minutes="1 to 2")

    rows = [row.split(" | ") for row in week_table(tmp_path).splitlines()[2:]]

    assert [(row[0], row[2], row[4]) for row in rows] == [
        ("| 1", "40 to 60", "10 to 30 |"),
        ("| 2", "1 to 2", "5 to 15 |"),
    ]
    assert "[00 start](notebooks/00-start.ipynb); [01 then](notebooks/01-then.ipynb)" in rows[0][1]
    assert rows[0][3].startswith("[03](exercises/03-nothing-comes/03-nothing-comes.ipynb), [02](")


def test_the_messages_that_most_pages_explain_come_first(tmp_path: Path) -> None:
    for slug, messages in {"01-a": ["«one»", "«both»"], "02-b": ["«both» or worse"]}.items():
        helps = "\n".join(f"<summary>I see {message}</summary>" for message in messages)
        Course._write(tmp_path / "solutions" / slug / f"{slug}.ipynb", notebook(markdown(helps)))
    Course._write(
        tmp_path / "solutions" / "03-c" / "03-c.ipynb",
        notebook(markdown("<summary>I see «both»</summary> <summary>Hint 1</summary>")),
    )

    lines = message_list(tmp_path).splitlines()

    both = "- «both»: [01](exercises/01-a/01-a.ipynb), [03](exercises/03-c/03-c.ipynb)"
    assert lines[0] == both
    assert len(lines) == 3


def test_each_exercise_of_the_course_has_one_lesson() -> None:
    sent = [slug for lesson in read_lessons(ROOT) for slug in lesson.exercises]

    assert sorted(sent) == sorted(path.parent.name for path in ROOT.glob("solutions/*/*.ipynb"))


def test_each_lesson_of_the_course_sends_to_the_next() -> None:
    lessons = read_lessons(ROOT)
    for lesson, following in itertools.pairwise(lessons):
        text = (ROOT / lesson.page).read_text(encoding="utf-8")
        line = f"Next: [lesson {following.number}, {following.words}]({following.stem}.ipynb)."
        assert line in text, lesson.page


def test_the_tables_of_the_course_are_fresh() -> None:
    assert stale_tables(ROOT) == []
    assert "<!-- weeks -->\n| week " in (ROOT / "TEACHING.md").read_text(encoding="utf-8")
