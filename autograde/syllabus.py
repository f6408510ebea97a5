"""The course in order, and the tables that say so: from what the notebooks say of themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autograde.errors import Misuse
from autograde.notebooks import read_notebook, source_of
from autograde.submission import Exercise

__all__ = [
    "Lesson",
    "exercise_table",
    "lesson_table",
    "message_list",
    "read_lessons",
    "stale_tables",
    "week_table",
    "write_tables",
]

_TABLE = re.compile(r"(<!-- (exercises|lessons|weeks|messages) -->\n).*?(<!-- /\2 -->)", re.DOTALL)
_LESSON_HEAD = "| lesson | what it asks | minutes |\n|---|---|---|\n"
_MINUTES = re.compile(r"takes (\d+) to (\d+) minutes")
_HEAD = "| exercise | symptom | minutes | points |\n|---|---|---|---|\n"
_WEEK_HEAD = "| week | lesson | minutes | exercises | minutes |\n|---|---|---|---|---|\n"
_SENDS_TO = re.compile(r"^- \[[^\]]+\]\(\.\./exercises/([^/)]+)/", re.MULTILINE)
_HELP = re.compile(r"<summary>I see ([^<]+)</summary>")


@dataclass(frozen=True)
class Lesson:
    """What a lesson says of itself, and the exercises that it sends to, in its order."""

    stem: str
    title: str
    minutes: tuple[int, int] | None
    exercises: tuple[str, ...]

    @property
    def number(self) -> str:
        return self.stem.split("-", 1)[0]

    @property
    def words(self) -> str:
        return self.stem.split("-", 1)[-1].replace("-", " ")

    @property
    def page(self) -> str:
        return f"notebooks/{self.stem}.ipynb"


def read_lessons(root: Path) -> list[Lesson]:
    """Return the lessons in order.

    A lesson sends to the exercises that are listed under its heading "Exercises". A link in a
    sentence does not count: so each exercise has one lesson, whoever else speaks of it.
    """
    return [_read_lesson(path) for path in sorted((root / "notebooks").glob("[0-9]*.ipynb"))]


def _read_lesson(path: Path) -> Lesson:
    cells = read_notebook(path)["cells"]
    prose = [source_of(cell) for cell in cells if cell["cell_type"] == "markdown"]
    title = next((text[2:].split("\n", 1)[0] for text in prose if text.startswith("# ")), "")
    said = _MINUTES.search(" ".join("\n".join(prose).split()))
    _, _, ending = "\n\n".join(prose).partition("\n## Exercises\n")
    sends_to = _SENDS_TO.findall(ending.split("\n## ", 1)[0])
    minutes = (int(said[1]), int(said[2])) if said else None
    return Lesson(path.stem, title, minutes, tuple(dict.fromkeys(sends_to)))


def exercise_table(root: Path) -> str:
    """One row for each exercise in solutions/: its name, symptom, minutes and points."""
    rows = []
    for path in _sources(root):
        exercise = Exercise.from_notebook(path.stem, read_notebook(path))
        least, most = _minutes_of(path)
        link = f"[{path.stem}](exercises/{path.stem}/{path.name})"
        rows.append(f"| {link} | {exercise.title} | {least} to {most} | {exercise.points:g} |\n")
    return _HEAD + "".join(rows)


def lesson_table(root: Path) -> str:
    """One row for each lesson in notebooks/: its number, title and minutes."""
    rows = []
    for lesson in read_lessons(root):
        if not lesson.title or lesson.minutes is None:
            raise Misuse(
                f"{lesson.stem}.ipynb needs a title and “This lesson takes 25 to 45 minutes”."
            )
        link = f"[{lesson.number}]({lesson.page})"
        rows.append(f"| {link} | {lesson.title} | {_range(lesson.minutes)} |\n")
    return _LESSON_HEAD + "".join(rows)


def week_table(root: Path) -> str:
    """One row for each week: a lesson and its exercises; one without exercises joins the last."""
    sources = {path.stem: path for path in _sources(root)}
    weeks: list[tuple[list[Lesson], list[Path]]] = []
    for lesson in read_lessons(root):
        paths = [sources.pop(slug) for slug in lesson.exercises if slug in sources]
        if not (weeks and not paths):
            weeks.append(([], []))
        weeks[-1][0].append(lesson)
        weeks[-1][1].extend(paths)
    rows = []
    for number, (lessons, paths) in enumerate(weeks, start=1):
        links = "; ".join(f"[{one.number} {one.words}]({one.page})" for one in lessons)
        names = ", ".join(f"[{path.stem.split('-', 1)[0]}]({_page(path)})" for path in paths)
        reading = _total([lesson.minutes or (0, 0) for lesson in lessons])
        mending = _total([_minutes_of(path) for path in paths]) if paths else ""
        rows.append(f"| {number} | {links} | {reading} | {names} | {mending} |\n")
    return _WEEK_HEAD + "".join(rows)


def message_list(root: Path) -> str:
    """One line for each message that an exercise explains, with the pages that do."""
    pages: dict[str, list[str]] = {}
    for path in _sources(root):
        link = f"[{path.stem.split('-', 1)[0]}]({_page(path)})"
        for cell in read_notebook(path)["cells"]:
            if cell["cell_type"] == "markdown":
                for message in _HELP.findall(source_of(cell)):
                    pages.setdefault(message, []).append(link)
    # The longest list first: what is explained on many pages is asked most.
    ordered = sorted(pages.items(), key=lambda item: -len(item[1]))
    return "".join(f"- {message}: {', '.join(links)}\n" for message, links in ordered)


def _sources(root: Path) -> list[Path]:
    return sorted((root / "solutions").glob("[0-9]*/*.ipynb"))


def _page(source: Path) -> str:
    return f"exercises/{source.stem}/{source.name}"


def _minutes_of(source: Path) -> tuple[int, int]:
    try:
        least, most = read_notebook(source)["metadata"]["exercise"]["minutes"]
    except (KeyError, TypeError, ValueError):
        raise Misuse(
            f"{source.stem} does not say how long it takes: its notebook's metadata needs "
            '{"exercise": {"minutes": [10, 20]}}.'
        ) from None
    return least, most


def _range(minutes: tuple[int, int]) -> str:
    return f"{minutes[0]} to {minutes[1]}"


def _total(minutes: list[tuple[int, int]]) -> str:
    return _range((sum(least for least, _ in minutes), sum(most for _, most in minutes)))


_TABLES: dict[str, Callable[[Path], str]] = {
    "exercises": exercise_table,
    "lessons": lesson_table,
    "weeks": week_table,
    "messages": message_list,
}


def _renewed(root: Path) -> dict[Path, tuple[str, str]]:
    """The text of each page that has tables, as it is and as it should be."""
    pages = {}
    for name in ("README.md", "TEACHING.md"):
        path = root / name
        if name == "README.md" or path.is_file():
            text = path.read_text(encoding="utf-8")
            renewed = _TABLE.sub(lambda match: match[1] + _TABLES[match[2]](root) + match[3], text)
            pages[path] = text, renewed
    text, _ = pages[root / "README.md"]
    if "<!-- /exercises -->" not in text or not _TABLE.search(text):
        raise Misuse("README.md has no <!-- exercises --> … <!-- /exercises --> to put a table in.")
    return pages


def stale_tables(root: Path) -> list[str]:
    """A sentence for each page with a table that is not what the notebooks say."""
    return [
        f"{path.name} is stale: a table in it says something else."
        for path, (text, renewed) in _renewed(root).items()
        if text != renewed
    ]


def write_tables(root: Path) -> None:
    for path, (text, renewed) in _renewed(root).items():
        if text != renewed:
            path.write_text(renewed, encoding="utf-8")
