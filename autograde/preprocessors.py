"""nbgrader's steps, where the course does them in its own way.

Heavy to import, because nbgrader is; the command line gets by without this module.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.preprocessors import ClearHiddenTests, NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, Dict, Unicode

from autograde.engine import grade
from autograde.entries import Grading
from autograde.errors import AutogradeError, Misuse
from autograde.notebooks import read_notebook, source_of
from autograde.places import Limits, OwnMachine, Sandbox
from autograde.planting import PlantingError, check_notebook
from autograde.submission import Exercise, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nbconvert.exporters.exporter import ResourcesDict

    from autograde.engine import Report

__all__ = [
    "HideTests",
    "PlantBugs",
    "Restore",
    "RunChecks",
    "SaveVerdicts",
    "ready_reports",
]

# Under this name the steps leave each other notes, in a notebook's metadata and in resources.
_NOTES = "autograde"

_as_node: Callable[[dict[str, Any]], nbformat.NotebookNode] = nbformat.from_dict

_ready: ContextVar[Mapping[tuple[str, str], Report]] = ContextVar("ready")


@contextmanager
def ready_reports(reports: Mapping[tuple[str, str], Report]) -> Iterator[None]:
    """Let RunChecks take over these reports, by student and assignment, and grade nothing anew."""
    token = _ready.set(reports)
    try:
        yield
    finally:
        _ready.reset(token)


def _source_path(step: NbGraderPreprocessor, resources: ResourcesDict) -> Path:
    coursedir = step.parent.parent.coursedir
    names = resources["nbgrader"]
    folder = coursedir.format_path(coursedir.source_directory, ".", names["assignment"])
    return Path(folder).resolve() / f"{names['notebook']}.ipynb"


class PlantBugs(NbGraderPreprocessor):  # type: ignore[misc]
    """Hand out the starter: each BUG part in place of its solution (see autograde.planting)."""

    text_stub = Unicode(
        "*Double-click here and write a sentence or two.*",
        help="What a written answer holds when it is handed out.",
    ).tag(config=True)

    def preprocess(
        self, nb: nbformat.NotebookNode, resources: ResourcesDict
    ) -> tuple[nbformat.NotebookNode, ResourcesDict]:
        place = resources["metadata"]
        file = Path(place["path"]).resolve() / f"{place['name']}.ipynb"
        if file.is_relative_to(Path.cwd()):
            file = file.relative_to(Path.cwd())
        try:
            planted = check_notebook(nb, str(file))
        except PlantingError as error:
            self.log.error("%s", error)  # noqa: TRY400 - nbgrader adds the traceback
            raise
        for index, cell in enumerate(nb.cells):
            cell.metadata.pop("autograde", None)
            if index in planted:
                cell.source = planted[index].starter
            elif utils.is_solution(cell):
                cell.source = self.text_stub
        return nb, resources


class Restore(NbGraderPreprocessor):  # type: ignore[misc]
    """Put the submission's answers into the instructor's notebook; take over nothing else."""

    def preprocess(
        self,
        nb: nbformat.NotebookNode,  # noqa: ARG002 - empty, see autograde.exporters
        resources: ResourcesDict,
    ) -> tuple[nbformat.NotebookNode, ResourcesDict]:
        place = resources["metadata"]
        instructor = read_notebook(_source_path(self, resources))
        unreadable = ""
        try:
            submitted = read_notebook(Path(place["path"]) / f"{place['name']}.ipynb")
        except Misuse as error:
            unreadable = str(error)
            submitted = {"cells": []}
        rebuilt, remarks = rebuild(instructor, submitted)
        if unreadable:
            remarks = []
        for remark in filter(None, [unreadable, *remarks]):
            self.log.warning("%s: %s", resources["nbgrader"]["student"], remark)
        for cell in rebuilt["cells"]:
            cell["source"] = source_of(cell)
        notebook = _as_node(rebuilt)
        self._drop_unknown(notebook, resources)
        notebook.metadata[_NOTES] = {"remarks": remarks, "unreadable": unreadable}
        return notebook, resources

    def _drop_unknown(self, notebook: nbformat.NotebookNode, resources: ResourcesDict) -> None:
        """Unmark cells that the gradebook does not know, or nbgrader refuses the submission."""
        names = resources["nbgrader"]
        with Gradebook(names["db_url"]) as gradebook:
            released = gradebook.find_notebook(names["notebook"], names["assignment"])
            known = {cell.name for cell in released.source_cells}
        for cell in notebook.cells:
            grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            if grade_id and grade_id not in known:
                del cell.metadata["nbgrader"]
                self.log.warning(
                    "%s is not in the gradebook, so it counts for nothing: run "
                    "`nbgrader generate_assignment %s --force` to add it.",
                    grade_id,
                    names["assignment"],
                )


class RunChecks(NbGraderPreprocessor):  # type: ignore[misc]
    """Grade with the engine, where nbgrader would execute the submission in a kernel."""

    sandbox = Bool(
        True,
        help="Whether submitted code runs behind a wall. Without one it can read and change "
        "whatever you can.",
    ).tag(config=True)
    limits = Dict(
        help="What one submission may use, by the names in autograde.places.Limits; sizes in "
        "bytes, times in seconds. What is not named has its default.",
    ).tag(config=True)

    def preprocess(
        self, nb: nbformat.NotebookNode, resources: ResourcesDict
    ) -> tuple[nbformat.NotebookNode, ResourcesDict]:
        notes = nb.metadata.pop(_NOTES, {})
        why = notes.get("unreadable", "")
        remarks = tuple(notes.get("remarks", ()))
        report = None
        if not why:
            try:
                names = resources["nbgrader"]
                report = _ready.get({}).get((names["student"], names["assignment"]))
                if report is None:
                    report = self._grade(nb, resources, remarks)
            except AutogradeError as error:
                why = str(error)
            except Exception as error:  # noqa: BLE001 - the next submission is graded anyhow
                self.log.error("%s: %s", type(error).__name__, error)  # noqa: TRY400
                why = f"the grading itself broke down ({type(error).__name__})"
        if why:
            self.log.error("%s is not graded: %s", resources["nbgrader"]["student"], why)
        resources[_NOTES] = Grading(report, why)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.execution_count = None
                cell.outputs = []
                if utils.is_grade(cell):
                    cell.outputs = resources[_NOTES].show(cell.metadata.nbgrader["grade_id"])
        return nb, resources

    def _grade(
        self, nb: nbformat.NotebookNode, resources: ResourcesDict, remarks: tuple[str, ...]
    ) -> Report:
        exercise = Exercise.load(_source_path(self, resources))
        limits = Limits(**self.limits)
        place = partial(Sandbox, limits=limits) if self.sandbox else OwnMachine
        return grade(exercise, exercise.files_of(nb), place, remarks=remarks)


class SaveVerdicts(SaveAutoGrades):  # type: ignore[misc]
    """Write scores that come from verdicts alone. No verdict is no score, never zero or full."""

    def preprocess(
        self, nb: nbformat.NotebookNode, resources: ResourcesDict
    ) -> tuple[nbformat.NotebookNode, ResourcesDict]:
        self._grading = resources.get(_NOTES) or Grading(None, "no check was run")
        self._remark = self._grading.remark()
        return super().preprocess(nb, resources)  # type: ignore[no-any-return]

    def _add_score(
        self,
        cell: nbformat.NotebookNode,
        resources: ResourcesDict,  # noqa: ARG002 - nbgrader's signature
    ) -> None:
        grade_id = cell.metadata["nbgrader"]["grade_id"]
        row = self.gradebook.find_grade(
            grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        if row.max_score == 0:
            row.auto_score = 0.0
        elif cell.cell_type == "markdown":
            row.auto_score, _ = utils.determine_grade(cell, self.log)
        else:
            row.auto_score = self._grading.find_points(grade_id, row.max_score)
            if row.auto_score is None:
                why = self._grading.explain(grade_id)
                self.log.warning("%s, %s: no score: %s", self.student_id, grade_id, why)
        row.needs_manual_grade = row.manual_score is not None or row.auto_score is None
        self.gradebook.db.commit()

    def _add_comment(self, cell: nbformat.NotebookNode, resources: ResourcesDict) -> None:
        super()._add_comment(cell, resources)
        grade_id = cell.metadata["nbgrader"]["grade_id"]
        comment = self.gradebook.find_comment(
            grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        if cell.metadata.get("autograde", {}).get("arrives_solved"):
            comment.auto_comment = None
        # nbgrader has comments on answers only; the first one tells what concerns them all.
        if self._remark is not None:
            comment.auto_comment, self._remark = self._remark, None
        self.gradebook.db.commit()


class HideTests(ClearHiddenTests):  # type: ignore[misc]
    """Take hidden tests out of feedback; a marker in a learner's own text is left alone."""

    def preprocess_cell(
        self,
        cell: nbformat.NotebookNode,
        resources: ResourcesDict,
        cell_index: int,  # noqa: ARG002 - nbgrader's signature
    ) -> tuple[nbformat.NotebookNode, ResourcesDict]:
        if utils.is_grade(cell) and not utils.is_solution(cell):
            self._remove_hidden_test_region(cell)
        return cell, resources
