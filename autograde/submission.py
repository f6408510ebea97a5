"""A submission, put back into the shape that the instructor gave the exercise."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autograde.errors import Misuse
from autograde.notebooks import (
    grading_metadata,
    read_notebook,
    source_of,
    split_writefile,
    without_hidden_tests,
)

__all__ = [
    "AnswerCell",
    "CheckCell",
    "Exercise",
    "choose_slug",
    "find_exercise",
    "project_root",
    "rebuild",
]


@dataclass(frozen=True)
class AnswerCell:
    grade_id: str
    file: str


@dataclass(frozen=True)
class CheckCell:
    """A locked cell that runs in grading. Set-up cells have no points and leave no verdict."""

    grade_id: str
    source: str
    points: float
    hidden: bool
    graded: bool

    @property
    def is_empty(self) -> bool:
        """Whether it is a hidden check as it is handed out, without its body."""
        return self.hidden and "BEGIN HIDDEN TESTS" not in self.source


@dataclass(frozen=True)
class Exercise:
    """What the instructor's notebook says: which files are the answer, which cells check it."""

    slug: str
    title: str
    answers: tuple[AnswerCell, ...]
    cells: tuple[CheckCell, ...]

    @classmethod
    def from_notebook(cls, slug: str, notebook: dict[str, Any]) -> Exercise:
        """Read the instructor's notebook; raise Misuse if an answer cell names no file."""
        answers, cells = [], []
        seen: set[str] = set()
        for cell in notebook["cells"]:
            metadata = grading_metadata(cell)
            if not metadata or cell["cell_type"] != "code" or metadata["grade_id"] in seen:
                continue
            seen.add(metadata["grade_id"])
            if metadata.get("solution"):
                file, _ = split_writefile(source_of(cell))
                if file is None:
                    raise Misuse(
                        f"{slug}: the answer cell {metadata['grade_id']!r} does not begin with "
                        "`%%writefile NAME`."
                    )
                answers.append(AnswerCell(metadata["grade_id"], file))
            elif metadata.get("locked"):
                source = source_of(cell)
                cells.append(
                    CheckCell(
                        metadata["grade_id"],
                        source,
                        _points(metadata),
                        "BEGIN HIDDEN TESTS" in source or source.startswith("hidden_check("),
                        bool(metadata.get("grade")),
                    )
                )
        return cls(slug, _title(notebook, slug), tuple(answers), tuple(cells))

    @classmethod
    def load(cls, path: Path) -> Exercise:
        return cls.from_notebook(path.parent.name, read_notebook(path))

    def without(self, names: Collection[str]) -> Exercise:
        """The same exercise without the cells of these names."""
        return replace(self, cells=tuple(c for c in self.cells if c.grade_id not in names))

    @property
    def checks(self) -> tuple[CheckCell, ...]:
        return tuple(cell for cell in self.cells if cell.graded)

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)

    def files_of(self, notebook: dict[str, Any]) -> dict[str, str]:
        """The text of each answer file, from a notebook that `rebuild` returned."""
        names = {answer.grade_id: answer.file for answer in self.answers}
        texts = {
            names[grade_id]: split_writefile(source_of(cell))[1]
            for cell in notebook["cells"]
            if (grade_id := grading_metadata(cell).get("grade_id")) in names
        }
        # JSON can say half a character, which no file can hold.
        return {name: text.encode(errors="replace").decode() for name, text in texts.items()}


def _points(metadata: dict[str, Any]) -> float:
    points = metadata.get("points")
    return float(points) if isinstance(points, int | float) else 0.0


def _title(notebook: dict[str, Any], slug: str) -> str:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            first = source_of(cell).split("\n", 1)[0]
            if first.startswith("# "):
                return first[2:].strip()
    return slug


