"""A grader that has graded for hours holds what it held after its first minutes."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import psutil
import pytest

from autograde.memory_bench import Sample, grade_many
from tasklab import comes_true

JOBS = 8
COUNT, EVERY = 320, 40


class Measured(NamedTuple):
    before: Sample
    during: list[Sample]
    ended: Sample


def grade_and_let_end() -> Measured:
    """Grade a class, and wait for what ends by itself a moment after its grading."""
    before = Sample.take(0)
    during = grade_many(COUNT, JOBS, every=EVERY)
    here = psutil.Process()

    def has_ended() -> bool:
        return (
            threading.active_count() <= before.threads
            and here.num_fds() <= before.descriptors
            and not here.children()
        )

    comes_true(has_ended, within=30)
    return Measured(before, during, Sample.take(COUNT))


@pytest.fixture(scope="module")
def measured() -> Measured:
    """In a process of its own: one that runs tests holds what the tests before left in it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        return executor.submit(grade_and_let_end).result()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_large_class_takes_no_more_memory_than_its_reports(measured: Measured) -> None:
    first, *_, last = measured.during
    graded = last.graded - first.graded
    assert graded == COUNT - EVERY
    # The journal has an entry for each, and the tables want all reports at the end.
    assert (last.objects - first.objects) / graded < 20
    assert (last.resident - first.resident) / graded < 32 * 1024


@pytest.mark.long
@pytest.mark.timeout(900)
def test_nothing_else_grows_with_the_class(measured: Measured) -> None:
    before, _, ended = measured
    assert ended.threads <= before.threads, measured
    assert ended.descriptors <= before.descriptors, measured
    assert ended.children == 0, measured
