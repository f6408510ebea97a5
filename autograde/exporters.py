"""How nbgrader reads a submission, and how it writes feedback that everybody can read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import nbgrader
from nbconvert.exporters import HTMLExporter, NotebookExporter
from nbgrader.api import Gradebook, MissingEntry
from traitlets.config import Config

from autograde.preprocessors import Restore

__all__ = ["FeedbackExporter", "SubmissionExporter"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_NBGRADERS = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader" / "templates"


class SubmissionExporter(NotebookExporter):
    """Let no submission stop the grading of another, nor keep a score it no longer has.

    nbgrader reads a submission before any preprocessor sees it, and a file that is no notebook
    ends there. This one leaves the reading to Restore.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        converter = self.parent
        if converter is not None:
            earlier = converter.pre_convert_hook

            def hook(**names: Any) -> None:
                if earlier:
                    earlier(**names)
                _forget_scores(converter)

            # The one moment before nbgrader looks into a submission, and may give up on it.
            converter.pre_convert_hook = hook

    def from_filename(
        self, filename: str, resources: dict[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        if not any(isinstance(step, Restore) for step in self._preprocessors):
            return super().from_filename(filename, resources, **kwargs)
        path = Path(filename)
        place = {"name": path.stem, "path": str(path.parent)}
        known = {**(resources or {}), "metadata": place}
        empty = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
        return self.from_notebook_node(  # type: ignore[no-untyped-call]
            empty, known, **kwargs
        )


class FeedbackExporter(HTMLExporter):
    """Write nbgrader's feedback page by the course's own template, which builds on nbgrader's."""

    def __init__(self, config: Any = None, **kwargs: Any) -> None:
        # nbgrader names its template for every HTMLExporter; a class of its own is more specific.
        own = Config()
        own.FeedbackExporter.template_name = "readable-feedback"
        own.FeedbackExporter.extra_template_basedirs = [str(_TEMPLATES), str(_NBGRADERS)]
        own.merge(config or Config())
        known = own.HTMLExporter.get("extra_template_paths", [])
        own.FeedbackExporter.extra_template_paths = [*known, str(_NBGRADERS)]
        super().__init__(config=own, **kwargs)  # type: ignore[no-untyped-call]


def _forget_scores(converter: Any) -> None:
    """Take back what an earlier grading gave: if this one fails, nothing is known."""
    coursedir = converter.coursedir
    pattern = coursedir.format_path(
        coursedir.submitted_directory,
        "(?P<student>[^/]+)",
        re.escape(coursedir.assignment_id),
        escape=True,
    )
    students = {
        match["student"]
        for notebook in converter.notebooks
        if (match := re.match(pattern, str(Path(notebook).parent)))
    }
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        for student in students:
            try:
                submission = gradebook.find_submission(coursedir.assignment_id, student)
            except MissingEntry:
                continue
            for notebook in submission.notebooks:
                for row in notebook.grades:
                    row.auto_score = None
                    row.needs_manual_grade = True
        gradebook.db.commit()
