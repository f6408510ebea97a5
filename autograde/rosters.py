"""The roster that an LMS exported: whose grade goes where, and what a teacher has to know of it."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autograde.errors import Misuse
from autograde.tables import plain

__all__ = [
    "NOTHING",
    "Filled",
    "Matched",
    "Part",
    "Person",
    "Points",
    "Score",
    "Sheet",
    "columns",
    "either_order",
    "in_proportion",
    "in_words",
    "logins_in",
    "match_people",
    "name_key",
    "read_number",
    "read_sheet",
]

Points = tuple[float | None, float]
"""What somebody has, None where a check waits, and the most there is."""
NOTHING: Points = (None, 0.0)


@dataclass(frozen=True)
class Score:
    """What the gradebook has for one learner and exercise."""

    student: str
    slug: str
    points: float | None
    max_points: float
    checks: Mapping[str, Points]


Part = Callable[[Score], Points]
"""What a column takes from a score; NOTHING from one that does not concern it."""


@dataclass
class Sheet:
    """A CSV file: a header, and rows of its length."""

    header: list[str]
    rows: list[list[str]]
    delimiter: str

    def column(self, *names: str) -> int | None:
        """The first column with one of these names."""
        wanted = {name.casefold() for name in names}
        found = [n for n, title in enumerate(self.header) if title.strip().casefold() in wanted]
        return found[0] if found else None

    def cell(self, row: Sequence[str], *names: str) -> str:
        column = self.column(*names)
        return "" if column is None else row[column].strip()

    def only(self, names: Sequence[str]) -> Sheet:
        """The same rows with these columns alone."""
        kept = sorted({n for name in names if (n := self.column(name)) is not None})
        rows = [[row[n] for n in kept] for row in self.rows]
        return Sheet([self.header[n] for n in kept], rows, self.delimiter)

    def add(self, title: str, values: Sequence[str]) -> int:
        """Add a column at the end, and return its number."""
        self.header.append(title)
        for row, value in zip(self.rows, values, strict=True):
            row.append(value)
        return len(self.header) - 1

    def text(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        writer.writerow([_guarded(title) for title in self.header])
        writer.writerows([_guarded(value) for value in row] for row in self.rows)
        return text.getvalue()


def read_sheet(path: Path) -> Sheet:
    """Read a CSV file with commas, semicolons or tabs; raise Misuse if it is none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Misuse(
            f"{path.name} is not in UTF-8: take the file as the LMS exported it, not as a "
            "spreadsheet saved it."
        ) from None
    except OSError as error:
        raise Misuse(f"{path.name} cannot be read: {error.strerror}.") from None
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise Misuse(f"{path.name} is no CSV file ({error}).") from None
    rows = [row for row in rows if any(map(str.strip, row))]
    if not rows:
        raise Misuse(f"{path.name} is empty: name the file that the LMS exported.")
    width = max(map(len, rows))
    header, *rest = [[*row, *[""] * (width - len(row))] for row in rows]
    return Sheet(header, rest, delimiter)


@dataclass(frozen=True)
class Person:
    """A row of the roster, and what its student may be called elsewhere."""

    row: int
    name: str
    """To be told to people."""
    logins: frozenset[str]
    names: frozenset[str]
    number: str = ""
    """What the LMS adds to the name of a submission."""


