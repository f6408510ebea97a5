from __future__ import annotations

import pytest

from tasklab.verdicts import Outcome, Verdict

FAILED = Verdict(Outcome.FAILED, "others-wait", "no answer\nfor 5 s", "200", "lesson 03")


def test_text_says_what_was_seen_expected_and_where_to_look() -> None:
    assert str(FAILED).splitlines() == [
        "✘ failed  others-wait",
        "    saw       no answer",
        "              for 5 s",
        "    expected  200",
        "    look      lesson 03",
    ]


def test_a_passed_verdict_is_one_line() -> None:
    assert str(Verdict(Outcome.PASSED, "others-wait", "200")) == "✔ passed  others-wait"


def test_html_escapes_what_the_app_wrote() -> None:
    html = Verdict(Outcome.FAILED, "x", "<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_what_the_app_wrote_cannot_steer_the_terminal() -> None:
    text = str(Verdict(Outcome.FAILED, "x", "a\x1b[2Jb\rc\x00"))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\x00" not in text


@pytest.mark.parametrize("outcome", list(Outcome))
def test_json_and_back(outcome: Outcome) -> None:
    verdict = Verdict(outcome, "x", "saw", "expected", "look")
    assert Verdict.from_json(verdict.as_json()) == verdict
    assert outcome.value in verdict._repr_html_()
