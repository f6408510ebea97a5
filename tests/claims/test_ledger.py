"""The ledger is complete, and agrees with the table that lesson 11 shows."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from autograde.lessons import LESSONS
from autograde.notebooks import read_notebook, source_of
from tasklab.releases import OF_2022
from tests.claims import matrix
from tests.claims.ledger import LEDGER, Case, Seen, Verdict
from tests.claims.stacks import PACKAGES, Stack, stacks

_PER_SECTION = {
    "I": 5, "01": 8, "02": 6, "03": 7, "04": 8, "05": 6, "06": 8, "07": 10, "08": 7, "09": 9,
    "10": 7, "11": 5, "12": 7, "F": 12,
}  # fmt: skip
GUIDE = [f"{section}-{n}" for section, many in _PER_SECTION.items() for n in range(1, many + 1)]
CAUSES = [f"C{number:02}" for number in range(1, 32)]
ROW = re.compile(r"^\| ([\w-]+) \| .+ \| (.+?) \| \[\d\d\]\(.+\) \|$", re.MULTILINE)


def stack(**releases: str) -> Stack:
    return Stack("some", {**dict.fromkeys(PACKAGES, "0"), **releases}, ("pinned==1",))


def test_every_claim_of_the_guide_and_every_cause_is_entered() -> None:
    assert set(LEDGER) == {*GUIDE, *CAUSES}
    assert len(GUIDE) == 105


def test_only_three_claims_and_one_cause_are_left_to_other_places() -> None:
    left = [name for name, claim in LEDGER.items() if claim.verdict is Verdict.NOT_TESTABLE]

    assert sorted(left) == ["02-5", "06-5", "09-5", "C29"]


def test_lesson_11_has_the_same_verdicts() -> None:
    cells = read_notebook(LESSONS / "11-the-missing-newsletter.ipynb")["cells"]
    rows = ROW.findall("\n".join(source_of(cell) for cell in cells))
    said = {name: verdict for name, verdict in rows if name in GUIDE}

    assert set(said) == set(GUIDE)
    differ = {n: said[n] for n in GUIDE if not said[n].startswith(LEDGER[n].verdict.value)}
    assert differ == {}


def test_the_verdicts_are_counted() -> None:
    counted = Counter(LEDGER[name].verdict for name in GUIDE)

    assert sum(counted.values()) == len(GUIDE)
    assert counted[Verdict.WRONG] + counted[Verdict.OUTDATED] > len(GUIDE) / 3


@pytest.mark.parametrize("name", LEDGER)
def test_a_claim_is_outdated_only_if_it_held_once(name: str) -> None:
    claim = LEDGER[name]
    held = {
        case.text
        for case in claim.cases
        if Seen.YES in {case.expected(stack) for stack in stacks()}
    }
    now = {case.expected(stacks()[-1]) for case in claim.cases}

    assert (claim.verdict is Verdict.OUTDATED) == (bool(held) and now == {Seen.NO})


def test_a_history_is_read_release_by_release() -> None:
    case = Case("", print, bool, "-; yes from fastapi 0.106; no from fastapi 0.118")

    assert case.expected(stack(fastapi="0.105.9")) is Seen.NOT_ASKED
    assert case.expected(stack(fastapi="0.106.0")) is Seen.YES
    assert case.expected(stack(fastapi="0.117.1")) is Seen.YES
    assert case.expected(stack(fastapi="0.118.0")) is Seen.NO


def test_a_history_can_be_of_today_alone() -> None:
    case = Case("", print, bool, "-; yes today")

    assert case.expected(stack()) is Seen.NOT_ASKED
    assert case.expected(stacks()[-1]) is Seen.YES


def test_a_history_with_a_slip_is_told() -> None:
    with pytest.raises(AssertionError, match="'maybe from fastapi' is not of the form"):
        Case("", print, bool, "no; maybe from fastapi").expected(stack())


def test_the_oldest_stack_is_that_of_lesson_11() -> None:
    servers = {pin for pin in OF_2022 if pin.startswith(PACKAGES)}

    assert servers <= set(stacks()[0].pins)


def test_every_stack_is_pinned_in_a_file_and_later_than_the_one_before() -> None:
    pinned = stacks()[:-1]
    releases = [[stack.release_of(package) for package in PACKAGES] for stack in pinned]

    assert [stack.name for stack in pinned] == [
        path.stem for path in sorted(Path(__file__).with_name("pins").glob("*.txt"))
    ]
    assert releases == sorted(releases)
    assert all(pin.count("==") == 1 for stack in pinned for pin in stack.pins)


def test_the_committed_answers_are_those_of_the_ledger() -> None:
    """Where this fails after a change of the lock or the ledger, run `make matrix`."""
    kept = json.loads(matrix.ANSWERS.read_text(encoding="utf-8"))
    asked = stacks()

    assert kept["stacks"] == [dict(stack.releases) for stack in asked]
    for name, claim in LEDGER.items():
        assert kept["claims"][name] == {
            "claim": claim.text,
            "verdict": claim.verdict.value,
            "cases": {
                case.text: [case.expected(stack).value for stack in asked] for case in claim.cases
            },
        }
