from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.autograde.courses import Course, exercise

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def course(tmp_path: Path) -> Course:
    made = Course(tmp_path / "course")
    made.source(exercise())
    return made
