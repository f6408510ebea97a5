"""Attacks on the notebook itself: each raises the grade where its checks are trusted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from autograde.engine import grade
from autograde.places import Sandbox
from autograde.submission import Exercise, rebuild
from tests.attacks.answers import IDLE
from tests.autograde.courses import NAME, answer, exercise, find

HONEST_SHARE = 2 / 5
FAKE_SETUP = """\
import contextlib
from tasklab import Mailroom, check as real_check, uvicorn

class Found:
    def __init__(self, found): self.found = found
    def expect(self, *_, **__): pass
    def passes(self, saw): self.found.passes(saw)

@contextlib.contextmanager
def check(slug, **_):
    with real_check(slug) as found:
        yield Found(found)

hidden_check = lambda _: None
"""


def _edit(content: dict[str, Any]) -> None:
    passes = 'with check("letter-arrives") as found:\n    found.passes("1 letter")\n'
    find(content, "letter-arrives")["source"] = passes


def _delete(content: dict[str, Any]) -> None:
    content["cells"].remove(find(content, "letter-arrives"))


def _unmark(content: dict[str, Any]) -> None:
    del find(content, "letter-arrives")["metadata"]["nbgrader"]


def _weigh(name: str, points: float) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        find(content, name)["metadata"]["nbgrader"]["points"] = points

    return change


def _replace_setup(content: dict[str, Any]) -> None:
    find(content, "checks-setup")["source"] = FAKE_SETUP


def _ungrade(content: dict[str, Any]) -> None:
    find(content, "letter-arrives")["metadata"]["nbgrader"]["grade"] = False


TAMPERINGS: dict[str, Callable[[dict[str, Any]], None]] = {
    "edit-a-check": _edit,
    "delete-a-check": _delete,
    "unmark-a-check": _unmark,
    "mark-a-check-as-no-check": _ungrade,
    "make-a-check-worth-nothing": _weigh("letter-arrives", 0),
    "make-a-check-worth-a-lot": _weigh("health-answers", 300),
    "replace-the-words-that-checks-use": _replace_setup,
}


def hand_in(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    content = exercise()
    find(content, "answer-newsletter")["source"] = answer(f"%%writefile newsletter.py\n{IDLE}")[
        "source"
    ]
    change(content)
    return content


def share(content: dict[str, Any]) -> float:
    """Return how much of its points this notebook earns by its own checks."""
    trusted = Exercise.from_notebook(NAME, content)
    report = grade(trusted, trusted.files_of(content), Sandbox)
    return report.points / report.max_points


@pytest.fixture(scope="module")
def shares() -> dict[str, float]:
    """What each notebook earns where its own checks are trusted."""
    names = [*TAMPERINGS, "honest"]
    with ThreadPoolExecutor(4) as executor:
        tampered = [hand_in(TAMPERINGS.get(name, lambda _: None)) for name in names]
        return dict(zip(names, executor.map(share, tampered), strict=True))


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_earns_nothing(name: str, shares: dict[str, float]) -> None:
    assert shares["honest"] == HONEST_SHARE
    assert shares[name] > HONEST_SHARE, "it does not even work on a grader that trusts it"
    # What is graded is the same notebook for both.
    honest, remarks = rebuild(exercise(), hand_in(lambda _: None))
    assert not remarks
    assert rebuild(exercise(), hand_in(TAMPERINGS[name]))[0] == honest
