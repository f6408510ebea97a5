from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autograde.errors import Misuse
from autograde.syllabus import exercise_table, lesson_table, stale_readme, write_readme
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

    assert stale_readme(tmp_path)
    write_readme(tmp_path)

    assert not stale_readme(tmp_path)
    assert readme.read_text(encoding="utf-8").startswith("Before\n<!-- exercises -->\n| exercise ")
    assert readme.read_text(encoding="utf-8").endswith("<!-- /exercises -->\nAfter\n")


def test_a_readme_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    write_exercise(tmp_path, "03-nothing-comes", {"exercise": {"minutes": [5, 15]}})
    (tmp_path / "README.md").write_text("# Nothing\n", encoding="utf-8")

    with pytest.raises(Misuse, match=r"README\.md has no"):
        stale_readme(tmp_path)


def test_a_lesson_says_its_title_and_minutes(tmp_path: Path) -> None:
    text = "# Why\n\nThis lesson takes 25\nto 45 minutes."
    Course._write(tmp_path / "notebooks" / "01-why.ipynb", notebook(markdown(text)))
    assert lesson_table(tmp_path).splitlines()[2:] == [
        "| [01](notebooks/01-why.ipynb) | Why | 25 to 45 |"
    ]
    Course._write(tmp_path / "notebooks" / "02-what.ipynb", notebook(markdown("# What")))
    with pytest.raises(Misuse, match=r"02-what\.ipynb needs a title"):
        lesson_table(tmp_path)
