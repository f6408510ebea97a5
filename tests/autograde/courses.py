"""A tiny course in a temporary folder: one exercise, which the real engine grades."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "01-no-letter"
FIX = '    tasks.add_task(deliver, issue["number"])'

ANSWER = """\
%%writefile newsletter.py
import os

import httpx
from fastapi import BackgroundTasks, FastAPI

app = FastAPI()


def deliver(number):
    url = os.environ["MAILROOM_URL"] + "/letters"
    httpx.post(url, json={"to": "ada@example.org", "issue": number})


@app.get("/health")
def health():
    return "ok"


@app.post("/issues", status_code=202)
def publish(issue: dict, tasks: BackgroundTasks):
    ### BEGIN SOLUTION
    tasks.add_task(deliver, issue["number"])
    ### BEGIN BUG
    # # Nobody sees to the letter.
    #
    # if issue:
    #     pass
    ### END SOLUTION
    return {"accepted": True}
"""

SETUP = """\
from tasklab import Mailroom, check, hidden_check, uvicorn
"""

HEALTH = """\
with check("health-answers", look="the log") as found:
    with uvicorn("newsletter:app") as server:
        answer = server.get("/health")
    found.expect(answer.status_code == 200, saw=f"{answer.status_code}", expected="200")
    found.passes("200 from /health")
"""

LETTER = """\
hidden_check("letter-arrives")
### BEGIN HIDDEN TESTS
SECRET_NUMBER = 4711
with check("letter-arrives", look="lesson 00") as found:
    with Mailroom() as mailroom, uvicorn("newsletter:app", mailroom=mailroom) as server:
        server.post("/issues", json={"number": SECRET_NUMBER})
        # Uvicorn ends after its background tasks, so nothing more can arrive.
        server.terminate()
        server.wait()
        count = len(mailroom.delivered)
    found.expect(count == 1, saw=f"{count} letters", expected="1 letter")
    found.passes("1 letter")
### END HIDDEN TESTS
"""


def code(source: str, name: str = "", **nbgrader: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 3,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": ["seen\n"]}],
        **_cell(source, name, "code", nbgrader),
    }


def markdown(source: str, name: str = "", **nbgrader: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", **_cell(source, name, "markdown", nbgrader)}


def _cell(source: str, name: str, cell_type: str, nbgrader: dict[str, Any]) -> dict[str, Any]:
    flags = {"solution": False, "grade": False, "locked": False, "task": False}
    metadata: dict[str, Any] = {}
    if name:
        metadata["nbgrader"] = {
            **flags,
            **nbgrader,
            "grade_id": name,
            "schema_version": 3,
            "cell_type": cell_type,
        }
    return {"source": source.splitlines(keepends=True), "metadata": metadata}


def answer(source: str = ANSWER, name: str = "answer-newsletter") -> dict[str, Any]:
    return code(source, name, solution=True)


def check_cell(source: str, name: str, points: float) -> dict[str, Any]:
    return code(source, name, grade=True, locked=True, points=points)


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {
        "cells": [
            {**cell, "id": cell.get("id", f"cell-{number}")}
            for number, cell in enumerate(cells, start=1)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def exercise() -> dict[str, Any]:
    return notebook(
        markdown("# No letter\n\nThe server says 202."),
        code("print('observe')"),
        answer(),
        code(SETUP, "checks-setup", locked=True),
        check_cell(HEALTH, "health-answers", 2),
        check_cell(LETTER, "letter-arrives", 3),
        markdown("Because the task is attached.", "own-words", solution=True, grade=True, points=0),
    )


def find(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the cell with this grade_id."""
    found: dict[str, Any] = next(
        cell
        for cell in content["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == name
    )
    return found


@dataclass
class Course:
    """The course's folder, and short ways to put files into it."""

    root: Path

    def source(self, content: dict[str, Any], name: str = NAME) -> Path:
        return self._write(self.root / "solutions" / name / f"{name}.ipynb", content)

    def read_source(self) -> dict[str, Any]:
        return self._read(self.root / "solutions" / NAME / f"{NAME}.ipynb")

    def starter(self, name: str = NAME) -> dict[str, Any]:
        return self._read(self.root / "exercises" / name / f"{name}.ipynb")

    def submit(self, student: str, content: dict[str, Any] | bytes) -> Path:
        path = self.root / "classroom" / "submitted" / student / NAME / f"{NAME}.ipynb"
        if isinstance(content, bytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            return path
        return self._write(path, content)

    @property
    def db_url(self) -> str:
        return f"sqlite:///{self.root / 'classroom' / 'gradebook.db'}"

    def nbgrader(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the nbgrader command in a folder inside the course, with its installed settings."""
        settings = self.root / "etc"
        settings.mkdir(exist_ok=True)
        (settings / "nbgrader_config.py").write_text(
            "from pathlib import Path\n"
            "from autograde.nbgrader_config import configure\n"
            f"configure(get_config(), Path({str(self.root)!r}))\n",
            encoding="utf-8",
        )
        # The settings installed with this environment are those of the course around these tests.
        chosen = {"JUPYTER_CONFIG_DIR": str(settings), "JUPYTER_PREFER_ENV_PATH": "0"}
        return subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=self.root / "solutions" / NAME,
            env={**os.environ, **chosen},
            capture_output=True,
            text=True,
        )

    def fix(self, *, wrong: bool = False) -> dict[str, Any]:
        """Return the starter as a learner hands it in: mended, or with another bug."""
        content = self.starter()
        cell = find(content, "answer-newsletter")
        fix = FIX.replace("deliver", "print") if wrong else FIX
        old = "    # Nobody sees to the letter.\n\n    if issue:\n        pass"
        cell["source"] = "".join(cell["source"]).replace(old, fix)
        assert fix in cell["source"]
        return content

    @staticmethod
    def _write(path: Path, content: dict[str, Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return path

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
