"""Grade one submission: run the instructor's checks against the learner's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from autograde.places import OwnMachine
from autograde.submission import CheckCell, Exercise
from tasklab.checks import record_verdicts
from tasklab.launcher import BenchBroken, use_launcher
from tasklab.verdicts import Outcome, Verdict

__all__ = ["Report", "Result", "grade"]

_SILENT = "the check ended without a verdict"
_TRIES = 2


@dataclass(frozen=True)
class Result:
    """One check's verdict and what it is worth. A broken one has no points, not zero."""

    grade_id: str
    max_points: float
    hidden: bool
    verdict: Verdict

    @property
    def points(self) -> float | None:
        match self.verdict.outcome:
            case Outcome.PASSED:
                return self.max_points
            case Outcome.FAILED:
                return 0.0
            case _:
                return None

    def as_json(self) -> dict[str, Any]:
        return {
            "grade_id": self.grade_id,
            "points": self.points,
            "max_points": self.max_points,
            "hidden": self.hidden,
            **self.verdict.as_json(),
        }


@dataclass(frozen=True)
class Report:
    """Everything that one grading found."""

    exercise: str
    results: tuple[Result, ...]
    remarks: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        outcomes = {result.verdict.outcome for result in self.results}
        if Outcome.BROKEN in outcomes or not outcomes:
            return Outcome.BROKEN
        return Outcome.FAILED if Outcome.FAILED in outcomes else Outcome.PASSED

    @property
    def points(self) -> float:
        return sum(result.points or 0.0 for result in self.results)

    @property
    def max_points(self) -> float:
        return sum(result.max_points for result in self.results)

    def as_json(self) -> dict[str, Any]:
        return {
            "exercise": self.exercise,
            "outcome": self.outcome.value,
            "points": self.points,
            "max_points": self.max_points,
            "results": [result.as_json() for result in self.results],
            "remarks": list(self.remarks),
        }


def grade(
    exercise: Exercise,
    files: Mapping[str, str],
    place: Callable[[Mapping[str, str]], OwnMachine],
    *,
    remarks: tuple[str, ...] = (),
    on_result: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Run the exercise's checks against `files` in a `place` made for them, and report.

    A check that is broken runs once more, in a place made anew. `on_result` is called with each
    result as soon as it stands.
    """
    results: dict[str, Result] = {}
    for last in range(_TRIES):
        for result in _run(exercise, files, place, results):
            results[result.grade_id] = result
            if result.verdict.outcome is not Outcome.BROKEN or last == _TRIES - 1:
                on_result(result)
        if not any(result.verdict.outcome is Outcome.BROKEN for result in results.values()):
            break
    ordered = tuple(results[check.grade_id] for check in exercise.checks)
    return Report(exercise.slug, ordered, remarks)


def _run(
    exercise: Exercise,
    files: Mapping[str, str],
    place: Callable[[Mapping[str, str]], OwnMachine],
    known: Mapping[str, Result],
) -> Any:
    """Yield a result for each check that has none yet, or a broken one."""
    namespace: dict[str, Any] = {"__name__": "__checks__"}
    launcher = place(files)
    try:
        launcher.start()
        with use_launcher(launcher), record_verdicts() as verdicts:
            for cell in exercise.cells:
                before = known.get(cell.grade_id)
                if before is not None and before.verdict.outcome is not Outcome.BROKEN:
                    verdicts.append(before.verdict)
                    continue
                verdict = _run_cell(cell, namespace, verdicts)
                if cell.graded:
                    yield Result(cell.grade_id, cell.points, cell.hidden, verdict)
    except (BenchBroken, OSError) as error:
        for check in exercise.checks:
            if check.grade_id not in known:
                verdict = _broken(check.grade_id, str(error))
                yield Result(check.grade_id, check.points, check.hidden, verdict)
    finally:
        launcher.close()


def _run_cell(cell: CheckCell, namespace: dict[str, Any], verdicts: list[Verdict]) -> Verdict:
    already = len(verdicts)
    why = _SILENT
    try:
        code = compile(cell.source, f"<check {cell.grade_id}>", "exec")
        exec(code, namespace)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    left = verdicts[already:]
    if why is not _SILENT or len(left) != 1 or left[0].slug != cell.grade_id:
        verdict = _broken(cell.grade_id, why)
        verdicts[already:] = [verdict]
        return verdict
    return left[0]


def _broken(slug: str, why: str) -> Verdict:
    saw = f"the check itself did not work: {why}"
    return Verdict(Outcome.BROKEN, slug, saw, "", "this says nothing about the answer; run it again")
