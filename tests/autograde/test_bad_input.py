"""What a learner may hand to `autograde check`: one sentence, an exit code, nothing lost.

Answers that misbehave and checks that were tampered with are in test_bad_answers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autograde.exercises import build
from tests.autograde.courses import FIX, NAME, Course, exercise, find

Change = Callable[[dict[str, Any]], object]
OLD = "    # Nobody sees to the letter.\n\n    if issue:\n        pass"


@dataclass(frozen=True)
class Told:
    """What one `autograde check` ended with."""

    code: int
    out: str
    err: str
    before: bytes
    after: bytes

    @property
    def everything(self) -> str:
        return self.out + self.err


def answer_cell(content: dict[str, Any]) -> dict[str, Any]:
    return find(content, "answer-newsletter")


def mend(content: dict[str, Any]) -> None:
    cell = answer_cell(content)
    cell["source"] = "".join(cell["source"]).replace(OLD, FIX)
    assert FIX in cell["source"]


def first_line(line: str) -> Change:
    """The answer is right, but its first line is this one."""

    def change(content: dict[str, Any]) -> None:
        mend(content)
        cell = answer_cell(content)
        _, _, rest = cell["source"].partition("\n")
        cell["source"] = line + rest

    return change


def delete_check(content: dict[str, Any]) -> None:
    """The answer is right, but a check is gone."""
    mend(content)
    content["cells"].remove(find(content, "health-answers"))


# name: what was done, exit code, and what must be told.
CASES: dict[str, tuple[Change, int, str]] = {
    "right": (mend, 0, "5 of 5 points. Every check passed."),
    "the-writefile-line-deleted": (
        first_line(""), 0, "The first line `%%writefile newsletter.py` is missing or changed",
    ),
    "the-writefile-line-changed": (
        first_line("%%writefile news.py\n"), 0,
        "The first line `%%writefile newsletter.py` is missing or changed",
    ),
    "the-writefile-line-leads-elsewhere": (
        first_line("%%writefile ../../solutions/newsletter.py\n"), 0, "is missing or changed",
    ),
    "check-deleted": (
        delete_check, 0,
        "The check health-answers is missing; the original was run.",
    ),
    "answer-deleted": (
        lambda c: c["cells"].remove(answer_cell(c)), 1,
        "The cell that writes newsletter.py is missing",
    ),
}  # fmt: skip
RAW = {
    "not-json": (b"{", "is not a notebook: it is not JSON (line 1)"),
    "empty": (b"", "is not a notebook: it is not JSON"),
    "not-utf-8": (b"\xff\xfe", "byte 0 is not UTF-8"),
    "json-but-no-notebook": (b'{"cells": 1}', "JSON but not a notebook"),
    "too-large": (b'"' + b"x" * (21 << 20) + b'"', "has 21 MiB; a notebook here has at most 20"),
}


def check(root: Path, name: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "autograde", "check", name],
        cwd=root, capture_output=True, text=True, timeout=200,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """Check all of them side by side, each in a course of its own."""
    made = Course(tmp_path_factory.mktemp("made"))
    made.source(exercise())
    build(made.root)
    starter = (made.root / "exercises" / NAME / f"{NAME}.ipynb").read_bytes()

    def run(name: str) -> Told:
        folder = tmp_path_factory.mktemp(name)
        (folder / "solutions").symlink_to(made.root / "solutions")
        path = folder / "exercises" / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        if name in RAW:
            path.write_bytes(RAW[name][0])
        else:
            content = json.loads(starter)
            CASES[name][0](content)
            path.write_text(json.dumps(content), encoding="utf-8")
        before = path.read_bytes()
        code, out, err = check(folder, f"exercises/{NAME}")
        assert sorted(file.name for file in path.parent.iterdir()) == [path.name]
        return Told(code, out, err, before, path.read_bytes())

    names = [*CASES, *RAW]
    with ThreadPoolExecutor(6) as executor:
        return dict(zip(names, executor.map(run, names), strict=True))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CASES)
def test_a_notebook_gets_its_verdicts(name: str, told: dict[str, Told]) -> None:
    _, code, sentence = CASES[name]
    found = told[name]
    assert found.code == code, found.everything
    assert sentence in found.everything
    assert found.before == found.after
    assert "Traceback" not in found.err
    assert "autograde/" not in found.everything
    assert "SECRET_NUMBER" not in found.everything
    if code == 0:
        assert "5 of 5 points" in found.out


@pytest.mark.parametrize("name", RAW)
def test_what_is_no_notebook_is_one_sentence(name: str, told: dict[str, Told]) -> None:
    found = told[name]
    assert found.code == 2
    assert RAW[name][1] in found.err
    assert found.err.count("\n") == 1
    assert not found.out
    assert found.before == found.after


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("99", "There is no exercise '99'; there are: 01-no-letter."),
        ("exercises/02-none", "There is no exercise 'exercises/02-none'"),
        ("nothing.ipynb", "There is no notebook nothing.ipynb."),
        ("exercises", "exercises is a folder without exercises.ipynb"),
    ],
)
def test_no_such_exercise_is_one_sentence(name: str, sentence: str, course: Course) -> None:
    build(course.root)
    code, out, err = check(course.root, name)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
