"""A grader that has graded for hours holds what it held after its first minutes."""

from __future__ import annotations

import pytest

from autograde.memory_bench import Sample, grade_many
from tasklab import comes_true

JOBS = 8
COUNT, EVERY = 320, 40


@pytest.fixture(scope="module")
def before() -> Sample:
    """A worker of pytest has threads of its own."""
    return Sample.take(0)


@pytest.fixture(scope="module")
def samples(before: Sample) -> list[Sample]:
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
def test_nothing_else_grows_with_the_class(before: Sample, samples: list[Sample]) -> None:
    # The last connections and keepers end by themselves, a moment after their gradings.
    def has_ended() -> bool:
        now = Sample.take(COUNT)
        return now.threads <= before.threads and now.descriptors <= 20 and not now.children

    assert comes_true(has_ended, within=30), (before, Sample.take(COUNT), samples)
