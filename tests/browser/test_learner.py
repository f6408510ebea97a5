"""A person's way through the course: headless Chromium in a running JupyterLab."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from autograde.notebooks import grading_metadata, source_of
from autograde.planting import plant
from tests.browser.lab import Lab, copy_course, open_lab, remaining_processes
from tests.browser.window import SIZE, Window, open_browser

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "test-artefacts" / "browser"
LESSON = "00-start-here"
WARM_UP = "00-warm-up"
EXERCISE = "06-everyone-waits-for-one-letter"


class Walk:
    """What one test has at hand: the copied course, the lab on it and the window on the lab."""

    def __init__(self, course: Path, lab: Lab, window: Window) -> None:
        self.course = course
        self.lab = lab
        self.window = window

    def open_exercise(self, slug: str) -> Exercise:
        path = f"exercises/{slug}/{slug}.ipynb"
        self.window.open(self.lab.address(path), slug)
        return Exercise(self, slug)


@contextmanager
def walk(name: str, chromium: str, folder: Path) -> Iterator[Walk]:
    """Open the lab and a window; at the end see that the log is clean and nothing is left."""
    mark = uuid.uuid4().hex
    course = copy_course(folder / "course")
    pictures = PICTURES / name
    shutil.rmtree(pictures, ignore_errors=True)
    try:
        with (
            open_lab(course, folder / "home", mark) as lab,
            open_browser(chromium, mark) as browser,
        ):
            page = browser.new_page(viewport=SIZE)
            window = Window(page, pictures)
            try:
                yield Walk(course, lab, window)
                window.expect_nothing_in_the_way()
            except BaseException:
                window.take_picture("where-it-failed")
                raise
    finally:
        left = remaining_processes(mark, folder)
    assert lab.red_lines == []
    assert left == []


def read_cells(path: Path) -> list[dict[str, Any]]:
    """The code cells of a notebook on disk."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


class Exercise:
    """An open exercise: which of its cells is which, and what its source says."""

    def __init__(self, walk: Walk, slug: str) -> None:
        self.window = walk.window
        self.path = walk.course / "exercises" / slug / f"{slug}.ipynb"
        source = json.loads((ROOT / "solutions" / slug / f"{slug}.ipynb").read_text("utf-8"))
        self.symptom = source["metadata"]["exercise"]["symptom"]
        self.checks: dict[str, int] = {}
        for number, cell in enumerate(read_cells(self.path)):
            metadata = grading_metadata(cell)
            if metadata.get("solution"):
                self.answer = number
                self.starter = source_of(cell)
                (planted,) = [
                    plant(source_of(other), slug)
                    for other in source["cells"]
                    if grading_metadata(other).get("grade_id") == metadata["grade_id"]
                ]
                self.solution = planted.solution
            elif metadata.get("grade") and "hidden_check(" not in source_of(cell):
                self.checks[metadata["grade_id"]] = number
            elif metadata.get("grade_id") == "checks-setup":
                self.setup = number
            elif "check_exercise()" in source_of(cell):
                self.check_all = number

    def expect_verdict(self, slug: str, words: str) -> None:
        expect(self.window.output(self.checks[slug])).to_contain_text(words)
        expect(self.window.output(self.checks[slug])).to_contain_text(slug)

    def rewrite(self, before: str, after: str, *, picture: str) -> None:
        """Type into the answer cell, run it, and see the file change."""
        self.window.retype(self.answer, before.splitlines(), after.splitlines())
        self.window.take_picture(picture)
        self.window.run(self.answer)
        name, text = after.split("\n", 1)
        written = (self.path.parent / name.split()[-1]).read_text(encoding="utf-8")
        assert [line.rstrip() for line in written.splitlines()] == text.splitlines()


