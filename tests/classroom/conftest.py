from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.autograde.courses import Course, exercise
from tests.classroom.people import Classroom, Student

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def classroom(tmp_path: Path) -> Classroom:
    """Somebody teaches a course of one exercise; nothing is released yet."""
    course = Course(tmp_path / "course")
    course.source(exercise())
    return Classroom(course, tmp_path)


@pytest.fixture
def ada(classroom: Classroom) -> Student:
    return Student("ada", classroom)


@pytest.fixture
def bo(classroom: Classroom) -> Student:
    return Student("bo", classroom)
