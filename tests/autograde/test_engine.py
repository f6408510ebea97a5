from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from autograde.engine import Report, Result, grade
from autograde.places import OwnMachine
from autograde.submission import Exercise
from tasklab.verdicts import Outcome, Verdict
from tests.autograde.courses import ANSWER, check_cell, code, exercise, notebook

SETUP = "from tasklab import check"
PASSES = 'with check("{name}") as found:\n    found.passes("fine")'
FAILS = 'with check("{name}") as found:\n    found.expect(False, saw="none", expected="one")'
SILENT = "pass"
RAISES = 'raise LookupError("no such letter")'


class Places:
    """Make places in which nothing is warm, and remember them."""

    def __init__(self, *warm: str) -> None:
        self.made: list[OwnMachine] = []
        self.warm = warm

    def __call__(self, files: Mapping[str, str]) -> OwnMachine:
        place = OwnMachine(files, warm=False)
        place._warm = self.warm
        self.made.append(place)
        return place

    @property
    def closed(self) -> list[bool]:
        return [place.control.process.poll() is not None for place in self.made]  # type: ignore[union-attr]


@pytest.fixture
def places() -> Places:
    return Places()


def exercise_with(*cells: dict[str, Any]) -> Exercise:
    return Exercise.from_notebook("01-no-letter", notebook(*cells))


def checks(**sources: str) -> Exercise:
    """An exercise with these checks, two points each; an underscore in a name becomes a hyphen."""
    cells = [
        check_cell(source.replace("{name}", slug), slug, 2)
        for name, source in sources.items()
        if (slug := name.replace("_", "-"))
    ]
    return exercise_with(code(SETUP, "checks-setup", locked=True), *cells)


def once(flag: Path, first: str, then: str = PASSES) -> str:
    """Do something at the first try only."""
    return (
        f"from pathlib import Path\nflag = Path({str(flag)!r})\n"
        f"if not flag.exists():\n    flag.touch()\n{indent(first, '    ')}\n"
        f"else:\n{indent(then, '    ')}"
    )


def count(path: Path) -> str:
    """Note each run of a check in a file."""
    return f"with open({str(path)!r}, 'a') as file: file.write('x')\n"


def verdicts(report: Report) -> dict[str, str]:
    return {result.grade_id: result.verdict.outcome.value for result in report.results}


def saw(report: Report, slug: str) -> str:
    (found,) = (result.verdict.saw for result in report.results if result.grade_id == slug)
    return found


# -- outcomes and points --------------------------------------------------------------------------


def test_points_come_from_verdicts(places: Places) -> None:
    report = grade(checks(good=PASSES, bad=FAILS), {}, places, remarks=("a remark",))
    assert verdicts(report) == {"good": "passed", "bad": "failed"}
    assert [result.points for result in report.results] == [2, 0]
    assert (report.points, report.max_points, report.outcome) == (2, 4, Outcome.FAILED)
    assert (report.exercise, report.remarks) == ("01-no-letter", ("a remark",))
    assert len(places.made) == 1
    assert places.closed == [True]


def test_a_broken_check_has_no_points_at_all(places: Places) -> None:
    report = grade(checks(good=PASSES, bad=FAILS, ugly=RAISES), {}, places)
    assert [result.points for result in report.results] == [2, 0, None]
    assert (report.points, report.max_points, report.outcome) == (2, 6, Outcome.BROKEN)


def test_without_a_check_nothing_is_proved(places: Places) -> None:
    assert Report("01-no-letter", ()).outcome is Outcome.BROKEN
    assert grade(checks(), {}, places).outcome is Outcome.BROKEN


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (SILENT, "it ended without a verdict"),
        ("print('passed')", "it ended without a verdict"),
        ('with check("other"): pass', "it left a verdict on other, not one on ugly"),
        (f"{PASSES}\n{PASSES}", "it left a verdict on ugly, ugly, not one on ugly"),
        (f'{PASSES}\nwith check("other"): pass', "it left a verdict on ugly, other, not one"),
        (RAISES, "LookupError: no such letter"),
        (f"{PASSES}\n{RAISES}", "LookupError: no such letter"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("def f(:", "SyntaxError: invalid syntax"),
    ],
)
def test_a_check_that_leaves_no_verdict_of_its_own_is_broken(
    source: str, why: str, places: Places
) -> None:
    report = grade(checks(ugly=source, good=PASSES), {}, places)
    assert verdicts(report) == {"ugly": "broken", "good": "passed"}
    assert saw(report, "ugly").startswith(f"the check itself did not work: {why}")
    assert report.results[0].verdict.look == "this says nothing about the answer; run it again"


