"""What a gradebook is told of a report: points, words and the outputs of a graded notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat

from tasklab.verdicts import Outcome

if TYPE_CHECKING:
    from autograde.engine import Report

__all__ = ["Grading"]


class Grading:
    """What RunChecks hands to SaveVerdicts, in memory: a notebook could be forged."""

    def __init__(self, report: Report | None, why: str) -> None:
        self.report = report
        self.why = why
        self.results = {result.grade_id: result for result in report.results} if report else {}

    def find_points(self, grade_id: str, max_points: float) -> float | None:
        """Return the points on the gradebook's scale; None where nothing is known."""
        result = self.results.get(grade_id)
        if result is None or result.points is None:
            return None
        if result.max_points in {0, max_points}:
            return result.points
        return result.points / result.max_points * max_points

    def explain(self, grade_id: str) -> str:
        """Say why a check has no points."""
        result = self.results.get(grade_id)
        if result is not None:
            return result.verdict.saw
        return self.why or "the check left no verdict"

    def remark(self) -> str | None:
        """Say what a teacher and a learner should know; nothing in it is the learner's text."""
        if self.report is None:
            return f"Not graded: {self.why}"
        broken = [
            result.grade_id
            for result in self.results.values()
            if result.verdict.outcome is Outcome.BROKEN
        ]
        remarks = list(self.report.remarks)
        if broken:
            remarks.append(
                f"Not graded yet: {', '.join(broken)} could not look, which says nothing about "
                "the answer. Grade it again."
            )
        return " ".join(remarks) or None

    def show(self, grade_id: str) -> list[nbformat.NotebookNode]:
        """Return cell outputs that say what the check found, readable in nbgrader's pages."""
        result = self.results.get(grade_id)
        if result is None:
            why = self.explain(grade_id)
            return [_output("error", ename="CheckBroken", evalue=why, traceback=[f"? {why}"])]
        verdict = result.verdict
        bundle = {"text/plain": str(verdict), "text/html": verdict._repr_html_()}
        if verdict.outcome is Outcome.PASSED:
            # nbgrader's own rule reads the points off the plain text of a result.
            bundle["text/plain"] = str(result.points)
            return [_output("execute_result", data=bundle, metadata={}, execution_count=None)]
        failed = verdict.outcome is Outcome.FAILED
        points = f"0 of {result.max_points:g} points" if failed else "not graded, nothing lost"
        return [
            _output("display_data", data=bundle, metadata={}),
            _output(
                "error",
                ename="CheckFailed" if failed else "CheckBroken",
                evalue=verdict.saw,
                traceback=[f"{verdict.outcome.mark} {grade_id}: {points}"],
            ),
        ]


def _output(kind: str, **fields: Any) -> nbformat.NotebookNode:
    node: nbformat.NotebookNode = nbformat.from_dict(  # type: ignore[no-untyped-call]
        {"output_type": kind, **fields}
    )
    return node
