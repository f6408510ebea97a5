"""The grader: isolation, engine, reports, and nbgrader's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograde.notebook import check_exercise

__all__ = ["check_exercise"]


def __getattr__(name: str) -> Any:
    # nbgrader, the command line and a learner's cell each need another part; none needs all.
    if name == "check_exercise":
        from autograde.notebook import check_exercise

        return check_exercise
    raise AttributeError(f"module 'autograde' has no attribute {name!r}")
