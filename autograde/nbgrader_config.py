"""The one nbgrader configuration: for its command line, for formgrader and for the engine.

JupyterLab and nbgrader load it through etc/nbgrader_config.py, whichever folder they start in.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from autograde.errors import Misuse
from autograde.submission import project_root

__all__ = [
    "CLASSROOM",
    "COURSE",
    "LEFTOVERS",
    "configure",
    "course_root",
    "ignored_names",
    "load_config",
    "with_converters",
]

COURSE = "vanishing-tasks"
# Git ignores this folder: submissions, grades and feedback are about people.
CLASSROOM = "classroom"

# What running a notebook leaves beside it, apart from the files that its cells write.
LEFTOVERS = (
    ".ipynb_checkpoints",
    "__pycache__",
    "*.pyc",
    ".*.swp",
    ".DS_Store",
    "*.db",
    "*.db-journal",
    "*.log",
    "*.pid",
    "*.sock",
    "feedback",
    "*.before-reset-*.ipynb",
)
# A check waits for what really happens, gunicorn's worker timeout among it.
_VALIDATE_SECONDS = 180

_WRITTEN = re.compile(r'"%%writefile +(?:-a +)?([\w.-]+)')


def course_root() -> Path:
    """Return the folder that this package lies in, or else the current one or one above it."""
    home = Path(__file__).resolve().parents[1]
    if (home / "solutions").is_dir() or (home / "exercises").is_dir():
        return home
    try:
        return project_root()
    except Misuse:
        return Path.cwd()


def ignored_names(root: Path) -> list[str]:
    """Return the names of files that running the notebooks leaves, as globs."""
    written: set[str] = set()
    for notebook in root.glob("solutions/*/*.ipynb"):
        with contextlib.suppress(OSError):
            written.update(_WRITTEN.findall(notebook.read_text(encoding="utf-8", errors="replace")))
    return [*LEFTOVERS, *sorted(written)]


def configure(c: Any, root: Path | None = None) -> None:
    """Set everything on a traitlets Config; `root` is the course's folder."""
    _configure_course(c, root)
    _configure_converters(c)


def _configure_converters(c: Any) -> None:
    """Name the classes of nbgrader, which take seconds to import."""
    import zmq
    from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import (
        AssignLatePenalties,
        CheckCellMetadata,
        ClearOutput,
        ClearSolutions,
        GetGrades,
        OverwriteCells,
        OverwriteKernelspec,
    )

    from autograde.exporters import FeedbackExporter, SubmissionExporter
    from autograde.preprocessors import (
        HideTests,
        PlantBugs,
        Restore,
        RunChecks,
        SaveVerdicts,
    )

    c.GenerateAssignment.preprocessors = [
        PlantBugs if preprocessor is ClearSolutions else preprocessor
        for preprocessor in GenerateAssignment.preprocessors.default()
    ]
    c.Autograde.exporter_class = SubmissionExporter
    c.Autograde.sanitize_preprocessors = [
        Restore,
        ClearOutput,
        OverwriteKernelspec,
        OverwriteCells,
        CheckCellMetadata,
    ]
    c.Autograde.autograde_preprocessors = [
        RunChecks,
        SaveVerdicts,
        AssignLatePenalties,
        CheckCellMetadata,
    ]
    c.GenerateFeedback.preprocessors = [HideTests, GetGrades, CSSHTMLHeaderPreprocessor]
    c.GenerateFeedback.exporter_class = FeedbackExporter
    if zmq.has("curve"):
        c.KernelManager.transport_encryption = "auto"  # else each kernel warns that it has none


def _configure_course(c: Any, root: Path | None) -> None:
    root = (root or course_root()).resolve()
    classroom = root / CLASSROOM
    # SQLite makes no folders, and JupyterLab logs an exchange that is not there as an error.
    with contextlib.suppress(OSError):
        (classroom / "exchange").mkdir(parents=True, exist_ok=True)

    # nbgrader starts alembic by its name, also where the environment is not activated.
    if shutil.which("alembic") is None:
        scripts = str(Path(sys.executable).parent)
        os.environ["PATH"] = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])

    c.CourseDirectory.course_id = COURSE
    c.CourseDirectory.root = str(root)
    c.CourseDirectory.source_directory = "solutions"
    c.CourseDirectory.release_directory = "exercises"
    c.CourseDirectory.source_with_tests_directory = f"{CLASSROOM}/source_with_tests"
    c.CourseDirectory.submitted_directory = f"{CLASSROOM}/submitted"
    c.CourseDirectory.autograded_directory = f"{CLASSROOM}/autograded"
    c.CourseDirectory.feedback_directory = f"{CLASSROOM}/feedback"
    c.CourseDirectory.solution_directory = f"{CLASSROOM}/solution"
    c.CourseDirectory.db_url = f"sqlite:///{classroom / 'gradebook.db'}"
    c.CourseDirectory.ignore = ignored_names(root)
    c.Exchange.root = str(classroom / "exchange")

    c.ClearOutput.remove_metadata_fields = {"collapsed", "scrolled", "execution", "ExecuteTime"}

    # What one submission may use; autograde.places.Limits has the names and the defaults.
    c.RunChecks.limits = {"memory": 512 * 1024**2, "processor_time": 60, "wall_time": 300}

    c.Execute.timeout = _VALIDATE_SECONDS

    # JupyterLab panels
    c.FormgradeExtension.debug = False  # it would list this configuration, which no page can show


def load_config(root: Path) -> Any:
    """Return what the course in `root` is told, its own nbgrader_config.py included.

    Whoever converts notebooks needs `with_converters` of it: grading begins without.
    """
    from traitlets.config import Config
    from traitlets.config.loader import PyFileConfigLoader

    config = Config()
    _configure_course(config, root)
    own = root / "nbgrader_config.py"
    if own.is_file():
        try:
            config.merge(PyFileConfigLoader(own.name, path=str(root)).load_config())
        except Exception as error:  # noqa: BLE001 - it is a program of its own
            raise Misuse(f"{own} cannot be read ({type(error).__name__}: {error}).") from None
    return config


def with_converters(config: Any) -> Any:
    """Return the configuration with the classes that nbgrader is to use; its own come first."""
    from traitlets.config import Config

    complete = Config()
    _configure_converters(complete)
    complete.merge(config)
    return complete
