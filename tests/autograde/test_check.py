"""Checking one's own work, from the notebook's cells or from the files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autograde.check import check_work, collect_work
from autograde.errors import BrokenEnvironment, Misuse
from autograde.exercises import build
from tests.autograde.courses import NAME, Course, exercise, markdown, notebook


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    made = Course(tmp_path)
    made.source(exercise())
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    return made


def test_the_cells_are_the_answer(course: Course) -> None:
    work = collect_work(NAME)
    assert list(work.files) == ["newsletter.py"]
    assert "Nobody sees to the letter." in work.files["newsletter.py"]
    assert len(work.exercise.checks) == 2
    assert not work.remarks


def test_the_files_are_checked_as_they_are_now(course: Course) -> None:
    with pytest.raises(Misuse, match=r"There is no newsletter\.py here yet: run the cell"):
        collect_work(NAME, from_files=True)
    path = course.root / "exercises" / NAME / "newsletter.py"
    path.write_text("mine = 1\n")
    work = collect_work(NAME, from_files=True)
    assert work.files == {"newsletter.py": "mine = 1\n"}
    assert "save the notebook before you hand it in" in work.remarks[0]
    path.write_text(collect_work(NAME).files["newsletter.py"])
    assert not collect_work(NAME, from_files=True).remarks
    path.write_bytes(b"\xff")
    with pytest.raises(Misuse, match=r"newsletter\.py cannot be read"):
        collect_work(NAME, from_files=True)


def test_without_solutions_only_visible_checks_run(course: Course) -> None:
    shutil.rmtree(course.root / "solutions")
    work = collect_work(NAME)
    assert [check.grade_id for check in work.exercise.checks] == ["health-answers"]
    assert work.remarks == ()
    assert work.elsewhere == ("letter-arrives",)


def test_a_notebook_without_checks_is_no_exercise(course: Course) -> None:
    path = Course._write(course.root / "notes" / "notes.ipynb", notebook(markdown("# Notes")))
    with pytest.raises(Misuse, match="has no checks"):
        collect_work(str(path))


def test_without_a_sandbox_it_runs_and_says_so(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> str:
        raise BrokenEnvironment("There is no sandbox on this machine.")

    monkeypatch.setattr("autograde.check.sandbox_program", refuse)
    report = check_work(collect_work(NAME))
    assert report.points == 2
    assert report.remarks == ("Checked without a sandbox. There is no sandbox on this machine.",)
    asked = check_work(collect_work(NAME), sandbox=False)
    assert (asked.points, asked.remarks) == (2, ())
