"""The gradebook of Canvas, as it exports and imports it: CSV, a row a user."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from autograde.errors import Misuse
from autograde.rosters import (
    NOTHING,
    Filled,
    Matched,
    Part,
    Person,
    Score,
    Sheet,
    columns,
    either_order,
    in_proportion,
    in_words,
    logins_in,
    match_people,
    name_key,
    read_number,
    read_sheet,
)

__all__ = ["fill_roster"]

# What Canvas knows its users by; whatever else is in its export would undo what changed since.
_IDENTITY = (
    "Student", "LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID", "Integration ID",
    "Root Account", "Section",
)  # fmt: skip
_LOGINS = ("SIS User ID", "SIS Login ID", "Integration ID")
_TITLE_AND_ID = re.compile(r"^(.*?)\s*\(\d+\)$")
_EXCUSED = "EX"


def fill_roster(path: Path, scores: Sequence[Score], *, checks: bool = False) -> Filled:
    """Enter scores into an exported gradebook; with `checks`, each check is an assignment too.

    The assignments that it has are found by their names; the others are new ones for Canvas.
    """
    whole = read_sheet(path)
    if whole.column("ID") is None or whole.column("Section") is None:
        raise Misuse(
            f"{path.name} is no gradebook of Canvas, which has columns such as Student, ID and "
            "Section: export it there by Grades → Export, and name that file."
        )
    if not any(map(_is_possible, whole.rows)):
        whole.rows.insert(0, ["Points Possible", *[""] * (len(whole.header) - 1)])
    sheet = whole.only(_IDENTITY)
    matched = match_people(list(_people(sheet)), scores)
    filled = Filled()
    for title, part in columns(scores, checks=checks):
        before = _assignment(whole, title)
        had = ["" if before is None else row[before].strip() for row in whole.rows]
        column = sheet.add(title if before is None else whole.header[before], had)
        ours = max(part(score)[1] for score in scores)
        possible = next(n for n, row in enumerate(sheet.rows) if _is_possible(row))
        most = read_number(had[possible]) or ours
        sheet.rows[possible][column] = in_words(most)
        if most != ours:
            filled.remarks.append(
                f"{title} has {in_words(ours)} points here and {in_words(most)} in Canvas: they "
                "are given in proportion."
            )
        _enter(filled, matched, sheet, column, part, title, most)
    return filled.complete(sheet, matched)


def _enter(
    filled: Filled,
    matched: Matched,
    sheet: Sheet,
    column: int,
    part: Part,
    title: str,
    most: float,
) -> None:
    for number, row in enumerate(sheet.rows):
        found = matched.find(number, part)
        if found is NOTHING:
            continue
        if row[column].upper() == _EXCUSED:
            filled.remarks.append(f"{row[0]} is excused from {title} in Canvas, and stays so.")
        else:
            row[column] = in_proportion(found, most)


def _is_possible(row: Sequence[str]) -> bool:
    return row[0].strip() == "Points Possible"


def _people(sheet: Sheet) -> Iterator[Person]:
    for number, row in enumerate(sheet.rows):
        last, first = sheet.cell(row, "LastName"), sheet.cell(row, "FirstName")
        name = sheet.cell(row, "Student") or f"{last}, {first}"
        # A row may also say which grades are hidden, and a teacher has a student to try things.
        if _is_possible(row) or not row[0].strip() or name == "Student, Test":
            continue
        last, _, first = name.partition(",")
        logins = logins_in(sheet, row, _LOGINS)
        yield Person(number, name, logins, either_order(last, first), sheet.cell(row, "ID"))


def _assignment(sheet: Sheet, title: str) -> int | None:
    """The column of that name, whether or not the teacher wrote its number and hyphens."""
    slug, _, check = title.partition(": ")
    wanted = {name_key(title)} if check else {name_key(slug), name_key(slug.partition("-")[2])}
    found = []
    for column, header in enumerate(sheet.header):
        match = _TITLE_AND_ID.match(header)
        if name_key(match[1] if match else header) in wanted:
            found.append(column)
    if len(found) > 1:
        raise Misuse(
            f"The roster has {len(found)} columns called like {title}: rename all but one."
        )
    return found[0] if found else None