def test_a_verdict_on_another_check_serves_nobody(places: Places) -> None:
    """A check that goes on `after` one that was never made must not take a stray verdict for it."""
    needs = 'with check("needs", after="letter-arrives") as found:\n    found.require()'
    report = grade(checks(stray='with check("letter-arrives"): pass', needs=needs), {}, places)
    assert verdicts(report) == {"stray": "broken", "needs": "failed"}


def test_ctrl_c_ends_the_grading_and_its_place(places: Places) -> None:
    with pytest.raises(KeyboardInterrupt):
        grade(checks(good="raise KeyboardInterrupt"), {}, places)
    assert places.closed == [True]


# -- set-up cells ---------------------------------------------------------------------------------


def test_a_set_up_that_fails_makes_what_follows_broken(places: Places) -> None:
    found = exercise_with(
        code(SETUP, "checks-setup", locked=True),
        check_cell(PASSES.format(name="early"), "early", 2),
        code("1 / 0", "more-setup", locked=True),
        check_cell(PASSES.format(name="late"), "late", 2),
        check_cell(FAILS.format(name="later"), "later", 2),
    )
    report = grade(found, {}, places)
    assert verdicts(report) == {"early": "passed", "late": "broken", "later": "broken"}
    for slug in ("late", "later"):
        assert "more-setup: ZeroDivisionError: division by zero" in saw(report, slug)
    assert report.points == 2


def test_cells_share_their_names(places: Places) -> None:
    found = checks(one=f"value = 7\n{PASSES}", two=f"assert value == 7\n{PASSES}")
    assert grade(found, {}, places).points == 4


def test_a_second_try_starts_without_the_names_of_the_first(tmp_path: Path, places: Places) -> None:
    stumbles = once(
        tmp_path / "flag", f"value = 7\n{RAISES}", f"assert 'value' not in globals()\n{PASSES}"
    )
    assert verdicts(grade(checks(one=stumbles), {}, places)) == {"one": "passed"}


# -- a second try ---------------------------------------------------------------------------------


def test_a_broken_check_is_tried_once_more_in_a_new_place(tmp_path: Path, places: Places) -> None:
    report = grade(checks(ugly=once(tmp_path / "flag", RAISES)), {}, places)
    assert verdicts(report) == {"ugly": "passed"}
    assert len(places.made) == 2
    assert places.closed == [True, True]


def test_there_is_no_third_try(tmp_path: Path, places: Places) -> None:
    report = grade(checks(ugly=count(tmp_path / "count") + RAISES), {}, places)
    assert verdicts(report) == {"ugly": "broken"}
    assert (tmp_path / "count").read_text() == "xx"
    assert len(places.made) == 2


def test_only_what_was_broken_runs_again(tmp_path: Path, places: Places) -> None:
    found = checks(
        good=count(tmp_path / "good") + PASSES,
        ugly=count(tmp_path / "ugly") + once(tmp_path / "flag", SILENT),
        bad=count(tmp_path / "bad") + FAILS,
    )
    report = grade(found, {}, places)
    assert verdicts(report) == {"good": "passed", "ugly": "passed", "bad": "failed"}
    runs = {name: (tmp_path / name).read_text() for name in ("good", "ugly", "bad")}
    assert runs == {"good": "x", "ugly": "xx", "bad": "x"}


def test_a_second_try_knows_what_passed_in_the_first(tmp_path: Path, places: Places) -> None:
    needs = 'with check("needs", after="good") as found:\n    found.require()'
    found = checks(good=PASSES, needs=once(tmp_path / "flag", RAISES, needs))
    assert verdicts(grade(found, {}, places)) == {"good": "passed", "needs": "passed"}


