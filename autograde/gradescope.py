"""Gradescope: the zip that it builds an assignment's image from, and the grading inside that image.

The format: gradescope-autograders.readthedocs.io, "Autograder Specifications".
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import click

from autograde.errors import AutogradeError, BrokenEnvironment, Misuse

__all__ = ["build_autograder", "grade_submission", "main"]

_TEMPLATES = Path(__file__).with_name("templates") / "gradescope"
_SCRIPTS = ("setup.sh", "run_autograder")
_FILES = ("LICENSE", "environment.yml", "pyproject.toml", "requirements.lock")
_FOLDERS = ("tasklab", "autograde")
# A zip cannot name an earlier day, and two builds of the same files are equal.
_DATE = (1980, 1, 1, 0, 0, 0)
_NOT_GRADED = "Not graded: the autograder could not look. Ask for it to be run again."


def build_autograder(root: Path, slug: str, output: Path) -> Path:
    """Build output/SLUG.zip, which grades that exercise; return it."""
    from autograde.handout import kept_files

    source = f"solutions/{slug}/{slug}.ipynb"
    if not (root / source).is_file():
        raise Misuse(f"There is no exercise {slug!r} in {root / 'solutions'}.")
    names = [*_FILES, *kept_files(root, _FOLDERS), source]
    files = {name: ((root / name).read_bytes(), 0o644) for name in names}
    files |= {name: ((_TEMPLATES / name).read_bytes(), 0o755) for name in _SCRIPTS}
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"{slug}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, (data, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, data)
    return target


def grade_submission(root: Path) -> str:
    """Grade what is in root/submission; return what results.json is to say, for Gradescope."""
    from autograde.batch import Task, grade_task, load_exercises
    from autograde.intake import Submission
    from autograde.places import Confined, Limits, Sandbox
    from autograde.tables import as_gradescope, reason
    from autograde.users import AnotherUser, close_to_others
    from autograde.walls import sandbox_program

    course = root / "source"
    ((slug, instructor),) = load_exercises(course / "solutions").items()
    try:
        page = _find_page(root / "submission", slug)
        data = Submission("", slug, page.name, page).read()
    except Misuse as error:
        return json.dumps({"score": 0.0, "output": str(error)})
    place: type[Confined] = Sandbox
    try:
        sandbox_program()
    except BrokenEnvironment as error:
        click.echo(f"{error} The answer runs as another user instead.")
        close_to_others([course / "solutions", root / "submission", root / "results"])
        place = AnotherUser
    task = Task("student", slug, page.name, data, json.dumps(instructor), Limits())
    report = grade_task(task, confined=place)
    if report["outcome"] == "broken":
        click.echo(reason(report), err=True)
    return as_gradescope(report)


def _find_page(folder: Path, slug: str) -> Path:
    """Return the notebook that was handed in; raise Misuse, for its learner, if that is not one."""
    pages = [path for path in sorted(folder.rglob("*.ipynb")) if _is_handed_in(path, folder)]
    for found in (
        [path for path in pages if path.stem == slug],
        [path for path in pages if slug in path.stem],
        pages,
    ):
        if len(found) == 1:
            return found[0]
    what = f"There are {len(pages)} notebooks" if pages else "There is no notebook"
    raise Misuse(f"{what} in what you handed in: hand in {slug}.ipynb.")


def _is_handed_in(path: Path, folder: Path) -> bool:
    """Whether it is a file of the learner's: no link, nothing that JupyterLab keeps aside."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    inside = path.resolve() == folder.resolve() / path.relative_to(folder)
    return path.is_file() and inside and not hidden


def main(arguments: Sequence[str]) -> int:
    """Grade as run_autograder asks; whatever happens, there is a results.json."""
    root = Path(arguments[0])
    try:
        results = grade_submission(root)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - Gradescope shows what is printed
        why = (
            str(error) if isinstance(error, AutogradeError) else f"{type(error).__name__}: {error}"
        )
        click.echo(why, err=True)
        results = json.dumps({"output": _NOT_GRADED, "tests": []})
    target = root / "results" / "results.json"
    target.parent.mkdir(exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    new.write_text(results, encoding="utf-8")
    new.replace(target)
    return 0 if "score" in json.loads(results) else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
