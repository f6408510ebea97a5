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
from tests.autograde.courses import NAME, answer, check_cell, exercise, find

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


PASSES = 'with check("{0}") as found:\n    found.passes("1 letter")\n'


def _edit(content: dict[str, Any]) -> None:
    find(content, "letter-arrives")["source"] = PASSES.format("letter-arrives")


def _copy(content: dict[str, Any]) -> None:
    """Two of them, so that it is the same which one a grader takes."""
    _edit(content)
    content["cells"].append(find(content, "letter-arrives"))


def _add(content: dict[str, Any]) -> None:
    content["cells"].append(check_cell(PASSES.format("my-own"), "my-own", 300))


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


def _unlock(content: dict[str, Any]) -> None:
    find(content, "letter-arrives")["metadata"]["nbgrader"]["locked"] = False


def _retype(content: dict[str, Any]) -> None:
    find(content, "letter-arrives")["cell_type"] = "markdown"


def _tag(content: dict[str, Any]) -> None:
    find(content, "letter-arrives")["metadata"]["tags"] = ["skip-execution"]


TAMPERINGS: dict[str, Callable[[dict[str, Any]], None]] = {
    "edit-a-check": _edit,
    "copy-a-check": _copy,
    "add-a-check-of-ones-own": _add,
    "delete-a-check": _delete,
    "unmark-a-check": _unmark,
    "mark-a-check-as-no-check": _ungrade,
    "unlock-a-check": _unlock,
    "turn-a-check-into-text": _retype,
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
    assert_rebuilt(TAMPERINGS[name])


def test_a_tag_that_keeps_a_cell_from_running_is_gone() -> None:
    """Only other graders would heed it."""
    assert_rebuilt(_tag)


def assert_rebuilt(change: Callable[[dict[str, Any]], None]) -> None:
    """Whoever tampers and whoever does not are graded by the same notebook."""
    honest, remarks = rebuild(exercise(), hand_in(lambda _: None))
    assert not remarks
    assert rebuild(exercise(), hand_in(change))[0] == honest
