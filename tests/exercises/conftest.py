"""Read the proofs that lie beside the exercises: wrong and right answers as files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from autograde.notebooks import read_notebook
from autograde.planting import plant
from autograde.submission import Exercise, rebuild
from tests.exercises.load import RUNNABLE

ROOT = Path(__file__).resolve().parents[2]
WHOLE = "06-everyone-waits-for-one-letter"
LONG = pytest.mark.long
_HEADER = re.compile(r"# (fails|passes|base): (.+)")


@dataclass(frozen=True)
class Proof:
    """One answer to one exercise, and how it must be judged."""

    exercise: Exercise
    name: str
    files: dict[str, str] = field(repr=False)
    fails: str | None

    @property
    def test_id(self) -> str:
        return f"{self.exercise.slug}/{self.name}"


def _answers(slug: str, folder: str) -> dict[str, str]:
    """The answer files of the notebook in solutions/ or exercises/, by name."""
    instructor = read_notebook(ROOT / "solutions" / slug / f"{slug}.ipynb")
    notebook = read_notebook(ROOT / folder / slug / f"{slug}.ipynb")
    rebuilt, remarks = rebuild(instructor, notebook)
    assert not remarks, remarks
    exercise = Exercise.from_notebook(slug, instructor)
    return {
        name: plant(text, name).solution if folder == "solutions" else text
        for name, text in exercise.files_of(rebuilt).items()
    }


def _read_proof(exercise: Exercise, path: Path, bases: dict[str, dict[str, str]]) -> Proof:
    text = path.read_text(encoding="utf-8")
    header = dict(_HEADER.findall(text.split("\n# file:", 1)[0]))
    wrong = path.parent.name == "wrong"
    assert ("fails" if wrong else "passes") in header, f"{path}: the first line does not say how"
    files = dict(bases[header.get("base", "starter" if wrong else "solution")])
    parts = re.split(r"(?m)^# file: (\S+)\n", text)
    if len(parts) == 1:
        (name,) = files
        files[name] = text
    else:
        files.update(zip(parts[1::2], parts[2::2], strict=True))
    assert set(files) == {answer.file for answer in exercise.answers}, path
    return Proof(exercise, f"{path.parent.name}/{path.stem}", files, header.get("fails"))


def collect_proofs() -> list[Proof]:
    proofs = []
    for source in sorted((ROOT / "solutions").glob("[0-9]*/*.ipynb")):
        slug = source.stem
        exercise = Exercise.load(source)
        symptom = read_notebook(source)["metadata"]["exercise"]["symptom"]
        bases = {
            "solution": _answers(slug, "solutions"),
            "starter": _answers(slug, "exercises"),
        }
        proofs += [
            Proof(exercise, "starter", bases["starter"], symptom),
            Proof(exercise, "solution", bases["solution"], None),
        ]
        folder = Path(__file__).parent / slug
        proofs += [
            _read_proof(exercise, path, bases)
            for kind in ("wrong", "right")
            for path in sorted((folder / kind).glob("*.py"))
        ]
    return proofs


def pytest_generate_tests(metafunc: Any) -> None:
    if "proof" in metafunc.fixturenames:
        metafunc.parametrize(
            "proof",
            [
                pytest.param(proof, id=proof.test_id, marks=() if _is_first(proof) else LONG)
                for proof in collect_proofs()
            ],
        )


def _is_first(proof: Proof) -> bool:
    """Whether `make test` grades it: each starter and solution, and one exercise whole."""
    return proof.name in {"starter", "solution"} or proof.exercise.slug == WHOLE


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count what `make stress` graded."""
    counted = [
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call" and "gradings" in dict(report.user_properties)
    ]
    if counted:
        gradings = sum(properties["gradings"] for properties in counted)
        disagreements = sum(properties["disagreements"] for properties in counted)
        runnable = terminalreporter.config.stash.get(RUNNABLE, 0.0)
        terminalreporter.write_line(
            f"{gradings} gradings, {disagreements} disagreements, "
            f"{runnable:.1f} processes for each processor"
        )
