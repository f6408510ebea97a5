"""Whose grade goes where: a learner is found by what the LMS and nbgrader made of their name."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from autograde import canvas, moodle
from autograde.rosters import Filled, Score

CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Integration ID,Section
"Lovelace, Ada",345,S-1,ada@uni.example,I-1,A
"O'Brien, Šárka",346,,lovelaceada,,A
"""
MOODLE = """\
First name,Surname,Username,ID number,Email address
Ada,Lovelace,U-1,S-1,ada@uni.example
Šárka,O'Brien,adalovelace,,sarka@uni.example
"""
FILES: dict[str, tuple[str, Callable[..., Filled]]] = {
    "canvas": (CANVAS, canvas.fill_roster),
    "moodle": (MOODLE, moodle.fill_roster),
}


@pytest.mark.parametrize(
    ("lms", "student", "whose"),
    [
        ("canvas", "S-1", "ada"),
        ("canvas", "i-1", "ada"),
        ("canvas", "ada@uni.example", "ada"),
        ("canvas", "ada", "ada"),
        ("canvas", "Ada-Lovelace", "ada"),
        ("canvas", "lovelaceada-345", "ada"),
        ("canvas", "o_brien-šárka", "šárka"),
        ("canvas", unicodedata.normalize("NFD", "O'Brien Šárka"), "šárka"),
        # A login is surer than a name.
        ("canvas", "lovelaceada", "šárka"),
        ("moodle", "u-1", "ada"),
        ("moodle", "S-1", "ada"),
        ("moodle", "ada", "ada"),
        ("moodle", "Lovelace-Ada", "ada"),
        ("moodle", "O'Brien-Šárka", "šárka"),
        ("moodle", "adalovelace", "šárka"),
    ],
)
def test_a_learner_is_found_by(lms: str, student: str, whose: str, tmp_path: Path) -> None:
    text, fill = FILES[lms]
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    filled = fill(path, [Score(student, "01-no-letter", 10 / 3, 10, {})])
    *_, ada, sarka = csv.DictReader(io.StringIO(filled.text))

    assert filled.lost == []
    given = {"ada": ada["01-no-letter"], "šárka": sarka["01-no-letter"]}
    assert given.pop(whose) == "3.33"
    assert set(given.values()) == {""}
