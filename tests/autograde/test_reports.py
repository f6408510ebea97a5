from __future__ import annotations

from typing import Any

import pytest

from autograde.reports import report_html, result_text, summary_text

COULD_NOT_LOOK = (
    "1 of 2 checks could not look, which says nothing about your code: run it again. "
    "So far 0 of 6 points."
)
LONG = "the mailroom waited and nothing came, " * 4


def result(outcome: str, saw: str = "seen", name: str = "letter-arrives") -> dict[str, Any]:
    return {
        "grade_id": name,
        "points": {"passed": 3.0, "failed": 0.0, "broken": None}[outcome],
        "max_points": 3.0,
        "outcome": outcome,
        "slug": name,
        "saw": saw,
        "expected": "" if outcome == "passed" else "one letter",
        "look": "" if outcome == "passed" else "lesson 00",
    }


def report(*results: dict[str, Any]) -> dict[str, Any]:
    outcomes = {found["outcome"] for found in results}
    worst = next(name for name in ("broken", "failed", "passed") if name in outcomes)
    return {
        "outcome": worst,
        "points": sum(found["points"] or 0 for found in results),
        "max_points": 3.0 * len(results),
        "results": list(results),
        "remarks": ["A <remark>."],
    }


def test_a_verdict_says_what_was_seen_expected_and_where_to_look() -> None:
    text = result_text(result("failed", "0 letters"), set())
    assert text.splitlines()[0].split() == ["✘", "failed", "letter-arrives", "0/3"]
    assert [line.split(maxsplit=1) for line in text.splitlines()[1:]] == [
        ["saw", "0 letters"],
        ["expected", "one letter"],
        ["look", "lesson 00"],
    ]


def test_a_broken_check_has_no_points() -> None:
    assert result_text(result("broken"), set()).splitlines()[0].endswith("–/3")


def test_the_same_long_evidence_is_shown_once() -> None:
    seen: set[str] = set()
    assert "nothing came" in result_text(result("failed", LONG), seen)
    again = result_text(result("failed", LONG), seen)
    assert "nothing came" not in again
    assert "the same as above" in again


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([result("passed")] * 2, "6 of 6 points. Every check passed."),
        ([result("passed"), result("failed")], "3 of 6 points. 1 of 2 checks failed."),
        ([result("failed"), result("broken")], COULD_NOT_LOOK),
    ],
)
def test_the_closing_line(results: list[dict[str, Any]], expected: str) -> None:
    assert summary_text(report(*results)) == expected


def test_the_closing_line_of_a_students_copy_does_not_promise_everything() -> None:
    passed = {**report(result("passed")), "elsewhere": ["letter-arrives", "shutdown-ends"]}

    assert summary_text(passed) == (
        "3 of 3 points. Every check that runs here passed.\n"
        "Not run here, because they are hidden; your teacher runs them: letter-arrives, "
        "shutdown-ends."
    )


def test_a_page_escapes_whatever_an_app_may_say() -> None:
    page = report_html(report(result("failed", "<img src=x onerror=alert(1)>")))
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "A &lt;remark&gt;." in page
    assert "0 of 3 points. 1 of 1 checks failed." in page


def test_a_page_shows_the_same_long_evidence_once() -> None:
    page = report_html(report(result("failed", LONG), result("failed", LONG, "other")))
    assert page.count("nothing came") == LONG.count("nothing came")
