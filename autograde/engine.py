"""Grade one submission: run the instructor's checks against the learner's files."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasklab.checks import record_verdicts
from tasklab.launcher import BenchBroken, use_launcher
from tasklab.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from autograde.places import OwnMachine
    from autograde.submission import CheckCell, Exercise

__all__ = ["Report", "Result", "grade"]

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

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Result:
        keys = ("outcome", "slug", "saw", "expected", "look")
        verdict = Verdict.from_json({key: fields[key] for key in keys})
        return cls(fields["grade_id"], fields["max_points"], fields["hidden"], verdict)

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
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    """How long each phase took: the start, which is reading what was handed in; the sandbox, with
    its imports; the servers' starts; the checks without those; and the report, with the
    sandbox's end."""
    elsewhere: tuple[str, ...] = ()
    """The hidden checks whose text is not here, by grade_id; somebody else has to run them."""

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

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Report:
        results = tuple(Result.from_json(result) for result in fields["results"])
        remarks, seconds = tuple(fields["remarks"]), fields.get("seconds", {})
        elsewhere = tuple(fields.get("elsewhere", ()))
        return cls(fields["exercise"], results, remarks, seconds, elsewhere)

    def as_json(self) -> dict[str, Any]:
        return {
            "exercise": self.exercise,
            "outcome": self.outcome.value,
            "points": self.points,
            "max_points": self.max_points,
            "results": [result.as_json() for result in self.results],
            "remarks": list(self.remarks),
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "elsewhere": list(self.elsewhere),
        }


def grade(
    exercise: Exercise,
    files: Mapping[str, str],
    place: Callable[[Mapping[str, str]], OwnMachine],
    *,
    remarks: tuple[str, ...] = (),
    on_result: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Run the exercise's checks against `files` in a `place` made for them, and report.

    A check that is broken runs once more, in a place made anew. `on_result` is called with each
    result as soon as it stands.
    """
    results: dict[str, Result] = {}
    seconds = dict.fromkeys(("sandbox", "server", "checks", "report"), 0.0)
    for tries_left in reversed(range(_TRIES)):
        for result in _run(exercise, files, place, dict(results), seconds):
            results[result.grade_id] = result
            if result.verdict.outcome is not Outcome.BROKEN or not tries_left:
                on_result(result)
        if not any(result.verdict.outcome is Outcome.BROKEN for result in results.values()):
            break
    ordered = tuple(results[check.grade_id] for check in exercise.checks)
    return Report(exercise.slug, ordered, remarks, seconds)


def _run(
    exercise: Exercise,
    files: Mapping[str, str],
    place: Callable[[Mapping[str, str]], OwnMachine],
    known: Mapping[str, Result],
    seconds: dict[str, float],
) -> Iterator[Result]:
    """Yield a result for each check that has none yet, or a broken one."""
    namespace: dict[str, Any] = {"__name__": "__checks__"}
    settled = {
        name: result.verdict
        for name, result in known.items()
        if result.verdict.outcome is not Outcome.BROKEN
    }
    launcher = place(files)
    broken = ""
    started = time.monotonic()
    try:
        launcher.start()
        # Costly, and wanted by the first request: it costs nothing while the keeper starts.
        importlib.import_module("tasklab.connections")
        launcher.wait_ready()
    except (BenchBroken, OSError) as error:
        broken = str(error)
    seconds["sandbox"] += (ready := time.monotonic()) - started
    try:
        with use_launcher(launcher), record_verdicts() as verdicts:
            for cell in exercise.cells:
                if cell.grade_id in settled:
                    verdicts.append(settled[cell.grade_id])
                elif cell.graded:
                    verdict = (
                        _broken(cell.grade_id, broken)
                        if broken
                        else _run_check(cell, namespace, verdicts)
                    )
                    yield Result(cell.grade_id, cell.points, cell.hidden, verdict)
                elif not broken and (why := _run_cell(cell, namespace)):
                    broken = f"{cell.grade_id}: {why}"
    finally:
        done = time.monotonic()
        seconds["server"] += launcher.starting
        seconds["checks"] += done - ready - launcher.starting
        launcher.close()
        seconds["report"] += time.monotonic() - done


def _run_cell(cell: CheckCell, namespace: dict[str, Any]) -> str:
    """Run the instructor's code; return what ended it, or nothing."""
    try:
        exec(compile(cell.source, f"<check {cell.grade_id}>", "exec"), namespace)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the check is broken
        return f"{type(error).__name__}: {error}"
    return ""


def _run_check(cell: CheckCell, namespace: dict[str, Any], verdicts: list[Verdict]) -> Verdict:
    already = len(verdicts)
    why = _run_cell(cell, namespace)
    left = verdicts[already:]
    if not why and len(left) == 1 and left[0].slug == cell.grade_id:
        return left[0]
    verdict = _broken(cell.grade_id, why or _without_verdict(cell, left))
    verdicts[already:] = [verdict]
    return verdict


def _without_verdict(cell: CheckCell, left: list[Verdict]) -> str:
    if not left:
        return "it ended without a verdict"
    names = ", ".join(verdict.slug for verdict in left)
    return f"it left a verdict on {names}, not one on {cell.grade_id}"


def _broken(slug: str, why: str) -> Verdict:
    saw = f"the check itself did not work: {why}"
    return Verdict(
        Outcome.BROKEN, slug, saw, "", "this says nothing about the answer; run it again"
    )