def test_after_a_broken_check_its_followers_are_broken_too(places: Places) -> None:
    needs = 'with check("needs", after="ugly") as found:\n    found.require()'
    report = grade(checks(ugly=RAISES, needs=needs), {}, places)
    assert verdicts(report) == {"ugly": "broken", "needs": "broken"}
    assert "“ugly” was broken" in saw(report, "needs")


def test_a_place_that_dies_during_a_check_is_replaced(tmp_path: Path, places: Places) -> None:
    dies = (
        "from tasklab.launcher import current_launcher\n"
        'with check("{name}"):\n'
        "    current_launcher().control.process.kill()\n"
        "    current_launcher().control.process.wait()\n"
        '    current_launcher().control.request("stage", files={})\n'
    )
    report = grade(checks(ugly=once(tmp_path / "flag", dies), good=PASSES), {}, places)
    assert verdicts(report) == {"ugly": "passed", "good": "passed"}
    assert len(places.made) == 2


def test_a_place_that_never_comes_is_nobodys_fault() -> None:
    places = Places("no_such_module")
    report = grade(checks(good=PASSES, bad=FAILS), {}, places)
    assert verdicts(report) == {"good": "broken", "bad": "broken"}
    assert "No module named 'no_such_module'" in saw(report, "good")
    assert places.closed == [True, True]


def test_a_place_that_comes_the_second_time_is_enough() -> None:
    class Late(Places):
        def __call__(self, files: Mapping[str, str]) -> OwnMachine:
            place = super().__call__(files)
            self.warm = ()
            return place

    places = Late("no_such_module")
    report = grade(checks(good=PASSES, bad=FAILS), {}, places)
    assert verdicts(report) == {"good": "passed", "bad": "failed"}
    assert len(places.made) == 2


# -- what is told ---------------------------------------------------------------------------------


def test_each_result_is_told_once_as_soon_as_it_stands(tmp_path: Path, places: Places) -> None:
    told: list[tuple[str, str]] = []

    def note(result: Result) -> None:
        told.append((result.grade_id, result.verdict.outcome.value))

    found = checks(ugly=RAISES, good=PASSES, late=once(tmp_path / "flag", SILENT), bad=FAILS)
    grade(found, {}, places, on_result=note)
    assert told == [
        ("good", "passed"),
        ("bad", "failed"),
        ("ugly", "broken"),
        ("late", "passed"),
    ]


def test_the_report_keeps_the_order_of_the_checks(tmp_path: Path, places: Places) -> None:
    found = checks(late=once(tmp_path / "flag", SILENT), good=PASSES)
    assert list(verdicts(grade(found, {}, places))) == ["late", "good"]


def test_a_report_survives_json() -> None:
    outcomes = dict(zip(("a", "b", "c"), Outcome, strict=True))
    results = tuple(
        Result(slug, 2.5, slug == "b", Verdict(outcome, slug, "saw", "expected", "look"))
        for slug, outcome in outcomes.items()
    )
    report = Report("01-no-letter", results, ("one", "two"))
    fields = json.loads(json.dumps(report.as_json()))
    assert Report.from_json(fields) == report
    assert (fields["outcome"], fields["points"], fields["max_points"]) == ("broken", 2.5, 7.5)
    assert [result["points"] for result in fields["results"]] == [2.5, 0, None]


def test_the_answer_is_what_the_checks_see() -> None:
    """With a real server: the solution passes, and the same app without its task does not."""
    solution, rest = ANSWER.split("\n", 1)[1].split("    ### BEGIN BUG\n")
    app = solution.replace("    ### BEGIN SOLUTION\n", "") + rest.split("### END SOLUTION\n")[1]
    idle = app.replace("    tasks.add_task", "    # tasks.add_task")
    found = Exercise.from_notebook("01-no-letter", exercise())
    assert verdicts(grade(found, {"newsletter.py": app}, OwnMachine)) == {
        "health-answers": "passed",
        "letter-arrives": "passed",
    }
    assert verdicts(grade(found, {"newsletter.py": idle}, OwnMachine)) == {
        "health-answers": "passed",
        "letter-arrives": "failed",
    }
