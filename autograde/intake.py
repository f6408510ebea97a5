"""Find the submissions in a folder or a zip, however they were collected."""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from autograde.errors import Misuse
from autograde.notebooks import LARGEST_NOTEBOOK

__all__ = ["Refused", "Submission", "find_submissions"]

# How Moodle and Canvas name what one downloads from them; nbgrader has no pattern of its own.
# Moodle: a folder or a prefix with the full name and the number in this assignment.
_MOODLE = re.compile(r"(?P<student_id>[^/]+)_(?P<number>\d+)_assignsubmission_file(?:_.*)?")
# Canvas: the name to sort by, the user, the file. The files of a user are numbered as they come.
_CANVAS = re.compile(
    r"(?P<student_id>[^/]+?)_(?:LATE_)?(?P<number>\d+)_(?P<timestamp>\d+)_.+"
    r"|(?:LATE_)?(?P<anonymous_id>anon_[A-Za-z0-9]+)_(?P<file_id>\d+)_.+"
)
# What Moodle calls everybody where the names are hidden from those who grade.
_HIDDEN_NAME = "Participant"
# What nbgrader makes of a student's name in paths and addresses.
_NOT_IN_A_NAME = re.compile(r"[^\w.@+-]+")
_MOST_ENTRIES = 100_000
_NUMBERED = re.compile(r"\d+-")
_COPY = re.compile(r"(?:[-_ ]?copy ?\d*|[-_ ]?\(\d+\)|-\d{1,2})$", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """One learner's notebook for one exercise. It is read when it is graded, not before."""

    student: str
    slug: str
    name: str
    """Where it was found, to be told to people."""
    path: Path
    member: str = ""
    """Its name inside the zip that `path` is; empty for a file."""
    order: str = ""
    number: str = ""
    """Which of those with the same name it is, where an LMS said so."""

    def read(self) -> bytes:
        """Return the file; raise Misuse if it is too large or has gone."""
        try:
            if not self.member:
                with self.path.open("rb") as file:
                    data = file.read(LARGEST_NOTEBOOK + 1)
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                    data = file.read(LARGEST_NOTEBOOK + 1)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise Misuse(f"{self.name} cannot be read ({error}).") from None
        if len(data) > LARGEST_NOTEBOOK:
            raise Misuse(
                f"{self.name} has more than {LARGEST_NOTEBOOK // 1024**2} MiB: let the learner "
                "clear its outputs and hand it in again."
            )
        return data


@dataclass(frozen=True)
class Refused:
    """A file that is not graded, and why."""

    name: str
    why: str


def find_submissions(
    place: Path,
    exercises: Mapping[str, Collection[str]],
    *,
    assignment: str | None = None,
    pattern: str = "",
) -> tuple[list[Submission], list[Refused]]:
    """Return a submission for each learner and exercise, the newest where there are several.

    `exercises` maps each slug to the grade ids of its cells, by which a renamed notebook is known
    again. `pattern` is nbgrader's `FileNameCollectorPlugin.named_regexp`.
    """
    found: dict[tuple[str, str], Submission] = {}
    refused = []
    reader = _Reader(place, exercises, assignment, re.compile(pattern) if pattern else None)
    items = list(reader.walk())
    numbers: dict[tuple[str, str], set[str]] = {}
    for item in items:
        if isinstance(item, Submission):
            numbers.setdefault((item.student, item.slug), set()).add(item.number)
    for item in items:
        if isinstance(item, Refused):
            refused.append(item)
            continue
        if len(numbers[item.student, item.slug] - {""}) > 1 or item.student == _HIDDEN_NAME:
            # Two people of one name.
            item = replace(item, student=f"{item.student}-{item.number}".rstrip("-"))
        key = item.student, item.slug
        earlier = found.get(key)
        if earlier is None or item.order >= earlier.order:
            found[key], item_left = item, earlier
        else:
            item_left = item
        if item_left is not None:
            kept = found[key].name
            refused.append(Refused(item_left.name, f"{kept} is a later one by {item.student}"))
    return [found[key] for key in sorted(found)], refused


class _Reader:
    def __init__(
        self,
        place: Path,
        exercises: Mapping[str, Collection[str]],
        assignment: str | None,
        pattern: re.Pattern[str] | None,
    ) -> None:
        self.place = place
        self.exercises = exercises
        self.assignment = assignment
        self.patterns = [found for found in (pattern, _CANVAS) if found is not None]

    def walk(self) -> Iterator[Submission | Refused]:
        if self.place.is_dir():
            yield from self._walk_folder()
        elif self.place.is_file() and self.place.suffix == ".ipynb":
            yield from self._take(self.place.name, self.place, "")
        elif self.place.is_file() and zipfile.is_zipfile(self.place):
            yield from self._walk_zip()
        elif self.place.exists():
            raise Misuse(f"{self.place.name} is neither a folder, a notebook nor a zip.")
        else:
            raise Misuse(f"There is no {self.place}.")

    def _walk_folder(self) -> Iterator[Submission | Refused]:
        for where, names, files in os.walk(self.place):
            folder = Path(where)
            names[:] = sorted(name for name in names if not name.startswith("."))
            for name in sorted(files):
                path = folder / name
                relative = path.relative_to(self.place).as_posix()
                if path.suffix != ".ipynb" or name.startswith("."):
                    continue
                if path.is_symlink() or not path.is_file():
                    yield Refused(relative, "it is a link, not a file")
                    continue
                yield from self._take(relative, path, "")

    def _walk_zip(self) -> Iterator[Submission | Refused]:
        with zipfile.ZipFile(self.place) as archive:
            entries = archive.infolist()
        if len(entries) > _MOST_ENTRIES:
            raise Misuse(f"{self.place.name} has more than {_MOST_ENTRIES} entries.")
        for entry in sorted(entries, key=lambda entry: entry.filename):
            pure = PurePosixPath(entry.filename)
            if entry.is_dir() or pure.suffix != ".ipynb" or "__MACOSX" in pure.parts:
                continue
            if ".ipynb_checkpoints" in pure.parts:
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                yield Refused(entry.filename, "it is a link, not a file")
                continue
            yield from self._take(entry.filename, self.place, entry.filename)

    def _take(self, name: str, path: Path, member: str) -> Iterator[Submission | Refused]:
        known = self._recognize(PurePosixPath(name), path, member)
        if isinstance(known, Refused):
            yield known
            return
        student, slug, order, number = known
        if self.assignment is None or slug == self.assignment:
            yield Submission(student, slug, name, path, member, order, number)

    def _recognize(
        self, name: PurePosixPath, path: Path, member: str
    ) -> tuple[str, str, str, str] | Refused:
        slug = self._slug_by_name(name)
        if slug is None and name.stem == name.parent.name and _NUMBERED.match(name.stem):
            return Refused(str(name), f"there is no exercise {name.stem} in this course")
        slug = slug or self._slug_by_content(name, path, member)
        if slug is None:
            return Refused(str(name), "it belongs to none of the exercises")
        student, order, number = self._student(name, slug)
        student = _NOT_IN_A_NAME.sub("-", student).strip("-.")
        if not student:
            return Refused(str(name), "its name does not say whose it is")
        if not order and not member:
            order = f"{path.stat().st_mtime_ns:020d}"
        return student, slug, order, number

    def _slug_by_name(self, name: PurePosixPath) -> str | None:
        for part in (name.stem, name.parent.name):
            inside = [slug for slug in self.exercises if slug in part]
            if len(inside) == 1:
                return inside[0]
        return None

    def _slug_by_content(self, name: PurePosixPath, path: Path, member: str) -> str | None:
        try:
            content = json.loads(Submission("", "", str(name), path, member).read())
            cells = content["cells"]
            ids = {
                str(cell["metadata"]["nbgrader"]["grade_id"])
                for cell in cells
                if isinstance(cell, dict) and "nbgrader" in cell.get("metadata", {})
            }
        except (Misuse, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return self.assignment
        scores = sorted(
            ((len(ids & set(names)), slug) for slug, names in self.exercises.items()), reverse=True
        )
        if scores and scores[0][0] and (len(scores) == 1 or scores[0][0] > scores[1][0]):
            # Exercises share some names: fewer of them is one that this course has no more.
            return scores[0][1] if 4 * scores[0][0] > 3 * len(ids) else self.assignment
        return self.assignment

    def _student(self, name: PurePosixPath, slug: str) -> tuple[str, str, str]:
        """Return whose it is, what tells which of several is the latest, and the LMS's number.

        A user of Canvas keeps the number, so it is part of the name. In Moodle everybody has
        another one in each assignment.
        """
        parents = [part for part in name.parts[:-1] if part != slug]
        for part in (*parents, name.name):
            if match := _MOODLE.fullmatch(part):
                return match["student_id"], "", match["number"]
        for pattern in self.patterns:
            if match := pattern.match(name.name):
                groups = match.groupdict()
                if anonymous := groups.get("anonymous_id"):
                    return anonymous, groups["file_id"].zfill(20), ""
                student = groups["student_id"]
                if pattern is _CANVAS:
                    student = f"{student}-{groups['number']}"
                return student, (groups.get("timestamp") or "").zfill(20), ""
        if slug in name.parts[:-1]:
            # nbgrader's own layout: STUDENT/EXERCISE/EXERCISE.ipynb.
            given = self.place.resolve().name if self.place.is_dir() else ""
            return (parents[-1] if parents else given), "", ""
        rest = _COPY.sub("", name.stem).replace(slug, "").strip("-_ .")
        return rest or (parents[-1] if parents else ""), "", ""
