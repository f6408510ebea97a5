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
from contextlib import contextmanager
from pathlib import Path

import psutil

from tasklab import wait_until

__all__ = ["Lab", "copy_course", "find_processes", "open_lab", "stop_processes"]

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("autograde", "tasklab", "notebooks", "exercises", "solutions")
_ALARMS = ("[E ", "[C ", "| ERROR", "| CRITICAL", "Traceback (most recent call last)")
_START_WITHIN = 90.0
_STOP_WITHIN = 30.0


def copy_course(destination: Path) -> Path:
    """Copy what a learner clones, without what running it leaves and without any output.

    Outputs are committed with the lessons; gone, they cannot be taken for those of a new run.
    """
    for name in FOLDERS:
        leftovers = shutil.ignore_patterns(
            "__pycache__", ".ipynb_checkpoints", "newsletter*.py", "gunicorn.conf.py", "*.log"
        )
        shutil.copytree(ROOT / name, destination / name, ignore=leftovers)
    for path in destination.glob("notebooks/*.ipynb"):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")
    return destination


class Lab:
    """A running JupyterLab, seen from outside: its address and what it logged."""

    def __init__(self, course: Path, url: str, token: str, log: Path) -> None:
        self.course = course
        self.url = url
        self.token = token
        self._log = log

    def address(self, path: str) -> str:
        return f"{self.url}lab/tree/{path}?token={self.token}"

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def alarms(self) -> list[str]:
        """The lines that a terminal would show in red."""
        return [line for line in self.log.splitlines() if any(sign in line for sign in _ALARMS)]


@contextmanager
def open_lab(course: Path, home: Path, mark: str) -> Iterator[Lab]:
    """Run `make lab`'s command until the end of the `with`; it is ended by SIGTERM.

    `mark` goes into the environment, so that find_processes finds what it started.
    """
    home.mkdir()
    token = secrets.token_hex(16)
    runtime = home / "runtime"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")},
        "PYTHONPATH": str(course),  # the copy's tasklab and autograde, also in its kernels
        "HOME": str(home),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "COURSE_WALK": mark,
    }
    command = [
        sys.executable, "-m", "autograde.lab", "--no-browser", "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0", f"--IdentityProvider.token={token}",
    ]  # fmt: skip
    log = home / "lab.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            command, cwd=course, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )

    def find_url() -> str | None:
        assert server.poll() is None, f"JupyterLab did not start:\n{log.read_text()}"
        for path in runtime.glob("jpserver-*.json"):
            text = path.read_text(encoding="utf-8")
            return str(json.loads(text)["url"]) if text.endswith("}") else None
        return None

    try:
        url = wait_until(find_url, within=_START_WITHIN, what="JupyterLab's address")
        assert url is not None
        yield Lab(course, url, token, log)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_STOP_WITHIN)
        finally:
            server.kill()
            server.wait()


def find_processes(mark: str, *folders: Path) -> list[psutil.Process]:
    """Return what carries `mark` in its environment or works in one of the folders.

    A sandbox has an environment of its own, but the copy's path in its command line.
    """
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), process.cwd(), process.environ().get("COURSE_WALK", "")]
            alive = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        traces = (mark, *map(str, folders))
        if alive and any(trace in text for trace in traces for text in told):
            found.append(process)
    return found


def stop_processes(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)
