"""A grader that has graded for hours holds what it held after its first minutes."""

from __future__ import annotations

import pytest

from autograde.memory_bench import Sample, grade_many

JOBS = 8
COUNT, EVERY = 320, 40


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return grade_many(COUNT, JOBS, every=EVERY)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_large_class_takes_no_more_memory_than_its_reports(samples: list[Sample]) -> None:
    first, *_, last = samples
    graded = last.graded - first.graded
    assert graded == COUNT - EVERY
    # The journal has an entry for each, and the tables want all reports at the end.
    assert (last.objects - first.objects) / graded < 20
    assert (last.resident - first.resident) / graded < 32 * 1024


@pytest.mark.long
def test_nothing_else_grows_with_the_class(samples: list[Sample]) -> None:
    last = samples[-1]
    # While they work, the others each hold some of their own.
    assert last.threads <= JOBS + 4
    assert last.descriptors <= 20
    assert not last.children
