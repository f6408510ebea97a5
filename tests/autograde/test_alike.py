"""The same submissions have the same grades, however many at once, and however slowly."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from autograde.batch import Task, grade_all, open_many_files
from autograde.places import Limits
from tests.attacks.answers import HONEST, IDLE
from tests.autograde.courses import NAME, answer, exercise, notebook

ANSWERS = {
    "right": HONEST,
    "idle": IDLE,
    "refuses": HONEST.replace('    return "ok"', "    raise RuntimeError"),
    "sends-twice": HONEST.replace("    return {", "    deliver(issue['number'])\n    return {"),
    "ends-at-import": f"{HONEST}\nraise SystemExit(4)\n",
    "has-no-syntax": "def app(:\n",
}
POINTS = {
    "right": 5.0, "idle": 2.0, "refuses": 3.0, "sends-twice": 2.0,
    "ends-at-import": 0.0, "has-no-syntax": 0.0,
}  # fmt: skip
JOBS = 32


def tasks(learners: int) -> Iterator[Task]:
    for number in range(learners):
        for kind, text in ANSWERS.items():
            submitted = json.dumps(notebook(answer(f"%%writefile newsletter.py\n{text}"))).encode()
            yield Task(
                f"{kind}-{number}", NAME, "a.ipynb", submitted, json.dumps(exercise()), Limits()
            )


def grades(jobs: int, learners: int) -> dict[str, list[tuple[str, str, Any]]]:
    with ThreadPoolExecutor(jobs) as executor:
        return {
            task.student: [(r["slug"], r["outcome"], r["points"]) for r in report["results"]]
            for task, report in grade_all(tasks(learners), executor, jobs)
        }


@contextlib.contextmanager
def oversubscribed(times: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(times * (os.cpu_count() or 1)):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        yield


@pytest.mark.long
@pytest.mark.timeout(900)
def test_neither_the_number_of_jobs_nor_a_busy_machine_changes_a_grade() -> None:
    open_many_files()
    alone = {student.removesuffix("-0"): found for student, found in grades(1, 1).items()}
    assert {kind: sum(points for _, _, points in found) for kind, found in alone.items()} == POINTS
    learners = JOBS // len(ANSWERS) + 1
    expected = {f"{kind}-{number}": alone[kind] for number in range(learners) for kind in ANSWERS}
    assert grades(JOBS, learners) == expected
    with oversubscribed(4):
        assert grades(JOBS, learners) == expected
