"""Generate exercises/ from solutions/, through nbgrader and away from any gradebook."""

from __future__ import annotations

import fnmatch
import logging
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autograde.errors import Misuse
from autograde.nbgrader_config import configure, ignored_names
from autograde.notebooks import read_notebook, source_of
from autograde.planting import check_notebook

__all__ = ["Listener", "build", "find_stale", "generate_starter"]


def build(root: Path, only: Iterable[str] | None = None) -> list[str]:
    """Generate exercises/ and return their names; raise Misuse and change nothing if one fails.

    What has no source any more is removed, apart from what running a notebook leaves.
    """
    names = _choose(root, only)
    exercises = root / "exercises"
    with tempfile.TemporaryDirectory(prefix="exercises-") as temporary:
        generated = Path(temporary)
        _generate(root, names, generated)
        for name in names:
            _mirror(root, generated / name, exercises / name)
    if only is None:
        for path in _unknown(root, exercises, names):
            _remove(path)
    return names


def find_stale(root: Path) -> list[str]:
    """Return a sentence for each file in exercises/ that a new build would change."""
    names = _choose(root, None)
    exercises = root / "exercises"
    with tempfile.TemporaryDirectory(prefix="exercises-") as temporary:
        generated = Path(temporary)
        _generate(root, names, generated)
        made = {path.relative_to(generated): path for path in _files(generated)}
        found = [_compare(exercises / file, made[file]) for file in made]
        kept = {path.relative_to(exercises) for path in _files(exercises)}
    ignored = ignored_names(root)
    found += [
        f"{exercises.name}/{file} is unknown: nothing in solutions/ makes it."
        for file in kept - set(made)
        if not _is_ignored(file, ignored)
    ]
    return sorted(filter(None, found))


def generate_starter(root: Path, name: str) -> str:
    """Return the notebook as it is handed out, made from its source."""
    with tempfile.TemporaryDirectory(prefix="exercises-") as temporary:
        _generate(root, [name], Path(temporary))
        return (Path(temporary) / name / f"{name}.ipynb").read_text(encoding="utf-8")


def _compare(path: Path, made: Path) -> str:
    name = path.relative_to(path.parents[1].parent)
    if not path.is_file():
        return f"{name} is missing."
    if path.read_bytes() != made.read_bytes():
        return f"{name} is stale: its source in solutions/ says something else."
    return ""


def _choose(root: Path, only: Iterable[str] | None) -> list[str]:
    """Return the exercises to build; raise Misuse if one does not exist or has no notebook."""
    folders = sorted(
        path
        for path in (root / "solutions").glob("*/")
        if path.is_dir() and not path.name.startswith((".", "_"))
    )
    for folder in folders:
        notebooks = sorted(path.name for path in folder.glob("*.ipynb"))
        if notebooks != [f"{folder.name}.ipynb"]:
            raise Misuse(
                f"solutions/{folder.name} holds {', '.join(notebooks) or 'no notebook'}; "
                f"it must hold one, {folder.name}.ipynb."
            )
    known = [folder.name for folder in folders]
    if not known:
        raise Misuse(f"There are no exercises in {root / 'solutions'}.")
    wanted = known if only is None else list(only)
    for name in wanted:
        if name not in known:
            raise Misuse(
                f"There is no exercise {name!r} in solutions/; there are: {', '.join(known)}."
            )
    return wanted


def _generate(root: Path, names: list[str], target: Path) -> None:
    for name in names:
        _check_source(root, root / "solutions" / name / f"{name}.ipynb")

    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells
    from traitlets.config import Config

    config = Config()
    configure(config, root)
    config.CourseDirectory.release_directory = str(target)
    config.GenerateAssignment.no_database = True
    config.GenerateAssignment.preprocessors = [
        step for step in config.GenerateAssignment.preprocessors if step is not SaveCells
    ]
    log = logging.Logger("nbgrader")  # noqa: LOG001 - one of its own: the terminal stays quiet
    said = Listener()
    log.addHandler(said)
    coursedir = CourseDirectory(config=config, log=log)
    for name in names:
        coursedir.assignment_id = name
        try:
            GenerateAssignment(coursedir=coursedir, config=config, log=log).start()
        except NbGraderException:
            raise Misuse(f"nbgrader cannot generate {name}: {said.reason()}") from None


class Listener(logging.Handler):
    """Keep what nbgrader logs as an error, among it the traceback of what it caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.errors.append(record.getMessage())

    def reason(self) -> str:
        caught = [text for text in self.errors if text.startswith("Traceback")]
        return (caught or self.errors or ["it gave no reason"])[0].strip().splitlines()[-1]


def _check_source(root: Path, path: Path) -> None:
    """Raise Misuse unless the notebook is a sound source.

    A cell without an id would get a random one at each build.
    """
    notebook = read_notebook(path)
    file = str(path.relative_to(root))
    ids: dict[Any, int] = {}
    grade_ids: dict[Any, int] = {}
    for number, cell in enumerate(notebook["cells"], start=1):
        cell["source"] = source_of(cell)
        cell.setdefault("metadata", {})
        identity = cell.get("id")
        if not identity or int(notebook.get("nbformat_minor", 0)) < 5:
            raise Misuse(f"{file}, cell {number} has no id; open it in JupyterLab and save it.")
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        for kind, value, known in (("id", identity, ids), ("grade_id", grade_id, grade_ids)):
            if value and value in known:
                raise Misuse(
                    f"{file}, cell {number} has the {kind} {value!r} of cell {known[value]}; "
                    "give it one of its own."
                )
            known[value] = number
    check_notebook(notebook, file)


def _mirror(root: Path, made: Path, folder: Path) -> None:
    """Make `folder` hold what `made` holds; a file that is the same is not touched."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {path.relative_to(made) for path in _files(made)}
    for file in wanted:
        source, destination = made / file, folder / file
        if destination.is_file() and destination.read_bytes() == source.read_bytes():
            continue
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)
    ignored = ignored_names(root)
    for path in _files(folder):
        file = path.relative_to(folder)
        if file not in wanted and not _is_ignored(file, ignored):
            path.unlink()


def _unknown(root: Path, exercises: Path, names: list[str]) -> list[Path]:
    """Return what lies in exercises/ and is neither an exercise nor left by running one."""
    ignored = ignored_names(root)
    return [
        path
        for path in exercises.iterdir()
        if path.name not in names and not _is_ignored(Path(path.name), ignored)
    ]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def _is_ignored(file: Path, ignored: list[str]) -> bool:
    return any(fnmatch.fnmatch(part, glob) for part in file.parts for glob in ignored)
