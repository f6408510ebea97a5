"""JupyterLab as `make lab` starts it, on a copy of the course."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tasklab import DeadlinePassed, wait_until

__all__ = [
    "MARK",
    "Lab",
    "copy_course",
    "find_red_lines",
    "open_lab",
    "person_environment",
    "remaining_processes",
]

# An environment variable of everything that one test starts, and of nothing else.
MARK = "COURSE_WALK"

_ROOT = Path(__file__).resolve().parents[2]
_FOLDERS = ("autograde", "tasklab", "notebooks", "exercises", "solutions")
_RED = ("[E ", "[C ", "| ERROR", "| CRITICAL", "Traceback (most recent call last)")
_ASKED_TO_STOP = "received signal 15, stopping"
_START_WITHIN = 90.0
_STOP_WITHIN = 30.0


def copy_course(destination: Path) -> Path:
    """Copy what a learner clones, without what running it leaves and without any output.

    Lessons are committed with their outputs: gone, they cannot be taken for those of a new run.
    """
    leftovers = shutil.ignore_patterns(
        "__pycache__", ".ipynb_checkpoints", "newsletter*.py", "gunicorn.conf.py", "*.log"
    )
    for name in _FOLDERS:
        shutil.copytree(_ROOT / name, destination / name, ignore=leftovers)
    for path in destination.glob("notebooks/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")
    return destination


def person_environment() -> dict[str, str]:
    """Return the environment variables of somebody who is new to Jupyter."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "IPYTHON", "XDG_"))
    }


def find_red_lines(terminal: Path) -> list[str]:
    """Return what a terminal shows in red, apart from the word that it was asked to stop."""
    lines = terminal.read_text(encoding="utf-8", errors="replace").splitlines()
    red = [line for line in lines if any(sign in line for sign in _RED)]
    return [line for line in red if _ASKED_TO_STOP not in line]


class Lab:
    """A JupyterLab that runs, or has run: its address, and what it wrote into the terminal."""

    def __init__(self, url: str, token: str, terminal: Path) -> None:
        self._url = url
        self._token = token
        self._terminal = terminal

    def address(self, path: str) -> str:
        return f"{self._url}lab/tree/{path}?token={self._token}"

    @property
    def red_lines(self) -> list[str]:
        return find_red_lines(self._terminal)


@contextmanager
def open_lab(course: Path, home: Path, mark: str) -> Iterator[Lab]:
    """Run what `make lab` runs, from the course's folder and for a user who is new to Jupyter."""
    runtime = home / "runtime"
    terminal = home / "terminal.log"
    home.mkdir()
    environment = {
        **person_environment(),
        "PYTHONPATH": str(course),  # its kernels, too, take tasklab and autograde from the copy
        "HOME": str(home),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        MARK: mark,
    }
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "autograde.lab", "--no-browser", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0", f"--IdentityProvider.token={token}",
    ]  # fmt: skip
    with terminal.open("wb") as file:
        server = subprocess.Popen(
            command, cwd=course, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )

    def find_url() -> str:
        assert server.poll() is None, f"JupyterLab did not start:\n{terminal.read_text()}"
        for path in runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(path.read_text(encoding="utf-8"))["url"])
            except ValueError:
                return ""  # half-written
        return ""

    try:
        url = wait_until(find_url, within=_START_WITHIN, what="JupyterLab's address")
        yield Lab(url, token, terminal)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_STOP_WITHIN)
        finally:
            server.kill()
            server.wait()


def find_processes(mark: str, folder: Path) -> list[psutil.Process]:
    """Return what carries `mark` in its environment, or has to do with `folder`.

    A sandbox has an environment of its own, but the keeper's path in its command line.
    """
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK) == mark
            near = any(str(folder) in word for word in (process.cwd(), *process.cmdline()))
            if (marked or near) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue  # it ended meanwhile, or is another user's
    return found


def remaining_processes(mark: str, folder: Path) -> list[str]:
    """Give what the test started a while to end; return, and end, what is still there then."""
    with suppress(DeadlinePassed):
        wait_until(lambda: not find_processes(mark, folder), within=20)
    left = find_processes(mark, folder)
    told = [" ".join(process.cmdline()) for process in left]
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    return told
