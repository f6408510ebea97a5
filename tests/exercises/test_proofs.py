"""An exercise proves itself: the bug, the fix, the wrong fixes, the right alternatives."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import pytest

from autograde.engine import Report, grade
from autograde.notebooks import read_notebook
from autograde.places import Sandbox
from autograde.submission import Exercise
from tasklab.gates import comes_true
from tasklab.verdicts import Outcome
from tests.exercises.load import RUNNABLE, Load

if TYPE_CHECKING:
    from tests.exercises.conftest import Proof

ROOT = Path(__file__).resolve().parents[2]
SLUGS = sorted(path.stem for path in (ROOT / "solutions").glob("[0-9]*/*.ipynb"))
AT_ONCE = 8
AT_ONCE_UNDER_LOAD = 40  # most of a grading is waiting


Judgement: TypeAlias = tuple[str | None, Report]
"""The first check that did not pass, and all that was found."""


def judge(proof: Proof) -> Judgement:
    """Grade as a submission is graded; return the first check that did not pass."""
    report = grade(proof.exercise, proof.files, Sandbox)
    first = next((r.grade_id for r in report.results if r.verdict.outcome != "passed"), None)
    return first, report


def told(report: Report) -> str:
    return "\n".join(str(result.verdict) for result in report.results)


def selected_proofs(session: pytest.Session, test: str) -> list[Proof]:
    """The proofs that this run asks that test about."""
    return [
        cast("Proof", item.callspec.params["proof"])
        for item in session.items
        if isinstance(item, pytest.Function) and item.originalname == test
    ]


@pytest.fixture(scope="module")
def judgements(
    request: pytest.FixtureRequest,
) -> Iterator[dict[str, Future[Judgement]]]:
    """Grade the selected proofs side by side: most of a grading is waiting.

    A grader that grades for hours must not keep a thread of any of them.
    """
    before = set(threading.enumerate())
    with ThreadPoolExecutor(AT_ONCE) as executor:
        yield {
            proof.test_id: executor.submit(judge, proof)
            for proof in selected_proofs(request.session, "test_proof")
        }
        executor.shutdown(cancel_futures=True)
    comes_true(lambda: before.issuperset(threading.enumerate()), within=30)
    assert not set(threading.enumerate()) - before


@pytest.mark.timeout(600)
def test_proof(proof: Proof, judgements: dict[str, Future[Judgement]]) -> None:
    """The answer is judged as its file says, for the reason it says, by evidence alone."""
    first, report = judgements[proof.test_id].result()

    assert report.outcome is not Outcome.BROKEN, told(report)
    assert first == proof.fails, told(report)
    if proof.fails is None:
        assert report.points == report.max_points
    elif proof.name == "starter":
        hidden = [result.points for result in report.results if result.hidden]
        assert sum(points or 0 for points in hidden) == 0, told(report)
    for result in report.results:
        assert "found.expect" not in result.verdict.saw + result.verdict.expected
        assert "Traceback" not in result.verdict.expected + result.verdict.look


@pytest.mark.parametrize("slug", SLUGS)
def test_exercise_is_complete(slug: str) -> None:
    """Half of the points hidden, three to five checks, enough wrong and right answers."""
    notebook = read_notebook(ROOT / "solutions" / slug / f"{slug}.ipynb")
    exercise = Exercise.from_notebook(slug, notebook)
    hidden = sum(check.points for check in exercise.checks if check.hidden)
    folder = Path(__file__).parent / slug

    assert exercise.points > 0
    assert 3 <= len(exercise.checks) <= 5
    assert 2 * hidden >= exercise.points
    assert len(list(folder.glob("wrong/*.py"))) >= 4
    assert len(list(folder.glob("right/*.py"))) >= 3
    least, most = notebook["metadata"]["exercise"]["minutes"]
    assert 0 < least < most


@pytest.fixture(scope="session")
def repeated(
    request: pytest.FixtureRequest,
) -> Iterator[dict[str, list[Future[Judgement]]]]:
    """Grade each selected proof N times, with the processors oversubscribed four times."""
    runs = int(os.environ.get("STRESS_REPEATS", "20"))

    def judge_under_load(proof: Proof) -> Judgement:
        load.admit()
        return judge(proof)

    with Load() as load, ThreadPoolExecutor(AT_ONCE_UNDER_LOAD) as executor:
        yield {
            proof.test_id: [executor.submit(judge_under_load, proof) for _ in range(runs)]
            for proof in selected_proofs(request.session, "test_every_run_agrees")
        }
        executor.shutdown(cancel_futures=True)
    request.session.config.stash[RUNNABLE] = load.mean


@pytest.mark.stress
@pytest.mark.timeout(0)
def test_every_run_agrees(
    proof: Proof,
    repeated: dict[str, list[Future[Judgement]]],
    record_property: Callable[[str, object], None],
) -> None:
    """Graded N times under load, the verdicts are the same."""
    judged = [run.result() for run in repeated[proof.test_id]]
    others = [f"{first}:\n{told(report)}" for first, report in judged if first != proof.fails]
    record_property("gradings", len(judged))
    record_property("disagreements", len(others))

    assert not others, "\n\n".join(others)
