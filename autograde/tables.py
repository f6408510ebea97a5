"""Grades as files: CSV, JSON, JUnit XML and Gradescope's results.json."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

__all__ = ["Graded", "as_csv", "as_gradescope", "as_json", "as_junit", "plain", "reason"]

# XML 1.0 has no other control characters; an app may print any.
_PRINTABLE = {number: " " for number in range(32) if chr(number) not in "\t\n\r"} | {
    127: " ",
    0xFFFE: " ",
    0xFFFF: " ",
}
# A spreadsheet would take a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

# Of a reason, in characters: two lines of a wide terminal.
_LONGEST = 240


@dataclass(frozen=True)
class Graded:
    """One learner's work on one exercise and its report, as JSON."""

    student: str
    slug: str
    report: Mapping[str, Any]


def reason(report: Mapping[str, Any]) -> str:
    """Say in one line why a report is not one of full marks; empty if it is."""
    for outcome in ("broken", "failed"):
        for result in report["results"]:
            if result["outcome"] == outcome:
                saw = " ".join(str(result["saw"]).split())
                saw = f"{saw[: _LONGEST - 1]}…" if len(saw) > _LONGEST else saw
                return f"{result['grade_id']}: {saw}"
    return ""


def as_csv(graded: Iterable[Graded]) -> str:
    """Return a row a learner and exercise, with a column for each check.

    The points of a broken check are empty, and so is the total of a report that has one.
    """
    rows = list(graded)
    checks: dict[str, None] = {}
    for row in rows:
        for result in row.report["results"]:
            checks[f"{row.slug}: {result['grade_id']}"] = None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "exercise", "outcome", "points", "max_points", "reason", *checks])
    for row in rows:
        results = row.report["results"]
        points = {f"{row.slug}: {result['grade_id']}": result["points"] for result in results}
        broken = row.report["outcome"] == "broken"
        writer.writerow(
            [
                plain(row.student),
                row.slug,
                row.report["outcome"],
                "" if broken else f"{row.report['points']:g}",
                f"{row.report['max_points']:g}",
                plain(reason(row.report)),
                *(_points(points.get(name)) for name in checks),
            ]
        )
    return text.getvalue()


def _points(points: float | None) -> str:
    return "" if points is None else f"{points:g}"


def plain(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_json(graded: Iterable[Graded]) -> str:
    rows = [{"student": row.student, **row.report} for row in graded]
    return json.dumps(rows, indent=1) + "\n"


def as_junit(graded: Sequence[Graded]) -> str:
    """Return a suite a learner and exercise, a case a check. Broken is JUnit's error."""
    root = ET.Element("testsuites", name="Vanishing Tasks")
    for row in graded:
        results = row.report["results"]
        count = {
            outcome: str(sum(result["outcome"] == outcome for result in results))
            for outcome in ("failed", "broken")
        }
        suite = ET.SubElement(
            root,
            "testsuite",
            name=f"{row.slug} by {row.student}",
            tests=str(len(results)),
            failures=count["failed"],
            errors=count["broken"],
        )
        for result in results:
            name = {"classname": f"{row.student}.{row.slug}", "name": result["grade_id"]}
            case = ET.SubElement(suite, "testcase", name)
            if result["outcome"] != "passed":
                kind = "failure" if result["outcome"] == "failed" else "error"
                saw = str(result["saw"]).translate(_PRINTABLE)
                told = ET.SubElement(case, kind, message=saw.split("\n", 1)[0])
                told.text = f"saw: {saw}\nexpected: {result['expected']}\nlook: {result['look']}"
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def as_gradescope(report: Mapping[str, Any]) -> str:
    """Return results.json for one submission. A broken one has no score: Gradescope shows why.

    The format: gradescope-autograders.readthedocs.io, "Autograder Specifications".
    """
    words = {"failed": "saw: {saw}\nexpected: {expected}\nlook: {look}", "passed": "{saw}"}
    tests = []
    for result in report["results"]:
        fields = {name: result[name] for name in ("saw", "expected", "look")}
        test = {
            "name": result["grade_id"],
            "max_score": result["max_points"],
            "score": result["points"] or 0.0,
            "status": "passed" if result["outcome"] == "passed" else "failed",
            "output": words.get(result["outcome"], "could not look: {saw}").format(**fields),
            "visibility": "visible",
        }
        tests.append(test)
    results: dict[str, Any] = {"output": "\n".join(report["remarks"]), "tests": tests}
    if report["outcome"] == "broken":
        results["output"] = "Not graded: the autograder could not look. Ask for it to be run again."
        results["tests"] = []
        # Without a score Gradescope records the run as one that failed to grade.
    else:
        results["score"] = report["points"]
    return json.dumps(results, indent=1) + "\n"
