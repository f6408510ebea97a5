"""Look at what this machine has, and say in a line each what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from autograde.errors import BrokenEnvironment

__all__ = ["Finding", "examine"]

_PYTHONS = ((3, 11), (3, 13))
_DISK_NEEDED = 512 * 1024**2
_MEMORY_NEEDED = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. What is not needed for everything may be missing."""

    what: str
    good: bool
    saw: str
    advice: str = ""
    needed: bool = True

    @property
    def mark(self) -> str:
        return "✔" if self.good else ("✘" if self.needed else "–")


def examine(root: Path) -> Iterator[Finding]:
    """Yield a finding for each thing that the course needs."""
    looks: tuple[Callable[[Path], Finding], ...] = (
        _python,
        _environment,
        _sandbox,
        _ports,
        _disk,
        _memory,
        _gradebook,
        _browser,
    )
    for look in looks:
        yield look(root)
    for what, commands, use in (
        ("Redis", ("redis-server", "valkey-server"), "lessons 09 and 10, exercise 16"),
        ("PostgreSQL", ("postgres", "pg_ctl"), "the second half of lesson 08"),
    ):
        yield _server(what, commands, use)


def _python(_: Path) -> Finding:
    here = sys.version_info[:2]
    saw = f"Python {here[0]}.{here[1]} in {sys.prefix}"
    good = _PYTHONS[0] <= here <= _PYTHONS[1]
    return Finding("Python", good, saw, "use Python 3.11, 3.12 or 3.13")


def _environment(root: Path) -> Finding:
    lock = root / "requirements.lock"
    if not lock.is_file():
        return Finding("packages", good=True, saw="no lock to compare with")
    import re
    from importlib.metadata import PackageNotFoundError, version

    from packaging.requirements import Requirement

    different = []
    for line in re.findall(r"(?m)^([\w.-]+==[^\\\n]+)", lock.read_text(encoding="utf-8")):
        wanted = Requirement(line.strip())
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            continue
        if not wanted.specifier.contains(found, prereleases=True):
            different.append(f"{wanted.name} {found}")
    if not different:
        return Finding("packages", good=True, saw="the versions of requirements.lock")
    saw = f"{len(different)} other than in requirements.lock: {', '.join(different[:3])}"
    return Finding(
        "packages", good=False, saw=saw, advice="run make lab or make test, which build .venv"
    )


def _sandbox(_: Path) -> Finding:
    from autograde.walls import sandbox_program

    try:
        program = sandbox_program()
    except BrokenEnvironment as error:
        advice = "check your own work all the same; to grade others', install bubblewrap"
        return Finding("sandbox", good=False, saw=str(error), advice=advice)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return Finding("sandbox", good=True, saw=f"{said.stdout.strip()} starts")


def _ports(_: Path) -> Finding:
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=5),
        ):
            pass
    except OSError as error:
        advice = "let programs listen on 127.0.0.1: a firewall or a container forbids it"
        return Finding("ports", good=False, saw=f"127.0.0.1: {error.strerror}", advice=advice)
    return Finding("ports", good=True, saw="a server on 127.0.0.1 answers")


def _disk(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    saw = f"{free / 1024**3:.1f} GiB free"
    return Finding("disk", free >= _DISK_NEEDED, saw, "make room: half a GiB at least")


def _memory(_: Path) -> Finding:
    import psutil

    free = psutil.virtual_memory().available
    saw = f"{free / 1024**3:.1f} GiB free, {os.cpu_count()} processors"
    return Finding("memory", free >= _MEMORY_NEEDED, saw, "close something: 2 GiB at least")


def _gradebook(root: Path) -> Finding:
    folder = root / "classroom"
    path = folder / "gradebook.db"
    if not path.exists():
        here = folder if folder.is_dir() else root
        good = os.access(here, os.W_OK)
        advice = f"make {here} writable, or copy the course to where you may write"
        return Finding("gradebook", good, "none yet", advice, needed=False)
    import sqlite3

    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=2)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        advice = "close what else has it open: a formgrader, or another grading"
        return Finding("gradebook", good=False, saw=str(error), advice=advice)
    return Finding("gradebook", good=True, saw="can be written")


def _browser(_: Path) -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((name for name in names if shutil.which(name)), None)
    advice = "for `make browser` only: install chromium"
    return Finding("browser", found is not None, found or "none", advice, needed=False)


def _server(what: str, commands: tuple[str, ...], use: str) -> Finding:
    found = next((path for name in commands if (path := shutil.which(name))), None)
    saw = found or "not on the PATH; the one that comes with the packages is used"
    return Finding(what, good=True, saw=saw, advice=use, needed=False)
