"""axe-core finds nothing to object to on a lesson, an exercise and a feedback page."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from nbconvert import HTMLExporter
from nbformat import v4

from autograde.exercises import build
from autograde.reports import report_html
from tasklab import Outcome, Verdict
from tests.autograde.courses import NAME, Course, exercise, find
from tests.browser.window import open_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
# Verdicts and a link in a report; many pictures; tables from outputs; folded hints.
PAGES = (
    "notebooks/00-start-here.ipynb",
    "notebooks/11-the-missing-newsletter.ipynb",
    "notebooks/12-what-holds-where.ipynb",
    "exercises/06-everyone-waits-for-one-letter/06-everyone-waits-for-one-letter.ipynb",
)
# The themes' own colours: prompts in grey, code, and links without a line below them.
THEMES = [[".jp-InputPrompt"], [".jp-OutputPrompt"], [".highlight"]]
WITHOUT_LINES = {"link-in-text-block": {"enabled": False}}


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with open_browser(chromium, uuid.uuid4().hex) as browser:
        yield browser


def objections(browser: Browser, html: str, *, of_nbconvert: bool) -> list[str]:
    """What axe objects to, a line for each element; nothing is fetched from elsewhere."""
    page = browser.new_page()
    try:
        page.route("**/*", lambda route: route.abort())
        page.set_content(html, wait_until="domcontentloaded")
        rules = WITHOUT_LINES if of_nbconvert else {}
        options = {"resultTypes": ["violations"], "rules": rules}
        context = {"exclude": THEMES if of_nbconvert else []}
        found = Axe().run(page, context, options).response
    finally:
        page.close()
    assert found["passes"], "axe looked at nothing"
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_course(browser: Browser, name: str, theme: str) -> None:
    html, _ = HTMLExporter(theme=theme).from_filename(  # type: ignore[no-untyped-call]
        str(ROOT / name)
    )
    assert objections(browser, html, of_nbconvert=True) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_verdicts_below_a_cell(browser: Browser, theme: str) -> None:
    verdicts = [Verdict(outcome, "arrives", "no letter", "one", "lesson 00") for outcome in Outcome]
    results = [{**one.as_json(), "points": 1, "max_points": 2} for one in verdicts]
    following = {"said": "That was all.", "page": "notebooks/00-start-here.ipynb"}
    report = {"results": results, "remarks": ["Save it."], "points": 1, "max_points": 2}
    shown = report_html({**report, "outcome": "passed", "next": following})
    output = v4.new_output("display_data", {"text/html": shown})  # type: ignore[no-untyped-call]
    cell = v4.new_code_cell("check", outputs=[output])  # type: ignore[no-untyped-call]
    title = v4.new_markdown_cell("# Checks")  # type: ignore[no-untyped-call]
    page = v4.new_notebook(cells=[title, cell])  # type: ignore[no-untyped-call]
    html, _ = HTMLExporter(theme=theme).from_notebook_node(  # type: ignore[no-untyped-call]
        page
    )
    assert objections(browser, html, of_nbconvert=True) == []


def test_the_feedback_that_students_get(browser: Browser, tmp_path: Path) -> None:
    course = Course(tmp_path)
    course.source(exercise())
    build(tmp_path)
    work = course.fix(wrong=True)
    find(work, "own-words")["source"] = "## Because\n\nSee [FastAPI](https://fastapi.tiangolo.com)."
    course.submit("ada", work)
    for command in ("generate_assignment", "autograde", "generate_feedback"):
        done = course.nbgrader(command, NAME, "--force")
        assert done.returncode == 0, done.stderr
    feedback = tmp_path / "classroom" / "feedback" / "ada" / NAME / f"{NAME}.html"
    html = feedback.read_text(encoding="utf-8")

    assert "✘ failed" in html
    assert "Check <code>letter-arrives</code></a> (Score: 0.0 / 3.0)" in html
    assert html.count("<h1") == 1
    assert 'src="http' not in html
    assert objections(browser, html, of_nbconvert=False) == []
