"""Planting the bug: a source cell holds the fix and the bug side by side.

    ### BEGIN SOLUTION
    tasks.add_task(deliver, issue)
    ### BEGIN BUG
    # tasks.add_task(deliver(issue))
    ### END SOLUTION

The solution keeps the first part; the starter that a learner receives gets the second,
uncommented. A region without a BUG part leaves nothing in the starter.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autograde.errors import Misuse

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Planted", "PlantingError", "check_notebook", "plant", "written_file"]

BEGIN, BUG, END = "BEGIN SOLUTION", "BEGIN BUG", "END SOLUTION"
BEGIN_HIDDEN, END_HIDDEN = "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"

_MARKER = re.compile(rf"\s*### ({BEGIN}|{BUG}|{END}|{BEGIN_HIDDEN}|{END_HIDDEN})\s*")
# What a person types who meant a marker: taken for a comment, it would hand out the solution.
_NEARLY = re.compile(r"\s*#+\s*(BEGIN|END)[\s_-]*(SOLUTION|BUG|HIDDEN)\b", re.IGNORECASE)
_WRITEFILE = re.compile(r"%%writefile (?P<name>\w[\w.-]*)\s*")


class PlantingError(Misuse):
    """A source notebook is malformed; the sentence begins with its file, cell and line."""


class _LineError(Exception):
    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


@dataclass(frozen=True)
class Planted:
    """The two readings of one source cell."""

    solution: str
    starter: str
    regions: int


@dataclass(frozen=True)
class _Line:
    """A line as each of the two readings has it, None where that reading leaves it out."""

    solution: str | None
    starter: str | None


def plant(source: str, where: str) -> Planted:
    """Read the regions of a code cell. `where` names the cell in a PlantingError."""
    try:
        return _read(*_split(source))
    except _LineError as found:
        raise PlantingError(f"{where}, line {found.line}: {found.sentence}") from None


def check_notebook(notebook: dict[str, Any], file: str) -> dict[int, Planted]:
    """Return what is planted in each answer cell of code, by the cell's index.

    `notebook` is a source notebook as plain JSON, each cell's source one string. Raises
    PlantingError for the first malformed cell.
    """
    planted: dict[int, Planted] = {}
    writers: dict[str, int] = {}
    for index, cell in enumerate(notebook["cells"]):
        try:
            _check_hidden(cell)
            if not _is_answer(cell):
                _check_unplanted(cell)
                continue
            planted[index] = _check_answer(cell)
            name = str(written_file(cell["source"]))
            if name in writers:
                raise _LineError(
                    1,
                    f"found a second answer cell that writes {name} (the first is cell "
                    f"{writers[name]}); each answer cell writes a file of its own.",
                )
            writers[name] = index + 1
        except _LineError as found:
            raise PlantingError(
                f"{file}, cell {index + 1}, line {found.line}: {found.sentence}"
            ) from None
    return planted


def written_file(source: str) -> str | None:
    """Return the NAME in the first line `%%writefile NAME`, or None where there is none."""
    match = _WRITEFILE.fullmatch(source.partition("\n")[0])
    return match["name"] if match else None


def _markers(source: str, *, code: bool = True) -> Iterator[tuple[int, str, str]]:
    """Yield the number, text and marker (or "") of each line; raise where code misspells one."""
    for number, line in enumerate(source.split("\n"), start=1):
        match = _MARKER.fullmatch(line)
        if code and not match and _NEARLY.match(line):
            raise _LineError(
                number,
                f"found {line.strip()!r}, which reads like a marker; write one of "
                f"'### {BEGIN}', '### {BUG}', '### {END}', '### {BEGIN_HIDDEN}' and "
                f"'### {END_HIDDEN}', alone on its line.",
            )
        yield number, line, match[1] if match else ""


def _split(source: str) -> tuple[list[_Line], int]:
    """Return the lines of a code cell and the number of its regions."""
    lines: list[_Line] = []
    regions = begun = bug = 0
    indent = ""
    for number, line, marker in _markers(source):
        kept = _Line(None, None)
        if marker in {BEGIN, BUG, END}:
            _check_order(number, marker, begun, bug)
        if marker == BEGIN:
            begun, bug, regions = number, 0, regions + 1
            indent = line[: len(line) - len(line.lstrip())]
        elif marker == BUG:
            bug = number
        elif marker == END:
            begun = bug = 0
        elif bug:
            kept = _Line(None, _uncomment(line, indent, number))
        else:
            kept = _Line(line, None if begun else line)
        lines.append(kept)
    if begun:
        raise _LineError(begun, f"found {BEGIN} without an end; close it with '### {END}'.")
    return lines, regions


def _check_order(number: int, marker: str, begun: int, bug: int) -> None:
    if marker == BEGIN and begun:
        raise _LineError(
            number,
            f"found {BEGIN} inside the region begun on line {begun}; regions do not nest, so "
            f"close that one with '### {END}' first.",
        )
    if marker != BEGIN and not begun:
        raise _LineError(
            number, f"found {marker} outside a region; begin one with '### {BEGIN}' above it."
        )
    if marker == BUG and bug:
        raise _LineError(
            number,
            f"found a second {BUG} in the region begun on line {begun} (the first is on line "
            f"{bug}); a region holds one.",
        )


def _uncomment(line: str, indent: str, number: int) -> str:
    if not line.strip():
        return ""
    if not line.startswith(indent + "#"):
        raise _LineError(
            number,
            f"found {line.strip()!r} in a BUG part; each of its lines is a comment whose '#' "
            f"stands in column {len(indent) + 1}, below its '### {BEGIN}', and '### {END}' comes "
            "after the last.",
        )
    text = line[len(indent) + 1 :].removeprefix(" ").rstrip()
    return indent + text if text else ""


def _read(lines: list[_Line], regions: int) -> Planted:
    return Planted(
        solution="\n".join(line.solution for line in lines if line.solution is not None),
        starter="\n".join(line.starter for line in lines if line.starter is not None),
        regions=regions,
    )


def _is_answer(cell: dict[str, Any]) -> bool:
    nbgrader = cell["metadata"].get("nbgrader", {})
    return cell["cell_type"] == "code" and bool(nbgrader.get("solution"))


def _check_unplanted(cell: dict[str, Any]) -> None:
    for number, _, marker in _markers(cell["source"], code=cell["cell_type"] == "code"):
        if marker in {BEGIN, BUG, END}:
            raise _LineError(
                number,
                f"found {marker} in a cell that is not an answer cell of code; mark the cell as "
                "'Autograded answer' in nbgrader, or take the region out.",
            )


def _check_answer(cell: dict[str, Any]) -> Planted:
    lines, regions = _split(cell["source"])
    planted = _read(lines, regions)
    first_line = cell["source"].partition("\n")[0]
    name = written_file(cell["source"])
    if name is None:
        raise _LineError(
            1,
            f"found {first_line!r} as the first line of an answer cell; write "
            "'%%writefile NAME' there, NAME being a plain file name such as newsletter.py.",
        )
    arrives_solved = bool(cell["metadata"].get("autograde", {}).get("arrives_solved"))
    if not regions and not arrives_solved:
        raise _LineError(
            1,
            f"found no '### {BEGIN}' in an answer cell, so its solution would be handed out; "
            'plant a bug, or say {"autograde": {"arrives_solved": true}} in the cell\'s metadata.',
        )
    if regions and arrives_solved:
        raise _LineError(
            1, "found a planted bug in a cell whose metadata says that it arrives solved."
        )
    if regions and planted.solution == planted.starter:
        raise _LineError(1, "found a bug that equals its solution; the two parts must differ.")
    if name.endswith(".py"):
        _parse([line.solution for line in lines], "solution")
        _parse([line.starter for line in lines], "starter")
    return planted


def _check_hidden(cell: dict[str, Any]) -> None:
    """Raise where a hidden part would show: nbgrader overlooks a lone or misspelt marker."""
    nbgrader = cell["metadata"].get("nbgrader", {})
    is_check = cell["cell_type"] == "code" and nbgrader.get("grade")
    begun = 0
    for number, _, marker in _markers(cell["source"], code=cell["cell_type"] == "code"):
        if marker not in {BEGIN_HIDDEN, END_HIDDEN}:
            continue
        if not is_check or nbgrader.get("solution"):
            raise _LineError(
                number,
                f"found {marker} in a cell that is not a check; mark the cell as 'Autograder "
                "tests' in nbgrader, or take the marker out.",
            )
        if (marker == BEGIN_HIDDEN) == bool(begun):
            expected = END_HIDDEN if begun else BEGIN_HIDDEN
            raise _LineError(
                number, f"found {marker}; write '### {expected}' before the next {marker}."
            )
        begun = number if marker == BEGIN_HIDDEN else 0
    if begun:
        raise _LineError(
            begun, f"found {BEGIN_HIDDEN} without an end; close it with '### {END_HIDDEN}'."
        )


def _parse(lines: list[str | None], reading: str) -> None:
    """Raise where the lines below `%%writefile` are not Python; those left out count as blank."""
    code = "\n".join(["", *(line or "" for line in lines[1:])])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError) as error:
        number = getattr(error, "lineno", None) or 1
        quoted = code.split("\n")[number - 1].strip() if number <= len(lines) else ""
        raise _LineError(
            number,
            f"the {reading} is not Python ({getattr(error, 'msg', error)}) at {quoted!r}; both "
            "the solution and the starter must parse.",
        ) from None
