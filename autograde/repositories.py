"""Students' repositories: take the notebooks that were pushed, and run nothing of them."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograde.errors import Misuse
from autograde.notebooks import LARGEST_NOTEBOOK, parse_notebook

__all__ = ["Collected", "Repository", "collect", "read_listing"]

_WITHIN = 300
_AT_ONCE = 8
_COLUMNS = {"student", "repository"}
_SETTINGS = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Repository:
    student: str
    address: str


@dataclass
class Collected:
    """What one repository gave."""

    student: str
    exercises: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """A sentence each; with the first one, there may be nothing at all."""


def read_listing(path: Path) -> list[Repository]:
    """Read a CSV file with the columns student and repository; raise Misuse where it has a slip."""
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except FileNotFoundError:
        raise Misuse(
            f"There is no {path}: make it, with the columns student and repository."
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Misuse(f"{path.name} cannot be read ({error}).") from None
    if not rows or not set(rows[0]) >= _COLUMNS:
        raise Misuse(f"{path.name} needs a line `student,repository`, and one for each student.")
    found: dict[str, Repository] = {}
    for number, row in enumerate(rows, start=2):
        student = (row["student"] or "").strip()
        address = (row["repository"] or "").strip()
        if not re.fullmatch(r"[\w@+][\w.@+-]*", student):
            raise Misuse(
                f"Line {number} of {path.name}: {student!r} is no name for a student; use letters, "
                "digits and . @ + - _ only."
            )
        if not address or address.startswith("-"):
            raise Misuse(f"Line {number} of {path.name}: {address!r} is no repository.")
        if student in found:
            raise Misuse(f"Line {number} of {path.name}: {student} is there twice.")
        found[student] = Repository(student, address)
    return list(found.values())


def collect(
    listing: Sequence[Repository], starters: Mapping[str, dict[str, Any]], submitted: Path
) -> list[Collected]:
    """Put what was pushed into submitted/STUDENT/EXERCISE/, as nbgrader wants it.

    An exercise that is as it was handed out is not handed in. Nothing is checked out, so
    no link, no filter and no hook of a repository has a say here.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="collect") as executor:
        return list(executor.map(lambda one: _collect_one(one, starters, submitted), listing))


def _collect_one(
    repository: Repository, starters: Mapping[str, dict[str, Any]], submitted: Path
) -> Collected:
    collected = Collected(repository.student)
    with tempfile.TemporaryDirectory(prefix="repository-") as folder:
        try:
            _git(None, "clone", "--quiet", "--bare", "--depth=1", "--no-tags", "--",
                 repository.address, folder)  # fmt: skip
            listed = _git(folder, "ls-tree", "-r", "-l", "-z", "HEAD", "--", "exercises")
        except OSError as error:
            collected.wrong.append(
                f"{repository.student}: nothing can be taken from the repository ({error})."
            )
            return collected
        for line in listed.decode(errors="replace").split("\0"):
            about, _, name = line.partition("\t")
            slug = Path(name).stem
            if slug not in starters or name != f"exercises/{slug}/{slug}.ipynb":
                continue
            mode, _, digest, size = about.split()
            if not mode.startswith("100") or int(size) > LARGEST_NOTEBOOK:
                why = "a link" if not mode.startswith("100") else "too large"
                collected.wrong.append(f"{repository.student}: {name} is {why}, and left out.")
                continue
            data = _git(folder, "cat-file", "blob", digest)
            if _is_begun(data, starters[slug]):
                target = submitted / repository.student / slug / f"{slug}.ipynb"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                collected.exercises.append(slug)
    return collected


def _is_begun(data: bytes, starter: dict[str, Any]) -> bool:
    try:
        return parse_notebook(data, "it") != starter
    except Misuse:
        # What cannot be read is for the grading to refuse.
        return True


def _git(folder: str | None, *arguments: str) -> bytes:
    """Run git; raise OSError with its last words."""
    command = ["git", *(["-C", folder] if folder else []), *arguments]
    try:
        done = subprocess.run(
            command, env={**os.environ, **_SETTINGS}, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=_WITHIN,
        )  # fmt: skip
    except FileNotFoundError:
        raise Misuse("There is no git on this machine: install it.") from None
    except subprocess.TimeoutExpired:
        raise OSError(f"git {arguments[0]} took more than {_WITHIN} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(lines[-1] if lines else f"git {arguments[0]} failed")
    return done.stdout
