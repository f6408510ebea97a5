"""What Moodle exports and imports as CSV: an assignment's grading worksheet, and the gradebook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from autograde.errors import Misuse
from autograde.rosters import (
    Filled,
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

_NAMES = ("First name", "Last name", "Surname", "Full name")
_LOGINS = ("Username", "ID number", "Email address")


def fill_roster(
    path: Path, scores: Sequence[Score], *, assignment: str | None = None, checks: bool = False
) -> Filled:
    """Enter scores into a grading worksheet, which is for one exercise, or into a gradebook.

    With `checks`, each check has a column too; in a worksheet, its share of the feedback.
    """
    sheet = read_sheet(path)
    if sheet.column("Identifier") is not None and sheet.column("Grade") is not None:
        slugs = {score.slug for score in scores}
        named = [slug for slug in slugs if name_key(slug) in name_key(path.name)]
        if assignment is None and len(named) != 1:
            raise Misuse(
                f"{path.name} does not say which exercise it is for: add --assignment EXERCISE."
            )
        slug = assignment or named[0]
        return _fill_worksheet(sheet, [s for s in scores if s.slug == slug], checks=checks)
    if any(sheet.column(name) is not None for name in _LOGINS):
        return _fill_gradebook(sheet, scores, checks=checks)
    raise Misuse(
        f"{path.name} is neither a grading worksheet of Moodle (with the columns Identifier and "
        "Grade) nor its gradebook (with Email address): download one with Moodle in English, and "
        "name that file."
    )


def _fill_gradebook(whole: Sheet, scores: Sequence[Score], *, checks: bool) -> Filled:
    sheet = whole.only([*_NAMES, *_LOGINS])
    people = []
    for number, row in enumerate(sheet.rows):
        first, last = sheet.cell(row, "First name"), sheet.cell(row, "Last name", "Surname")
        name = sheet.cell(row, "Full name") or f"{first} {last}"
        names = either_order(first, last) | either_order(name)
        people.append(Person(number, name, logins_in(sheet, row, _LOGINS), names))
    matched = match_people(people, scores)
    for title, part in columns(scores, checks=checks):
        found = [matched.find(number, part) for number in range(len(sheet.rows))]
        sheet.add(title, [in_proportion(points, points[1]) for points in found])
    return Filled().complete(sheet, matched)


def _fill_worksheet(sheet: Sheet, scores: Sequence[Score], *, checks: bool) -> Filled:
    people = []
    for number, row in enumerate(sheet.rows):
        identifier = sheet.cell(row, "Identifier")
        participant = re.sub(r"\D", "", identifier)
        # Where the names are hidden from those who grade, the number is all there is.
        name = sheet.cell(row, "Full name") or identifier
        names = either_order(name.removesuffix(participant)) if participant else frozenset()
        logins = logins_in(sheet, row, _LOGINS)
        people.append(Person(number, name, logins, names, participant))
    matched = match_people(people, scores)
    filled = Filled()
    grade, feedback = sheet.column("Grade"), sheet.column("Feedback comments")
    assert grade is not None
    if checks and feedback is None:
        filled.remarks.append(
            "The worksheet has no column Feedback comments for the checks: switch that feedback on "
            "in the assignment's settings."
        )
    for number, row in enumerate(sheet.rows):
        for score in (s for (there, _), s in matched.scores.items() if there == number):
            most = read_number(sheet.cell(row, "Maximum grade")) or score.max_points
            row[grade] = in_proportion((score.points, score.max_points), most)
            if most != score.max_points:
                filled.remarks.append(
                    f"{score.slug} has {in_words(score.max_points)} points here and "
                    f"{in_words(most)} in Moodle: they are given in proportion."
                )
            if checks and feedback is not None and not row[feedback].strip():
                row[feedback] = _feedback(score)
    return filled.complete(sheet, matched)


def _feedback(score: Score) -> str:
    return "; ".join(
        f"{name}: {in_words(points)} of {in_words(most)}"
        for name, (points, most) in score.checks.items()
        if points is not None
    )
