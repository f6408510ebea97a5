"""The exercise with a database says the same on PostgreSQL as on SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autograde.engine import grade
from autograde.places import Sandbox
from tasklab.verdicts import Outcome
from tests.exercises.conftest import Proof, collect_proofs
from tests.exercises.test_proofs import told

SLUG = "12-the-row-that-is-not-there"
CHOICE = 'DATABASE = "SQLite"'
NAMES = (
    "starter",
    "solution",
    "wrong/commits_first_thing",
    "wrong/the_session_handed_over",
    "right/scope_function",
)


def on_postgres(proof: Proof) -> Proof:
    cells = tuple(
        replace(cell, source=cell.source.replace(CHOICE, 'DATABASE = "PostgreSQL"'))
        for cell in proof.exercise.cells
    )
    assert cells != proof.exercise.cells
    return replace(proof, exercise=replace(proof.exercise, cells=cells))


PROOFS = {
    proof.name: on_postgres(proof)
    for proof in collect_proofs()
    if proof.exercise.slug == SLUG and proof.name in NAMES
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_proof_on_postgres(name: str) -> None:
    proof = PROOFS[name]
    report = grade(proof.exercise, proof.files, Sandbox)
    first = next((r.grade_id for r in report.results if r.verdict.outcome != "passed"), None)

    assert report.outcome is not Outcome.BROKEN, told(report)
    assert first == proof.fails, told(report)
