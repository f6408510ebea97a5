from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from autograde.errors import Misuse
from autograde.exercises import build, find_stale
from autograde.starters import reset
from tests.autograde.courses import NAME, Course, exercise, find


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    course = Course(tmp_path)
    course.source(exercise())
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    return course


def change(course: Course) -> bytes:
    path = course.root / "exercises" / NAME / f"{NAME}.ipynb"
    content = course.starter()
    find(content, "answer-newsletter")["source"] = "%%writefile newsletter.py\nmine"
    path.write_text(json.dumps(content), encoding="utf-8")
    (path.parent / "newsletter.py").write_text("mine")
    return path.read_bytes()


def test_the_starter_comes_back_and_nothing_is_lost(course: Course) -> None:
    folder = course.root / "exercises" / NAME
    before = (folder / f"{NAME}.ipynb").read_bytes()
    mine = change(course)
    path, kept = reset(NAME)
    assert path.read_bytes() == before
    assert kept.read_bytes() == mine
    assert not (folder / "newsletter.py").exists()
    assert find_stale(course.root) == []

    again = change(course)
    _, second = reset(str(folder))
    assert second != kept
    assert (kept.read_bytes(), second.read_bytes()) == (mine, again)


def test_a_hand_out_brings_its_own_starters(course: Course) -> None:
    folder = course.root / "exercises"
    (folder / ".starters").mkdir()
    shutil.copy(folder / NAME / f"{NAME}.ipynb", folder / ".starters")
    shutil.rmtree(course.root / "solutions")
    before = course.starter()
    change(course)
    reset(NAME)
    assert course.starter() == before


def test_without_a_starter_nothing_is_touched(course: Course) -> None:
    shutil.rmtree(course.root / "solutions")
    mine = change(course)
    with pytest.raises(Misuse, match="from a fresh copy of the course"):
        reset(NAME)
    path = course.root / "exercises" / NAME / f"{NAME}.ipynb"
    assert path.read_bytes() == mine
    assert not list(path.parent.glob("*before*"))
