"""A teacher and students with a folder each, and nbgrader's own exchange between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.autograde.courses import NAME, Course

__all__ = ["Classroom", "Student"]

_RED = ("Traceback (most recent call last)", "[ERROR]", "[CRITICAL]")


@dataclass
class Classroom:
    """A course, the exchange beside it, and the folders of those who use it."""

    course: Course
    folder: Path

    @property
    def exchange(self) -> Path:
        return self.folder / "exchange"

    @property
    def outbound(self) -> Path:
        return self.exchange / "vanishing-tasks" / "outbound" / NAME

    @property
    def inbound(self) -> list[Path]:
        """What was handed in and is in the exchange, oldest first."""
        found = (self.exchange / "vanishing-tasks" / "inbound").glob("*+*+*")
        return sorted(found, key=lambda path: path.name.split("+")[2])

    def set(self, *lines: str) -> None:
        """Write the teacher's own settings."""
        path = self.course.root / "nbgrader_config.py"
        path.write_text("\n".join(["c = get_config()", *lines, ""]), encoding="utf-8")

    def teach(self, *arguments: str) -> str:
        """Run an nbgrader command in the course's folder."""
        return self.run("nbgrader", *arguments, folder=self.course.root, home=self.folder)

    def grade(self, grader: str, *again: str) -> None:
        """Grade what was collected, by `nbgrader autograde` or by `autograde grade`.

        The latter sees by itself what is to be graded `again`.
        """
        if grader == "nbgrader":
            self.teach("autograde", NAME, *again)
            return
        told = self.run(
            "autograde", "grade", folder=self.course.root, home=self.folder, codes=(0, 1)
        )
        assert "0 broken" in told, told

    def release(self) -> None:
        self.teach("generate_assignment", NAME, "--force")
        self.teach("release_assignment", NAME, "--force")

    def give_back(self) -> None:
        self.teach("generate_feedback", NAME, "--force")
        self.teach("release_feedback", NAME)

    def run(
        self, module: str, *arguments: str, folder: Path, home: Path, codes: tuple[int, ...] = (0,)
    ) -> str:
        """Run a command as a person of this class; return all that it said."""
        command = [sys.executable, "-m", module, *arguments]
        return self._start(command, folder=folder, home=home, codes=codes)

    def shell(self, text: str) -> str:
        """Run lines of a shell in the course's folder, up to the first one that fails."""
        command = ["bash", "-ec", text]
        return self._start(command, folder=self.course.root, home=self.folder, codes=(0,))

    def _start(
        self, command: list[str], *, folder: Path, home: Path, codes: tuple[int, ...]
    ) -> str:
        settings = self.folder / "etc"
        settings.mkdir(exist_ok=True)
        (settings / "nbgrader_config.py").write_text(
            "from pathlib import Path\n"
            "from autograde.nbgrader_config import configure\n"
            "c = get_config()\n"
            f"configure(c, Path({str(self.course.root)!r}))\n"
            f"c.Exchange.root = {str(self.exchange)!r}\n"
            # Here all the people have one account, and --student tells them apart.
            "c.ExchangeCollect.check_owner = False\n",
            encoding="utf-8",
        )
        chosen = {
            "JUPYTER_CONFIG_DIR": str(settings),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_PREFER_ENV_PATH": "0",
        }
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **chosen},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode in codes, done.stdout
        assert not any(sign in done.stdout for sign in _RED), done.stdout
        return done.stdout


@dataclass
class Student:
    """One who has nothing of the course but what the exchange hands out."""

    name: str
    classroom: Classroom

    @property
    def home(self) -> Path:
        return self.classroom.folder / "home" / self.name

    @property
    def notebook(self) -> Path:
        return self.home / NAME / f"{NAME}.ipynb"

    @property
    def feedback(self) -> list[str]:
        """The pages fetched, oldest submission first."""
        pages = sorted((self.home / NAME / "feedback").glob(f"*/{NAME}.html"))
        return [page.read_text(encoding="utf-8") for page in pages]

    def nbgrader(self, *arguments: str) -> str:
        self.home.mkdir(parents=True, exist_ok=True)
        return self.classroom.run("nbgrader", *arguments, folder=self.home, home=self.home)

    def fetch(self) -> str:
        return self.nbgrader("fetch_assignment", NAME)

    def hand_in(self, content: dict[str, Any]) -> Path:
        """Save the notebook and submit it; return where it lies in the exchange."""
        self.notebook.write_text(json.dumps(content, indent=1), encoding="utf-8")
        # What running the notebook leaves is no part of the answer.
        (self.notebook.parent / "newsletter.py").write_text("left = 1\n", encoding="utf-8")
        before = set(self.classroom.inbound)
        self.nbgrader("submit", NAME, "--student", self.name)
        (new,) = set(self.classroom.inbound) - before
        assert new.name.startswith(f"{self.name}+{NAME}+")
        assert (new / f"{NAME}.ipynb").read_bytes() == self.notebook.read_bytes()
        assert not (new / "newsletter.py").exists()
        return new

    def fetch_feedback(self) -> None:
        self.nbgrader("fetch_feedback", NAME, "--student", self.name)
