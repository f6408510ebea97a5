from __future__ import annotations

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from autograde.tables import Graded, as_csv, as_gradescope, as_json, as_junit, reason


def result(name: str, outcome: str, saw: str = "seen") -> dict[str, Any]:
    return {
        "grade_id": name,
        "points": {"passed": 3.0, "failed": 0.0, "broken": None}[outcome],
        "max_points": 3.0,
        "hidden": False,
        "outcome": outcome,
        "slug": name,
        "saw": saw,
        "expected": "something",
        "look": "lesson 00",
    }


def report(outcome: str, *results: dict[str, Any]) -> dict[str, Any]:
    return {
        "exercise": "01",
        "outcome": outcome,
        "points": sum(result["points"] or 0 for result in results),
        "max_points": sum(result["max_points"] for result in results),
        "results": list(results),
        "remarks": [],
    }


GRADED = [
    Graded("ada", "01", report("passed", result("one", "passed"), result("two", "passed"))),
    Graded("bo", "01", report("failed", result("one", "passed"), result("two", "failed", "=1+1"))),
    Graded("-cy", "02", report("broken", result("other", "broken", "no \x00 sandbox"))),
]


def test_csv_has_a_column_for_each_check_and_no_points_for_broken() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(GRADED))))
    assert [row["01: two"] for row in rows] == ["3", "0", ""]
    assert [row["points"] for row in rows] == ["6", "3", ""]
    assert rows[2]["02: other"] == ""
    assert rows[1]["reason"] == "two: =1+1"


def test_csv_holds_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(as_csv(GRADED))))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_json_is_the_reports() -> None:
    assert json.loads(as_json(GRADED))[1]["student"] == "bo"
    assert json.loads(as_json(GRADED))[1]["results"] == GRADED[1].report["results"]


def test_junit_counts_failures_and_errors() -> None:
    root = ET.fromstring(as_junit(GRADED))
    counts = [(s.get("tests"), s.get("failures"), s.get("errors")) for s in root]
    assert counts == [("2", "0", "0"), ("2", "1", "0"), ("1", "0", "1")]
    failure = root[1][1][0]
    assert failure.tag == "failure"
    assert "expected: something" in (failure.text or "")


def test_gradescope_gets_a_score_but_not_of_a_broken_one() -> None:
    graded = json.loads(as_gradescope(GRADED[1].report))
    assert graded["score"] == 3
    assert [test["score"] for test in graded["tests"]] == [3, 0]
    broken = json.loads(as_gradescope(GRADED[2].report))
    assert "score" not in broken
    assert broken["tests"] == []


@pytest.mark.parametrize(
    ("index", "expected"), [(0, ""), (1, "two: =1+1"), (2, "other: no \x00 sandbox")]
)
def test_the_reason_is_one_line(index: int, expected: str) -> None:
    assert reason(GRADED[index].report) == expected


def test_a_long_reason_is_cut() -> None:
    long = report("failed", result("one", "failed", "line\n" * 100))
    assert len(reason(long)) < 260
    assert "\n" not in reason(long)
