from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import pytest

from autograde.batch import Task, grade_all, grade_task
from autograde.places import Limits
from tests.autograde.courses import NAME, answer, exercise, notebook

INSTRUCTOR = json.dumps(exercise())


def task(student: str = "ada", submitted: bytes = b"{}") -> Task:
    return Task(student, NAME, f"{student}.ipynb", submitted, INSTRUCTOR, Limits())


def work(task: Task) -> dict[str, Any]:
    return {"outcome": "passed", "student": task.student}


def test_never_more_under_way_than_jobs() -> None:
    read, most = 0, 0
    running = threading.Semaphore(0)

    def tasks() -> Iterator[Task]:
        nonlocal read
        for number in range(20):
            read += 1
            yield task(str(number))

    def slow(task: Task) -> dict[str, Any]:
        running.release()
        return work(task)

    with ThreadPoolExecutor(3) as executor:
        done = 0
        for _ in grade_all(tasks(), executor, 3, work=slow):
            done += 1
            most = max(most, read - done)
    assert done == 20
    assert most <= 3


def test_a_worker_that_is_lost_once_costs_nothing() -> None:
    lost: set[str] = set()

    def lose_once(task: Task) -> dict[str, Any]:
        if task.student == "bo" and task.student not in lost:
            lost.add(task.student)
            raise BrokenProcessPool("killed")
        return work(task)

    with ThreadPoolExecutor(2) as executor:
        tasks = [task("ada"), task("bo"), task("cy")]
        done = grade_all(tasks, executor, 2, work=lose_once)
        reports = {graded.student: report["outcome"] for graded, report in done}
    assert reports == {"ada": "passed", "bo": "passed", "cy": "passed"}


def test_a_worker_that_is_lost_twice_is_broken_and_no_zero() -> None:
    def lose(_: Task) -> dict[str, Any]:
        raise BrokenProcessPool("killed")

    with ThreadPoolExecutor(1) as executor:
        ((_, report),) = grade_all([task()], executor, 1, work=lose)
    assert report["outcome"] == "broken"
    assert {result["points"] for result in report["results"]} == {None}
    assert "lost twice (BrokenProcessPool)" in report["results"][0]["saw"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "it is not JSON"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[]", "no list of cells"),
        (b'{"cells": [1]}', "no list of cells"),
        (b"[" * 100_000, "it is not JSON"),
    ],
)
def test_what_is_no_notebook_fails_in_one_sentence(data: bytes, why: str) -> None:
    report = grade_task(task(submitted=data))
    assert report["outcome"] == "failed"
    assert report["points"] == 0
    assert why in report["results"][0]["saw"]


def test_a_task_travels_by_value() -> None:
    """A process that shares nothing but the installed course comes to a verdict."""
    with ProcessPoolExecutor(1) as executor:
        ((_, report),) = grade_all(
            [
                task(
                    submitted=json.dumps(
                        notebook(answer("%%writefile newsletter.py\n1/0"))
                    ).encode()
                )
            ],
            executor,
            1,
        )
    assert report["outcome"] == "failed"
    assert "ZeroDivisionError" in report["results"][0]["saw"]


def test_the_fingerprint_changes_with_all_that_decides() -> None:
    first = task(submitted=b"1")
    others = [
        task(submitted=b"2"),
        replace(first, instructor=INSTRUCTOR + " "),
        replace(first, limits=Limits(memory=1)),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert replace(first, student="bo", name="x").fingerprint == first.fingerprint