def rebuild(
    instructor: dict[str, Any], submitted: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the instructor's notebook with the learner's answers in it, and what was put right.

    Only the text of answer cells is taken over: a deleted, edited, copied or retyped check is
    the instructor's again, and tags are gone. Of two copies of an answer cell the last counts,
    as it does when the notebook is run from top to bottom.
    """
    remarks: list[str] = []
    notebook = copy.deepcopy(instructor)
    handed_in = [cell for cell in submitted["cells"] if isinstance(cell, dict)]
    for cell in notebook["cells"]:
        cell.get("metadata", {}).pop("tags", None)
        metadata = grading_metadata(cell)
        if not metadata:
            continue
        copies = [
            other
            for other in handed_in
            if grading_metadata(other).get("grade_id") == metadata["grade_id"]
        ]
        if metadata.get("solution"):
            _take_answer(cell, copies, handed_in, remarks)
        elif metadata.get("grade"):
            _remark_check(cell, copies, remarks)
    return notebook, remarks


def _take_answer(
    cell: dict[str, Any],
    copies: list[dict[str, Any]],
    handed_in: list[dict[str, Any]],
    remarks: list[str],
) -> None:
    if cell["cell_type"] != "code":
        cell["source"] = source_of(copies[-1]) if copies else ""
        return
    file, _ = split_writefile(source_of(cell))
    first_line = source_of(cell).split("\n", 1)[0]
    if not copies:
        # Some editors drop the metadata of cells; the first line still says which one it is.
        copies = [
            other
            for other in handed_in
            if other.get("cell_type") == "code" and split_writefile(source_of(other))[0] == file
        ]
    if not copies:
        remarks.append(f"The cell that writes {file} is missing; it was graded as empty.")
        cell["source"] = first_line + "\n"
        return
    if len(copies) > 1:
        remarks.append(f"{len(copies)} cells write {file}; the last one was graded.")
    named, text = split_writefile(source_of(copies[-1]))
    if named != file:
        remarks.append(
            f"The first line `%%writefile {file}` is missing or changed; the cell was graded as "
            f"{file} all the same, but running it writes no such file: put the line back."
        )
    cell["source"] = f"{first_line}\n{text}"


def _remark_check(cell: dict[str, Any], copies: list[dict[str, Any]], remarks: list[str]) -> None:
    name = grading_metadata(cell)["grade_id"]
    given_out = without_hidden_tests(source_of(cell))
    if not copies:
        remarks.append(f"The check {name} is missing; the original was run.")
    elif len(copies) > 1:
        remarks.append(f"The check {name} is there {len(copies)} times; the original was run.")
    elif (
        copies[0].get("cell_type") != "code"
        or without_hidden_tests(source_of(copies[0])) != given_out
        or copies[0].get("metadata", {}).get("tags")
    ):
        remarks.append(f"The check {name} was changed; the original was run.")


def project_root() -> Path:
    """The folder that holds solutions/ or exercises/: the current one or one above it."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if (folder / "exercises").is_dir() or (folder / "solutions").is_dir():
            return folder
    raise Misuse(
        f"No exercises/ here or above {here}; go to the course's folder and run this again."
    )


def find_exercise(name: str) -> Path:
    """Return the notebook meant by a folder, a notebook file, a number or a name."""
    path = Path(name)
    if path.suffix == ".ipynb":
        if path.is_file():
            return path.resolve()
        raise Misuse(f"There is no notebook {name}.")
    if path.is_dir():
        path = path.resolve()
        notebook = path / f"{path.name}.ipynb"
        if notebook.is_file():
            return notebook
        raise Misuse(
            f"{Path(name)} is a folder without {notebook.name}; "
            "name one such as exercises/00-warm-up."
        )
    root = project_root() / "exercises"
    known = sorted(folder.name for folder in root.glob("*/") if not folder.name.startswith("."))
    slug = choose_slug(name, known)
    return root / slug / f"{slug}.ipynb"


def choose_slug(name: str, known: Iterable[str]) -> str:
    """Return the exercise meant by a name or a number; raise Misuse if there is none."""
    known, wanted = list(known), Path(name).name
    matching = [slug for slug in known if wanted == slug or _same_number(wanted, slug)]
    if len(matching) == 1:
        return matching[0]
    listed = ", ".join(known) or "none"
    raise Misuse(f"There is no exercise {name!r}; there are: {listed}.")


def _same_number(wanted: str, slug: str) -> bool:
    return wanted.isdecimal() and wanted.zfill(2) == slug.split("-", 1)[0]
