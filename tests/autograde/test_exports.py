"""From the zip of an LMS to a file that the same LMS imports."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from autograde.__main__ import main
from autograde.canvas import fill_roster as fill_canvas
from autograde.errors import Misuse
from autograde.moodle import fill_roster as fill_moodle
from autograde.rosters import Score
from tests.autograde.courses import NAME, Course, exercise

SLUG = "06-everyone-waits"
OTHER = "07-forty-letters"
NAMED = "Núñez O'Brien, Šárka"

# As Canvas writes it: a row of marks, the points possible, columns that only it may fill.
CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Integration ID,Root Account,Section,Everyone waits (901),\
Essay (902),Current Score
,,,,,,,Manual Posting,,
    Points Possible,,,,,,,20.00,5.00,(read only)
"Lovelace, Ada",345,S-1,ada@uni.example,I-1,uni,"A, B",,4.00,80
"Núñez O'Brien, Šárka",346,S-2,sarka,,uni,A,7.50,1.00,20
"Kim, Min",347,,min1,,uni,A,,,
"Kim, Min",348,,min2,,uni,A,EX,,
"Absent, Al",349,,al,,uni,A,3.00,,
"Student, Test",350,,8f3e,,uni,A,,,
"""
WORKSHEET = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,\
Last modified (submission),Last modified (grade),Feedback comments
Participant 4711,Ada Lovelace,ada@uni.example,Submitted,,"100,00",Yes,"Friday, 27 November",-,
Participant 4712,Šárka O'Brien-Núñez,sarka@uni.example,Submitted,55.00,"100,00",Yes,-,-,Well done
Participant 4713,Min Kim,min1@uni.example,Submitted,,"100,00",Yes,-,-,
Participant 4714,Min Kim,min2@uni.example,Submitted,,"100,00",Yes,-,-,
Participant 4715,=cmd|' /C calc'!A0,al@uni.example,No submission,,"100,00",Yes,-,-,
"""
GRADEBOOK = """\
First name,Last name,ID number,Email address,Assignment: Essay (Real),Course total (Real)
Ada,Lovelace,S-1,ada@uni.example,4.00,-
Min,Kim,S-2,min1@uni.example,-,-
"""


def score(student: str, points: float | None = 8, slug: str = SLUG) -> Score:
    checks = {"others-answered": (3.0, 3.0), "letter-arrives": (points and points - 3.0, 7.0)}
    return Score(student, slug, points, 10.0, checks)


def rows(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


@pytest.fixture
def canvas(tmp_path: Path) -> Path:
    path = tmp_path / "2026-11-27T1021_Grades-FastAPI.csv"
    path.write_text(f"\ufeff{CANVAS}", encoding="utf-8")
    return path


@pytest.fixture
def worksheet(tmp_path: Path) -> Path:
    path = tmp_path / f"Grades-FastAPI-{SLUG}-1234.csv"
    path.write_text(WORKSHEET, encoding="utf-8")
    return path


def test_canvas_gets_back_its_own_columns_and_the_points(canvas: Path) -> None:
    scores = [score("lovelaceada-345"), score("núñezobrienšárka-346", 4), score("min2")]
    filled = fill_canvas(canvas, scores)
    header = filled.text.split("\n", 1)[0]

    # A column that is not in the file stays in Canvas as it is.
    assert header == (
        "Student,ID,SIS User ID,SIS Login ID,Integration ID,Root Account,Section,"
        "Everyone waits (901)"
    )
    marks, possible, *people = rows(filled.text)
    assert (marks["Student"], possible["Student"]) == ("", "    Points Possible")
    given = {row["ID"]: row["Everyone waits (901)"] for row in people}
    assert possible["Everyone waits (901)"] == "20"
    assert given == {"345": "16", "346": "8", "347": "", "348": "EX", "349": "3.00", "350": ""}
    assert filled.lost == []
    assert filled.remarks == [
        f"{SLUG} has 10 points here and 20 in Canvas: they are given in proportion.",
        f"Kim, Min is excused from {SLUG} in Canvas, and stays so.",
        "Kim, Min: nothing is graded.",
        "Absent, Al: nothing is graded.",
    ]


def test_canvas_gets_an_assignment_for_each_new_exercise_and_check(canvas: Path) -> None:
    filled = fill_canvas(canvas, [score("ada", slug=OTHER)], checks=True)
    _, possible, ada, *_ = rows(filled.text)

    for title, most, got in (
        (OTHER, "10", "8"),
        (f"{OTHER}: others-answered", "3", "3"),
        (f"{OTHER}: letter-arrives", "7", "5"),
    ):
        assert (possible[title], ada[title]) == (most, got)


def test_a_check_is_entered_where_canvas_has_it_and_nowhere_else(canvas: Path) -> None:
    mine = f"{SLUG}: letter-arrives (903)"
    canvas.write_text(CANVAS.replace("Essay (902)", mine), encoding="utf-8")
    filled = fill_canvas(canvas, [score("ada")], checks=True)
    _, possible, ada, *_ = rows(filled.text)

    assert (ada["Everyone waits (901)"], ada[mine]) == ("16", "3.57")
    assert (possible["Everyone waits (901)"], possible[mine]) == ("20", "5")
    assert f"{SLUG}: letter-arrives" not in ada


def test_exercises_do_not_mix_where_their_checks_have_the_same_names(canvas: Path) -> None:
    short = Score("min1", OTHER, 2, 4, {"letter-arrives": (2, 4)})
    filled = fill_canvas(canvas, [short, score("ada", slug="08-gone")], checks=True)
    _, possible, ada, _, kim, *_ = rows(filled.text)

    names = (OTHER, f"{OTHER}: letter-arrives", "08-gone", "08-gone: letter-arrives")
    assert [possible[name] for name in names] == ["4", "4", "10", "7"]
    assert [ada[name] for name in names] == ["", "", "8", "5"]
    assert [kim[name] for name in names] == ["2", "2", "", ""]


def test_canvas_is_told_the_points_possible_where_it_did_not_say_them(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text("LastName,FirstName,ID,Section\nLovelace,Ada,345,A\n", encoding="utf-8")
    possible, ada = rows(fill_canvas(path, [score("lovelaceada")]).text)

    assert (possible["LastName"], possible[SLUG]) == ("Points Possible", "10")
    assert ada[SLUG] == "8"


def test_broken_has_no_points_and_clears_what_was_there(canvas: Path, worksheet: Path) -> None:
    filled = fill_canvas(canvas, [score("núñezobrienšárka-346", None)])
    assert [row["Everyone waits (901)"] for row in rows(filled.text) if row["ID"] == "346"] == [""]
    assert filled.entered == 0
    assert f"núñezobrienšárka-346: {SLUG} waits to be graded, so its place is empty." in (
        filled.remarks
    )
    filled = fill_moodle(worksheet, [score("Šárka-O-Brien-Núñez", None)])
    assert rows(filled.text)[1]["Grade"] == ""


def test_whom_it_cannot_tell_for_sure_it_names_and_leaves_out(canvas: Path) -> None:
    scores = [
        score("zoe"), score("kimmin"), score("lovelaceada-999"), score("sarka"),
        score("núñezobrienšárka-346"),
    ]  # fmt: skip
    filled = fill_canvas(canvas, scores)

    assert {row["Everyone waits (901)"] for row in rows(filled.text)[2:]} == {
        "", "7.50", "EX", "3.00"
    }  # fmt: skip
    assert filled.lost == [
        "zoe: nobody of that name is in the roster, so no grade is entered.",
        "kimmin: 2 of that name are in the roster, so no grade is entered.",
        "lovelaceada-999: nobody of that name is in the roster, so no grade is entered.",
        f"sarka and núñezobrienšárka-346: each may be {NAMED}, so {SLUG} is entered for none.",
    ]


def test_a_worksheet_of_moodle_keeps_all_but_the_grade(worksheet: Path) -> None:
    scores = [score("Ada-Lovelace"), score("Šárka-O-Brien-Núñez", 4), score("Min-Kim-4714", 10)]
    filled = fill_moodle(worksheet, scores, checks=True)
    found, before = rows(filled.text), rows(WORKSHEET)

    assert [row["Grade"] for row in found] == ["80", "40", "", "100", ""]
    assert found[0]["Feedback comments"] == "others-answered: 3 of 3; letter-arrives: 5 of 7"
    assert found[1]["Feedback comments"] == "Well done"
    for row, was in zip(found[:4], before, strict=False):
        same = set(was) - {"Grade", "Feedback comments"}
        assert {name: row[name] for name in same} == {name: was[name] for name in same}
    assert filled.remarks == [
        f"{SLUG} has 10 points here and 100 in Moodle: they are given in proportion.",
        "Min Kim: nothing is graded.",
        "=cmd|' /C calc'!A0: nothing is graded.",
    ]


def test_a_worksheet_gets_its_own_exercise_and_checks_if_asked(worksheet: Path) -> None:
    scores = [score("Ada-Lovelace"), score("Ada-Lovelace", 1, slug=OTHER)]
    (ada, *_) = rows(fill_moodle(worksheet, scores).text)
    assert (ada["Grade"], ada["Feedback comments"]) == ("80", "")
    (ada, *_) = rows(fill_moodle(worksheet, [score("Ada-Lovelace", None)], checks=True).text)
    assert (ada["Grade"], ada["Feedback comments"]) == ("", "others-answered: 3 of 3")
    worksheet.write_text(WORKSHEET.replace("Feedback comments", "Feedback"), encoding="utf-8")
    filled = fill_moodle(worksheet, [score("Ada-Lovelace")], checks=True)
    assert filled.remarks[0].startswith("The worksheet has no column Feedback comments")


def test_no_cell_is_a_formula(worksheet: Path, canvas: Path) -> None:
    assert rows(fill_moodle(worksheet, [score("al")]).text)[4]["Full name"].startswith("'=cmd")
    canvas.write_text(CANVAS.replace('"Absent, Al"', '"=HYPERLINK(1)"'), encoding="utf-8")
    for text in (
        fill_canvas(canvas, [score("ada")]).text,
        fill_moodle(worksheet, [score("x")]).text,
    ):
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=+@\t\r" and cell]


def test_hidden_names_in_moodle_are_matched_by_number(worksheet: Path) -> None:
    text = "Identifier,Status,Grade,Last modified (grade)\nParticipant 71,,,-\nParticipant 7,,,-\n"
    worksheet.write_text(text, encoding="utf-8")
    filled = fill_moodle(worksheet, [score("Participant-7"), score("Participant-72")])

    assert [row["Grade"] for row in rows(filled.text)] == ["", "8"]
    assert filled.lost == [
        "Participant-72: nobody of that name is in the roster, so no grade is entered."
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_moodles_gradebook_in_each_of_its_separators(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "grades.csv"
    path.write_text(GRADEBOOK.replace(",", delimiter), encoding="utf-8")
    filled = fill_moodle(path, [score("Ada-Lovelace"), score("min1", slug=OTHER)], checks=True)
    ada, kim = rows(filled.text, delimiter)

    assert (ada[SLUG], ada[OTHER], ada[f"{SLUG}: letter-arrives"]) == ("8", "", "5")
    assert (kim[SLUG], kim[OTHER]) == ("", "8")
    assert "Course total (Real)" not in ada


@pytest.mark.parametrize("lms", ["canvas", "moodle"])
def test_what_is_asked_for_reaches_the_roster(
    lms: str, canvas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradebook = tmp_path / "grades.csv"
    gradebook.write_text(GRADEBOOK, encoding="utf-8")
    both = [score("ada"), score("ada", slug=OTHER)]
    monkeypatch.setattr("autograde.exports._read_scores", lambda _: both)
    output = tmp_path / "filled.csv"
    roster = {"canvas": canvas, "moodle": gradebook}[lms]
    options = ["--assignment", OTHER, "--checks", "--output", str(output)]
    done = CliRunner().invoke(main, ["export", lms, str(roster), *options])

    assert done.exit_code == 0, done.output
    header = output.read_text(encoding="utf-8").split("\n", 1)[0].split(",")
    assert header[-3:] == [OTHER, f"{OTHER}: others-answered", f"{OTHER}: letter-arrives"]
    assert not [title for title in header if "waits" in title]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "is empty"),
        (b"Student,ID\nAda,1\n", "is no gradebook of Canvas"),
        ("Student,ID,Section\nŠárka,1,A\n".encode("utf-16"), "is not in UTF-8"),
        (b'Student,ID,Section\n"Ada,1,A\n', "is no CSV file"),
        (b"Student,ID,Section,06 Everyone waits (1),Everyone waits (2)\n", "has 2 columns called"),
    ],
)
def test_another_file_is_refused_in_one_sentence(tmp_path: Path, text: bytes, why: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_bytes(text)
    with pytest.raises(Misuse, match=why):
        fill_canvas(path, [score("ada")])


def test_moodles_files_say_what_is_wanted(tmp_path: Path, worksheet: Path) -> None:
    nameless = worksheet.rename(tmp_path / "grades.csv")
    with pytest.raises(Misuse, match="does not say which exercise it is for: add --assignment"):
        fill_moodle(nameless, [score("ada")])
    assert fill_moodle(nameless, [score("ada")], assignment=SLUG).entered == 1
    nameless.write_text("Vollständiger Name,E-Mail-Adresse\n", encoding="utf-8")
    with pytest.raises(Misuse, match="download one with Moodle in English"):
        fill_moodle(nameless, [score("ada")])


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:nbgrader")
def test_from_the_zip_of_moodle_to_its_worksheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autograde.exercises import build

    course = Course(tmp_path / "course")
    course.source(exercise())
    build(course.root)
    monkeypatch.chdir(course.root)
    (tmp_path / "sheet.csv").write_text(WORKSHEET, encoding="utf-8")
    handed_in: dict[str, Any] = {
        "Ada Lovelace_4711": course.fix(),
        "Min Kim_4713": course.fix(wrong=True),
        "Min Kim_4714": course.fix(),
        "Zoe Zhu_4716": course.fix(),
    }
    with zipfile.ZipFile(tmp_path / "downloads.zip", "w") as archive:
        for name, content in handed_in.items():
            archive.writestr(f"{name}_assignsubmission_file/{NAME}.ipynb", json.dumps(content))
    run = CliRunner().invoke

    sheet = str(tmp_path / "sheet.csv")
    early = run(main, ["export", "moodle", sheet])
    assert early.exit_code == 2
    assert "no grades yet: run `autograde grade`" in early.output
    assert run(main, ["grade", str(tmp_path / "downloads.zip")]).exit_code == 1
    done = run(main, ["export", "moodle", sheet, "--assignment", NAME])
    assert done.exit_code == 1
    assert "Zoe-Zhu: nobody of that name is in the roster" in done.output
    assert "3 grades are in" in done.output
    filled = (course.root / "classroom" / "grades" / "moodle.csv").read_text(encoding="utf-8")
    assert [row["Grade"] for row in rows(filled)] == ["100", "55.00", "40", "100", ""]
    same = run(main, ["export", "moodle", sheet, "--assignment", NAME, "--output", sheet])
    assert (same.exit_code, "is the roster itself" in same.output) == (2, True)
