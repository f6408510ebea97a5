from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasklab import checks
from tasklab.checks import CheckBroken, CheckFailed, check, hidden_check, record_verdicts
from tasklab.gates import wait_until
from tasklab.launcher import BenchBroken, Launcher
from tasklab.servers import uvicorn
from tasklab.verdicts import Outcome, Verdict


@pytest.fixture
def verdicts() -> Iterator[list[Verdict]]:
    with record_verdicts() as recorded:
        yield recorded


def only(verdicts: list[Verdict]) -> Verdict:
    (verdict,) = verdicts
    return verdict


def test_a_check_that_ends_has_passed(verdicts: list[Verdict]) -> None:
    with check("delivered") as found:
        found.expect(True, saw="none", expected="one")
        found.passes("one letter")
    assert only(verdicts) == Verdict(Outcome.PASSED, "delivered", "one letter")


def test_what_is_not_met_ends_the_check(verdicts: list[Verdict]) -> None:
    with check("delivered", look="lesson 01") as found:
        found.expect([], saw="no letter", expected="one letter")
        raise AssertionError("not reached")
    assert only(verdicts) == Verdict(
        Outcome.FAILED, "delivered", "no letter", "one letter", "lesson 01"
    )


def test_a_single_expectation_may_look_elsewhere(verdicts: list[Verdict]) -> None:
    with check("delivered", look="lesson 01") as found:
        found.expect(None, saw="x", expected="y", look="lesson 02")
    assert only(verdicts).look == "lesson 02"


def test_a_deadline_is_a_failure_in_words(verdicts: list[Verdict]) -> None:
    with check("delivered"):
        wait_until(lambda: False, within=0.01, what="1 letter delivered")
    assert only(verdicts).outcome is Outcome.FAILED
    assert only(verdicts).saw == "1 letter delivered: not seen within 0.01 s"
    assert only(verdicts).expected == "1 letter delivered"


@pytest.mark.parametrize(
    ("error", "outcome", "saw"),
    [
        (BenchBroken("no keeper"), Outcome.BROKEN, "no keeper"),
        (OSError(28, "No space left on device"), Outcome.BROKEN, "No space left"),
        (KeyError("pid"), Outcome.BROKEN, "KeyError: 'pid'"),
        (json.JSONDecodeError("x", "<html>", 0), Outcome.FAILED, "not JSON: '<html>'"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), Outcome.FAILED, "not UTF-8"),
    ],
)
def test_errors_tell_apart_the_bench_and_the_answer(
    verdicts: list[Verdict], error: Exception, outcome: Outcome, saw: str
) -> None:
    with check("delivered"):
        raise error
    assert only(verdicts).outcome is outcome
    assert saw in only(verdicts).saw
    assert ("not your code" in only(verdicts).saw) == (outcome is Outcome.BROKEN)


def test_ctrl_c_is_no_verdict(verdicts: list[Verdict]) -> None:
    with pytest.raises(KeyboardInterrupt), check("delivered"):
        raise KeyboardInterrupt
    assert verdicts == []


def test_a_check_after_one_that_failed_fails_unlooked(verdicts: list[Verdict]) -> None:
    for slug, good in (("first", False), ("second", True), ("third", True)):
        with check(slug, look="there", after=None if slug == "first" else "first") as found:
            found.require()
            found.expect(good, saw="x", expected="y")
    assert [verdict.outcome for verdict in verdicts] == [Outcome.FAILED] * 3
    # One line: where to look is said by the check that looked.
    assert str(verdicts[2]).splitlines() == [
        "✘ failed  third",
        "    saw       not looked at yet: first mend “first”",
    ]


def test_a_check_may_require_several(verdicts: list[Verdict]) -> None:
    for slug, good in (("first", True), ("second", False)):
        with check(slug) as found:
            found.expect(good, saw="x", expected="y")
    with check("third", after="first") as found:
        found.require("second")
    assert verdicts[2].saw == "not looked at yet: first mend “second”"


def test_a_check_after_one_that_never_ran_says_so(verdicts: list[Verdict]) -> None:
    with check("second", look="there", after="first") as found:
        found.require()
    assert only(verdicts) == Verdict(
        Outcome.FAILED, "second", "not looked at yet: first run “first”"
    )


def test_a_check_after_one_that_broke_is_broken(verdicts: list[Verdict]) -> None:
    with check("first"):
        raise BenchBroken("x")
    with check("second", after="first") as found:
        found.require()
    assert verdicts[1].outcome is Outcome.BROKEN


def test_a_check_after_one_that_passed_looks(verdicts: list[Verdict]) -> None:
    with check("first"):
        pass
    with check("second", after="first") as found:
        found.require()
    assert verdicts[1].outcome is Outcome.PASSED


def test_outside_a_grading_a_verdict_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with check("delivered") as found:
        found.passes("one letter")
    assert capsys.readouterr().out == "✔ passed  delivered\n"
    hidden_check("kept")
    assert "○ kept: hidden. Your teacher runs it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "raised"), [(ValueError("x"), CheckBroken), (ConnectionError("x"), CheckBroken)]
)
def test_outside_a_grading_what_did_not_pass_is_raised(
    error: Exception, raised: type[Exception]
) -> None:
    with pytest.raises(raised), check("delivered"):
        raise error


def test_a_failed_check_shows_no_traceback() -> None:
    with pytest.raises(CheckFailed) as caught, check("delivered") as found:
        found.expect(False, saw="none", expected="one")
    assert caught.value._render_traceback_() == [
        "✘ failed  delivered", "    saw       none", "    expected  one",
    ]  # fmt: skip
    assert caught.value.__suppress_context__
    assert checks._shown["delivered"].outcome is Outcome.FAILED


def test_in_a_grading_a_hidden_check_says_nothing(
    verdicts: list[Verdict], capsys: pytest.CaptureFixture[str]
) -> None:
    hidden_check("kept")
    assert capsys.readouterr().out == ""


def test_a_server_that_hangs_up_is_a_failure_with_its_complaints(
    verdicts: list[Verdict], write_app: Callable[..., Path], warm: Launcher
) -> None:
    with check("answers") as found, uvicorn("newsletter:app") as server:
        server.get("/exit")
        found.passes("never")
    verdict = only(verdicts)
    assert verdict.outcome is Outcome.FAILED
    assert "the server hung up without an answer" in verdict.saw
    assert "uvicorn had ended with exit code 5" in verdict.saw
    assert verdict.expected == "an answer to every request"


def test_an_endless_answer_is_a_failure(
    verdicts: list[Verdict], write_app: Callable[..., Path], warm: Launcher
) -> None:
    with check("answers"), uvicorn("newsletter:app") as server:
        server.get("/long")
    assert only(verdicts).saw == "an answer of more than 1048576 bytes"


def test_a_server_that_does_not_start_is_a_failure_with_its_last_lines(
    verdicts: list[Verdict], write_app: Callable[..., Path], warm: Launcher
) -> None:
    write_app("import nonsense\n")
    with check("answers", look="lesson 00"), uvicorn("newsletter:app"):
        pass
    verdict = only(verdicts)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.saw.startswith("uvicorn ended with exit code 1. Its last lines:\n")
    assert verdict.saw.endswith("ModuleNotFoundError: No module named 'nonsense'")
    assert verdict.look == "", "its last lines say what to do, and the lesson does not"
