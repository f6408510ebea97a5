"""Read notebooks as plain JSON: nbformat alone takes longer to import than a check takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from autograde.errors import Misuse

__all__ = [
    "LARGEST_NOTEBOOK",
    "grading_metadata",
    "parse_notebook",
    "read_notebook",
    "source_of",
    "split_writefile",
    "without_hidden_tests",
]

LARGEST_NOTEBOOK = 20 * 1024 * 1024
_EMPTY_LINES = re.compile(r"\A(?:[ \t]*\r?\n)+")
_WRITEFILE = re.compile(r"%%(?:write)?file[ \t]+(\S+)[ \t]*$")
_HIDDEN = re.compile(
    r"^[^\n]*BEGIN HIDDEN TESTS[^\n]*\n.*?^[^\n]*END HIDDEN TESTS[^\n]*(?:\n|\Z)",
    re.DOTALL | re.MULTILINE,
)


def read_notebook(path: Path) -> dict[str, Any]:
    """Return the notebook as a dict; raise Misuse if it is none."""
    try:
        if path.stat().st_size > LARGEST_NOTEBOOK:
            found = f"{path.stat().st_size / 1024**2:.0f} MiB"
            raise Misuse(
                f"{path.name} has {found}; a notebook here has at most 20 MiB: "
                "clear its outputs and save it again."
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise Misuse(f"There is no notebook {path.name} in {path.parent}.") from None
    except OSError as error:
        raise Misuse(f"{path.name} cannot be read: {error.strerror}.") from None
    return parse_notebook(data, path.name)


def parse_notebook(data: bytes, name: str) -> dict[str, Any]:
    """Return the notebook in these bytes; raise Misuse, which calls it `name`, if there is none."""
    advice = "open it in JupyterLab and save it again, or start from a fresh copy"
    try:
        notebook = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Misuse(
            f"{name} is not a notebook: byte {error.start} is not UTF-8; {advice}."
        ) from None
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Misuse(f"{name} is not a notebook: it is not JSON{place}; {advice}.") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(_is_cell(cell) for cell in cells):
        raise Misuse(f"{name} is JSON but not a notebook: it has no list of cells; {advice}.")
    return dict(notebook)


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("metadata", {}), dict):
        return False
    if not isinstance(cell.get("cell_type"), str):
        return False
    source = cell.get("source", "")
    return isinstance(source, str) or (
        isinstance(source, list) and all(isinstance(line, str) for line in source)
    )


def source_of(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def grading_metadata(cell: dict[str, Any]) -> dict[str, Any]:
    """The cell's nbgrader metadata; empty if it has none, or none that makes sense."""
    metadata = cell.get("metadata", {}).get("nbgrader")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("grade_id"), str):
        return {}
    return metadata


def split_writefile(source: str) -> tuple[str | None, str]:
    """Split an answer cell into the file name on its `%%writefile` line and the file's text.

    Like IPython, overlook empty lines before it. The name is None if there is no such line, or
    if it says something else; the text never has a `%%` line at its head.
    """
    written = _EMPTY_LINES.sub("", source)
    first, _, rest = written.partition("\n")
    if match := _WRITEFILE.match(first.rstrip("\r")):
        return match.group(1), rest
    if first.lstrip().startswith("%%"):
        return None, rest
    return None, source


def without_hidden_tests(source: str) -> str:
    return _HIDDEN.sub("", source).rstrip("\n")
