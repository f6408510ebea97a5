"""A class on a JupyterHub: from release to feedback, by nbgrader's panels in JupyterLab."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.autograde.courses import NAME, Course, exercise
from tests.browser.desk import Desk
from tests.browser.hub import Hub, find_proxy, open_hub
from tests.browser.lab import remaining_processes
from tests.browser.window import SIZE, open_browser

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(1500)]

PICTURES = Path(__file__).resolve().parents[2] / "test-artefacts" / "browser" / "hub"
COURSE = "vanishing-tasks"
# Words that only the hidden check has.
HIDDEN = ("SECRET_NUMBER", "4711", "HIDDEN TESTS")


@pytest.fixture(scope="module")
def proxy() -> str:
    found = find_proxy()
    if not found:
        pytest.skip("JupyterHub's proxy is missing: install npm, and run `make test-all`.")
    return found


def test_a_class_goes_from_release_to_feedback(chromium: str, proxy: str, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    shutil.rmtree(PICTURES, ignore_errors=True)
    try:
        with (
            open_hub(tmp_path, exercise(), ("ada", "bo"), proxy, mark) as hub,
            open_browser(chromium, mark) as browser,
        ):
            teacher, ada, bo = desks = [
                Desk(browser.new_context(viewport=SIZE).new_page(), hub.url, name, PICTURES)
                for name in ("teacher", "ada", "bo")
            ]
            try:
                teach_and_learn(hub, teacher, {"ada": ada, "bo": bo})
            except BaseException:
                for desk in desks:
                    desk.take_picture("where-it-failed")
                shutil.copy(hub.log, PICTURES)
                raise
    finally:
        left = remaining_processes(mark, tmp_path)
    assert hub.red_lines == []
    assert left == []


def teach_and_learn(hub: Hub, teacher: Desk, students: dict[str, Desk]) -> None:
    course = Course(hub.home("teacher") / COURSE)
    teacher.log_in()
    teacher.open_panel("Course List")
    expect(teacher.courses).to_contain_text(COURSE)
    teacher.take_picture("1-courses")
    teacher.open_panel("Formgrader")
    assert "Successfully created the student version" in teacher.do(NAME, "assign")
    assert "Successfully released" in teacher.do(NAME, "release")
    expect(teacher.row(NAME)).to_contain_text("released")
    teacher.take_picture("2-released")

    for name, desk in students.items():
        desk.log_in()
        desk.open_menu()
        expect(desk.menu).to_have_text(["Assignment List"])
        desk.menu.first.click()
        expect(desk.listed("released")).to_contain_text(NAME)
        desk.press("released", "Fetch")
        expect(desk.listed("fetched")).to_contain_text(NAME)
        desk.take_picture("3-fetched")
        fetched = hub.home(name) / NAME / f"{NAME}.ipynb"
        assert fetched.read_bytes() == (
            (course.root / "exercises" / NAME / f"{NAME}.ipynb").read_bytes()
        )
        fetched.write_text(json.dumps(course.fix(wrong=name == "bo")), encoding="utf-8")
        desk.press("fetched", "Submit")
        expect(desk.listed("submitted")).to_contain_text(NAME)
        desk.take_picture("4-submitted")

    assert "Successfully collected" in teacher.do(NAME, "collect")
    expect(teacher.row(NAME).locator("td.num-submissions")).to_have_text("2")
    teacher.row(NAME).locator("td.num-submissions a").click()
    for name, score in (("ada", "5 / 5"), ("bo", "2 / 5")):
        assert "Successfully autograded" in teacher.do(name, "autograde")
        expect(teacher.row(name).locator("td.score")).to_have_text(score)
    teacher.take_picture("5-graded")
    teacher.formgrader.get_by_role("link", name="Manage Assignments").click()
    assert "Successfully generated feedback" in teacher.do(NAME, "generate-feedback")
    assert "Successfully released feedback" in teacher.do(NAME, "release-feedback")

    for name, words in (("ada", "1 letter"), ("bo", "0 letters")):
        desk = students[name]
        desk.refresh_list()
        desk.press("submitted", "Fetch Feedback")
        feedback = desk.read_feedback(NAME).locator("body")
        expect(feedback).to_contain_text(words)
        feedback.get_by_text(words).first.scroll_into_view_if_needed()
        desk.take_picture("6-feedback")
        assert ("✘ failed" in feedback.inner_text()) == (name == "bo")
        assert not any(word in feedback.inner_text() for word in HIDDEN)