def name_key(text: str) -> str:
    """What is left of a name after an LMS and nbgrader made a file's name of it."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def either_order(*parts: str) -> frozenset[str]:
    """The keys of a name of two parts, either one first."""
    return frozenset({name_key("".join(parts)), name_key("".join(reversed(parts)))} - {""})


def logins_in(sheet: Sheet, row: Sequence[str], titles: Sequence[str]) -> frozenset[str]:
    """The logins in these columns, and of an address what stands before the @."""
    found = {sheet.cell(row, title).casefold() for title in titles} - {""}
    return frozenset(found | {text.partition("@")[0] for text in found if "@" in text})


@dataclass
class Matched:
    """The scores by the row and the exercise, and those of nobody there."""

    scores: dict[tuple[int, str], Score]
    lost: list[str]
    without: list[Person]
    """Who has no score."""

    def find(self, row: int, part: Part) -> Points:
        found = (part(score) for (there, _), score in self.scores.items() if there == row)
        return next((points for points in found if points is not NOTHING), NOTHING)


def match_people(people: Sequence[Person], scores: Sequence[Score]) -> Matched:
    """Find the row of each score. Whom it cannot tell for sure it leaves out, and says so."""
    claims: dict[tuple[int, str], list[Score]] = defaultdict(list)
    lost: dict[str, str] = {}
    for score in scores:
        found = _find(score.student, people)
        if len(found) == 1:
            claims[found[0].row, score.slug].append(score)
            continue
        why = f"{len(found)} of that name are" if found else "nobody of that name is"
        lost[score.student] = f"{score.student}: {why} in the roster, so no grade is entered."
    names = {person.row: person.name for person in people}
    entered = {}
    for (row, slug), claimed in claims.items():
        if len(claimed) == 1:
            entered[row, slug] = claimed[0]
            continue
        both = " and ".join(score.student for score in claimed)
        lost[f"{both} {slug}"] = f"{both}: each may be {names[row]}, so {slug} is entered for none."
    graded = {row for row, _ in claims}
    without = [person for person in people if person.row not in graded]
    return Matched(entered, list(lost.values()), without)


def _find(student: str, people: Sequence[Person]) -> list[Person]:
    """Everybody whom a student's name may mean, by the surest sign that fits anybody."""
    login, name = student.casefold(), name_key(student)
    signs: tuple[Callable[[Person], bool], ...] = (
        lambda person: login in person.logins,
        lambda person: name in {known + person.number for known in person.names if person.number},
        lambda person: name in person.names,
    )
    for sign in signs:
        if found := [person for person in people if sign(person)]:
            return found
    return []


@dataclass
class Filled:
    """A roster with grades in it, and what a teacher has to know of it."""

    text: str = ""
    entered: int = 0
    lost: list[str] = field(default_factory=list)
    """A sentence for each grade that found no place."""
    remarks: list[str] = field(default_factory=list)

    def complete(self, sheet: Sheet, matched: Matched) -> Filled:
        self.text = sheet.text()
        self.entered = sum(score.points is not None for score in matched.scores.values())
        self.lost = matched.lost
        waiting = (
            f"{score.student}: {score.slug} waits to be graded, so its place is empty."
            for score in matched.scores.values()
            if score.points is None
        )
        nothing = (f"{person.name}: nothing is graded." for person in matched.without)
        self.remarks = list(dict.fromkeys([*self.remarks, *waiting, *nothing]))
        return self


def columns(scores: Sequence[Score], *, checks: bool) -> Iterator[tuple[str, Part]]:
    """Yield a title and a part for each exercise, and for each of its checks."""
    for slug in sorted({score.slug for score in scores}):
        yield slug, _total(slug)
        names = {name: None for score in scores if score.slug == slug for name in score.checks}
        for name in names if checks else ():
            yield f"{slug}: {name}", _check(slug, name)


def _total(slug: str) -> Part:
    return lambda score: (score.points, score.max_points) if score.slug == slug else NOTHING


def _check(slug: str, name: str) -> Part:
    return lambda score: score.checks.get(name, NOTHING) if score.slug == slug else NOTHING


def read_number(text: str) -> float | None:
    """Read a number as people write it, with a point or a comma."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def in_proportion(points: Points, most: float) -> str:
    """Write points as they are where `most` is the most; nothing where a check waits."""
    got, ours = points
    return "" if got is None else in_words(got * most / ours if ours else got)


def in_words(points: float) -> str:
    return f"{round(points, 2):g}"


def _guarded(text: str) -> str:
    """Moodle writes a dash where there is nothing, and a number is no formula."""
    return text if text == "-" or read_number(text) is not None else plain(text)
