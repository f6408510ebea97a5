"""The students' bundle: lessons, exercises, the bench and the check, and nothing to grade by."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograde.errors import Misuse
from autograde.exercises import find_stale
from autograde.notebooks import read_notebook, source_of
from autograde.syllabus import exercise_table, lesson_table
from autograde.workflows import students_workflows

__all__ = ["NAME", "build_handout", "kept_files"]

NAME = "vanishing-tasks"
_FOLDERS = ("notebooks", "exercises", "tasklab", "autograde")
_FILES = (".gitignore", "LICENSE", "environment.yml", "pyproject.toml", "requirements.lock")
_TARGETS = ("help", "environment", "lab", "clean", "sterile")
_LEFT_BY_RUNS = ("*.pyc", "*.log", "newsletter.py", "gunicorn.conf.py", "Procfile")
# A zip cannot name an earlier day, and two builds of the same files are equal.
_DATE = (1980, 1, 1, 0, 0, 0)
_LINK = r"\[([^\]]+)\]\(\.\./exercises/([^/)]+)/[^)]*\)"
# With the lines that it goes on over.
_ITEM = re.compile(rf"^- {_LINK}.*(?:\n  .*)*(?:\n|\Z)", re.MULTILINE)
_README = """\
# Vanishing Tasks

Why a FastAPI background task silently does not run, and how to prove that it now does.

You need Linux, macOS or WSL2, Python 3.11, 3.12 or 3.13, and `make`. Then:

```sh
make lab    # opens the first lesson in JupyterLab
```

The first time, this builds `.venv`, which takes some minutes. Every exercise page has a cell that
checks your answer; in a terminal it is `.venv/bin/autograde check 06`. Some checks are hidden: they
are not in this copy, and your teacher runs them. `.venv/bin/autograde progress` shows what is done,
how many minutes are left, and the page to open next. `.venv/bin/autograde reset 06` gives an
exercise back as you got it, and keeps your version beside it.

## Lessons

{lessons}
## Exercises

{exercises}"""


def build_handout(root: Path, output: Path) -> Path:
    """Build output/vanishing-tasks and its zip; return the zip.

    The folder may be a git repository, as nbgitpuller wants it: its history stays, and what is no
    longer handed out goes. Raises Misuse where exercises/ is stale, where a hidden check has its
    text in it, or where the folder is not one of these bundles.
    """
    if stale := find_stale(root):
        raise Misuse(f"{stale[0]} Run `make exercises`, then this again.")
    _refuse_hidden_text(root)
    folder = output / NAME
    if folder.exists() and not _is_bundle(folder):
        raise Misuse(f"{folder} is not a bundle of this course; name another folder by --output.")
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, data in sorted(_contents(root).items()):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return _pack(folder, output / f"{NAME}.zip")


def _without_dead_links(lesson: bytes, known: set[str]) -> bytes:
    """The lesson without what sends to an exercise that is left out; a sentence may name it."""
    notebook = json.loads(lesson)
    changed = False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = source_of(cell)
            kept = _ITEM.sub(lambda item: item[0] if item[2] in known else "", text)
            kept = re.sub(_LINK, lambda link: link[0] if link[2] in known else link[1], kept)
            if kept != text:
                cell["source"], changed = kept.splitlines(keepends=True), True
    return (
        (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode() if changed else lesson
    )


def _is_bundle(folder: Path) -> bool:
    """Whether it may be written anew: an empty folder or clone, or what was built here before."""
    names = {path.name for path in folder.iterdir()} - {".git"}
    return not names or ({"README.md", *_FOLDERS} <= names and not names & {"solutions", "tests"})


def _contents(root: Path) -> dict[str, bytes]:
    files = {name: (root / name).read_bytes() for name in (*_FILES, *kept_files(root, _FOLDERS))}
    for name in [name for name in files if re.fullmatch(r"exercises/[^/]+/[^/]+\.ipynb", name)]:
        files[f"exercises/.starters/{Path(name).name}"] = files[name]  # for `autograde reset`
    files["Makefile"] = _makefile((root / "Makefile").read_text(encoding="utf-8")).encode()
    known = {Path(name).stem for name in files if name.startswith("exercises/")}
    for name in [name for name in files if re.fullmatch(r"notebooks/[^/]+\.ipynb", name)]:
        files[name] = _without_dead_links(files[name], known)
    readme = _README.format(lessons=lesson_table(root), exercises=exercise_table(root))
    files["README.md"] = readme.encode()
    return files | students_workflows()


def kept_files(root: Path, folders: Sequence[str]) -> Iterator[str]:
    """The files that git keeps of the folders, or all but what runs leave where there is no git."""
    listing = ["git", "-C", str(root), "ls-files", "-z", "--", *folders]
    listed = subprocess.run(listing, capture_output=True) if shutil.which("git") else None
    if listed is not None and listed.returncode == 0 and listed.stdout:
        names = listed.stdout.decode().split("\0")
        yield from (name for name in names if name and (root / name).is_file())
        return
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            hidden = any(part.startswith((".", "__")) for part in path.parts[len(root.parts) :])
            left = any(path.match(pattern) for pattern in _LEFT_BY_RUNS)
            if path.is_file() and not left and (not hidden or path.name.startswith("__")):
                yield path.relative_to(root).as_posix()


def _makefile(text: str) -> str:
    """The targets that work without solutions/ and tests/."""
    head, *blocks = re.split(r"(?m)^(?=\.PHONY: )", text)
    kept = [block for block in blocks if block.split(None, 2)[1] in _TARGETS]
    return head + "".join(kept)


def _refuse_hidden_text(root: Path) -> None:
    for path in sorted((root / "exercises").glob("*/*.ipynb")):
        for cell in read_notebook(path)["cells"]:
            text = source_of(cell)
            hidden = text.startswith("hidden_check(") and text.strip().count("\n")
            if hidden or "BEGIN HIDDEN TESTS" in text or "BEGIN SOLUTION" in text:
                raise Misuse(
                    f"{path.name} has a hidden check or a solution in it, which must not be handed "
                    "out; run `make exercises`, then this again."
                )


def _pack(folder: Path, target: Path) -> Path:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for path in files:
            name = path.relative_to(folder)
            if name.parts[0] == ".git":
                continue
            entry = zipfile.ZipInfo(f"{NAME}/{name.as_posix()}", _DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            bundle.writestr(entry, path.read_bytes())
    return target