def test_the_first_lesson_runs_from_top_to_bottom(chromium: str, tmp_path: Path) -> None:
    path = tmp_path / "course" / "notebooks" / f"{LESSON}.ipynb"
    with walk("lesson", chromium, tmp_path) as person:
        window = person.window
        window.open(person.lab.address(f"notebooks/{LESSON}.ipynb"), LESSON)
        window.take_picture("1-opened")
        cells = read_cells(path)

        window.run_all(until=len(cells) - 1)

        expect(window.output(1)).to_contain_text("200 OK")
        expect(window.output(1)).to_contain_text("0 letters in the mailroom")
        window.take_picture("2-symptom", cell=1)
        window.take_picture("3-last-cell", cell=len(cells) - 1)
        window.save()
        for cell in read_cells(path):
            kinds = [output["output_type"] for output in cell["outputs"]]
            meant = "raises-exception" in cell["metadata"].get("tags", [])
            assert cell["execution_count"], source_of(cell)
            assert ("error" in kinds) == meant, source_of(cell)

        window.follow(EXERCISE)
        window.wait_ready(EXERCISE)
        window.run(0)
        expect(window.output(0)).to_contain_text("Writing newsletter.py")
        window.take_picture("4-next-exercise")


def test_an_exercise_fails_is_mended_passes_and_validates(chromium: str, tmp_path: Path) -> None:
    with walk("exercise", chromium, tmp_path) as person:
        window = person.window
        exercise = person.open_exercise(EXERCISE)
        window.take_picture("1-opened")

        window.run_all(until=exercise.checks[exercise.symptom])

        exercise.expect_verdict(exercise.symptom, "✘ failed")
        for word in ("saw", "expected", "look"):
            exercise.expect_verdict(exercise.symptom, word)
        window.take_picture("2-symptom", cell=exercise.checks[exercise.symptom])

        exercise.rewrite(exercise.starter, exercise.solution, picture="3-fix-typed")
        for slug, number in exercise.checks.items():
            window.run(number)
            exercise.expect_verdict(slug, "✔ passed")
        window.take_picture("4-passed", cell=exercise.checks[exercise.symptom])
        window.run(exercise.check_all)
        expect(window.output(exercise.check_all)).to_contain_text("10 of 10 points")
        window.take_picture("5-all-checks", cell=exercise.check_all)

        window.save()
        saved = source_of(read_cells(exercise.path)[exercise.answer])
        assert [line.rstrip() for line in saved.splitlines()] == exercise.solution.splitlines()
        assert "Success! Your notebook passes all the tests." in window.validate()


def test_an_exercise_is_mended_by_keys_alone(chromium: str, tmp_path: Path) -> None:
    """From the first lesson to the last check, without a mouse."""
    with walk("keys", chromium, tmp_path) as person:
        window = person.window
        window.watch_for_a_mouse()
        window.open(person.lab.address(f"notebooks/{LESSON}.ipynb"), LESSON)
        exercise = Exercise(person, EXERCISE)

        window.open_by_keys(f"exercises/{EXERCISE}/{EXERCISE}.ipynb", EXERCISE)
        lines = exercise.starter.splitlines(), exercise.solution.splitlines()
        window.retype_by_keys(exercise.answer, *lines)
        window.take_picture("1-fix-typed")
        window.run_by_keys(exercise.answer)
        window.run_by_keys(exercise.setup)
        for slug, number in exercise.checks.items():
            window.run_by_keys(number)
            exercise.expect_verdict(slug, "✔ passed")
        window.run_by_keys(exercise.check_all)
        expect(window.output(exercise.check_all)).to_contain_text("Every check passed.")
        expect(window.output(exercise.check_all).get_by_role("link")).to_contain_text("notebooks/")
        window.take_picture("2-passed", cell=exercise.check_all)

        assert window.pointer_events == 0


def test_the_warm_up_is_broken_on_purpose_and_mended(chromium: str, tmp_path: Path) -> None:
    """What its page asks the learner to do."""
    with walk("warm-up", chromium, tmp_path) as person:
        window = person.window
        exercise = person.open_exercise(WARM_UP)
        whole = exercise.starter
        broken = whole.replace("    tasks.add_task", "    # tasks.add_task")
        assert whole != broken
        window.run_all(until=exercise.check_all)
        expect(window.output(exercise.check_all)).to_contain_text("10 of 10 points")

        exercise.rewrite(whole, broken, picture="1-broken")
        window.run(exercise.checks["letter-arrives"])
        exercise.expect_verdict("letter-arrives", "✘ failed")
        window.take_picture("2-failed", cell=exercise.checks["letter-arrives"])

        exercise.rewrite(broken, whole, picture="3-mended")
        window.run(exercise.check_all)
        expect(window.output(exercise.check_all)).to_contain_text("10 of 10 points")
        window.take_picture("4-passed", cell=exercise.check_all)
