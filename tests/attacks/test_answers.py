"""Attacks on the grading: none earns a point, stops it, or is felt by a neighbour."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import psutil
import pytest

from autograde.batch import Task, grade_all, open_many_files
from autograde.places import Limits
from autograde.reports import report_html, result_text
from tasklab import comes_true
from tests.attacks.answers import ATTACKS, HONEST
from tests.autograde.courses import NAME, answer, exercise, notebook

INSTRUCTOR = json.dumps(exercise())
LIMITS = Limits(memory=256 * 1024**2, processor_time=20, wall_time=120)
NEIGHBOURS = 8
MOST_FILES_LEFT = 20


class Grading(NamedTuple):
    reports: dict[str, dict[str, Any]]
    left: list[psutil.Process]
    resident: int
    descriptors: int
    """How many more are open than before."""


def task(student: str, text: str) -> Task:
    submitted = json.dumps(notebook(answer(f"%%writefile newsletter.py\n{text}"))).encode()
    return Task(student, NAME, f"{student}.ipynb", submitted, INSTRUCTOR, LIMITS)


@pytest.fixture(scope="module")
def grading() -> Grading:
    """Grade all attacks side by side, honest neighbours between them."""
    open_many_files()
    tasks = [task(name, attack.text) for name, attack in ATTACKS.items()]
    for number in range(NEIGHBOURS):
        tasks.insert(1 + number * len(tasks) // NEIGHBOURS, task(f"honest-{number}", HONEST))
    here = psutil.Process()
    before, files = set(here.children(recursive=True)), here.num_fds()
    with ThreadPoolExecutor(8) as executor:
        reports = {done.student: report for done, report in grade_all(tasks, executor, 8)}

    def left() -> list[psutil.Process]:
        return [child for child in here.children(recursive=True) if child not in before]

    # The last connections close a moment after the last gradings.
    comes_true(lambda: not left() and here.num_fds() - files < MOST_FILES_LEFT, within=30)
    return Grading(reports, left(), here.memory_info().rss, here.num_fds() - files)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_earns_what_an_honest_answer_would(name: str, grading: Grading) -> None:
    report, attack = grading.reports[name], ATTACKS[name]
    said = "\n".join(result_text(result, set()) for result in report["results"])
    assert report["outcome"] != "broken", said
    assert report["points"] in attack.earns, said
    assert attack.told in said
    assert 'Traceback (most recent call last)\n  File "<check' not in said


def test_neighbours_notice_nothing(grading: Grading) -> None:
    points = {
        name: report["points"]
        for name, report in grading.reports.items()
        if name.startswith("honest")
    }
    assert points == dict.fromkeys(points, 5.0)
    assert len(points) == NEIGHBOURS


def test_nothing_is_left(grading: Grading) -> None:
    assert not grading.left
    assert grading.descriptors < MOST_FILES_LEFT
    assert grading.resident < 700 * 1024**2


def test_what_an_app_prints_is_text_in_a_report(
    grading: Grading, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = grading.reports["print-what-is-no-text"]
    page = report_html(report)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>" not in page
    assert "\x1b" not in page
    # The attack works where nobody escapes what the app wrote.
    monkeypatch.setattr("tasklab.verdicts.html.escape", str)
    monkeypatch.setattr("tasklab.verdicts._printable", str)
    page = report_html(report)
    assert "<script>alert(1)</script>" in page
    assert "\x1b" in page


def test_a_redirect_is_not_followed() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as canary:
        port = canary.getsockname()[1]
        text = HONEST.replace(
            '    return "ok"',
            f"    from fastapi.responses import RedirectResponse\n"
            f'    return RedirectResponse("http://127.0.0.1:{port}/")',
        )
        with ThreadPoolExecutor(1) as executor:
            ((_, report),) = grade_all([task("ada", text)], executor, 1)
        canary.setblocking(False)
        with pytest.raises(BlockingIOError):
            canary.accept()
    assert report["results"][0]["saw"] == "307"
