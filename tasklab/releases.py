"""Environments that hold other releases than this one, made when they are first asked for."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

__all__ = ["OF_2022", "NotInstalled", "environment_with"]

OF_2022 = (
    "fastapi==0.78.0",
    "starlette==0.19.1",
    "uvicorn==0.17.6",
    "gunicorn==20.1.0",
    "pydantic==1.10.27",
    "anyio==3.7.1",
    "asgiref==3.8.1",
    "certifi==2024.8.30",
    "click==8.1.7",
    "h11==0.14.0",
    "httpcore==1.0.6",
    "httpx==0.27.2",
    "idna==3.10",
    "setuptools==75.8.2",  # gunicorn 20.1.0 imports pkg_resources, of which 80 complains
    "sniffio==1.3.1",
    "typing_extensions==4.12.2",
)
"""FastAPI and its servers of the summer of 2022, with all that they need."""

_EXACT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[\w.+!-]+")
_SETTINGS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PIP_REQUIRE_VIRTUALENV": "0",
    "PIP_RETRIES": "1",  # somebody is looking at a cell meanwhile
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_USER": "0",
    "PYTHONUNBUFFERED": "1",
}
_NO_INDEX = re.compile(
    r"NewConnectionError|NameResolutionError|ProxyError|ConnectTimeout|ReadTimeout"
    r"|Max retries exceeded|Connection (refused|reset|aborted)|Network is unreachable"
    r"|\(from versions: none\)"
)
_UNREACHABLE = (
    "{first} and what belongs to it cannot be installed: pip reaches no package index that has "
    "them; check the network and pip's own settings, and run this again."
)
_REFUSED = "{first} and what belongs to it cannot be installed: pip's last words are `{words}`."


class NotInstalled(Exception):
    """The environment cannot be made here; the message is one sentence for a person."""


def environment_with(
    *requirements: str, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Return the Python of an environment with exactly these releases, made if it is not there.

    Each requirement is exact ("fastapi==0.78.0") and nothing is added to them, so that the same
    list makes the same environment next year. It is kept in the user's cache folder. Who asks
    while another process makes it waits for that one. Raises NotInstalled, such as without a
    network. `progress` is told how many of how many packages pip has seen; without one, a
    notebook shows a bar until it is done.
    """
    if wrong := [name for name in requirements if not _EXACT.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is not an exact requirement; write it as 'fastapi==0.78.0'")
    if not requirements:
        raise ValueError("an environment needs at least one requirement, such as 'fastapi==0.78.0'")
    home = _cache_folder() / _name(requirements)
    python = home / "bin" / "python"
    # A Python that was removed since leaves a link that leads nowhere.
    if python.exists():
        return python
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with _alone(home.with_suffix(".lock")) as lock:
            if not python.exists():
                _make(home, requirements, lock, progress)
    except OSError as error:
        first = requirements[0]
        raise NotInstalled(_REFUSED.format(first=first, words=error.strerror)) from None
    return python


def _cache_folder() -> Path:
    import platformdirs

    return platformdirs.user_cache_path("vanishing-tasks") / "releases"


def _name(requirements: Sequence[str]) -> str:
    """Name all that the environment depends on."""
    parts = [sys.version, sys.base_prefix, *sorted(requirements)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return f"{sys.implementation.cache_tag}-{digest}"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[IO[str]]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _make(
    home: Path,
    requirements: Sequence[str],
    lock: IO[str],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Make it under another name first: what has its own name is complete."""
    new = home.with_suffix(".new")
    for leftover in (new, home):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        with contextlib.nullcontext(progress) if progress else _bar() as tell:
            _run([sys.executable, "-I", "-m", "venv", "--without-pip", str(new)], lock)
            command = [sys.executable, "-I", "-m", "pip", "--python", str(new / "bin" / "python")]
            seen = 0
            for line in _lines([*command, "install", "--no-deps", *requirements], lock):
                seen += line.startswith("Collecting ")
                tell(seen, len(requirements))
        new.replace(home)
    except _Failed as failed:
        raise NotInstalled(_explain(requirements[0], failed.said)) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


class _Failed(Exception):
    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


def _run(command: Sequence[str], lock: IO[str]) -> None:
    for _ in _lines(command, lock):
        pass


def _lines(command: Sequence[str], lock: IO[str]) -> Iterator[str]:
    """Run a command and yield what it writes; raise _Failed with all of it if it fails.

    It holds the lock as long as it lives, which may be longer than this process does.
    """
    said = ""
    child = subprocess.Popen(
        command,
        env={**os.environ, **_SETTINGS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[lock.fileno()],
        start_new_session=True,
        text=True,
        errors="replace",
    )
    assert child.stdout is not None
    try:
        for line in child.stdout:
            said += line
            yield line
        child.wait()
    finally:
        child.stdout.close()
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.returncode:
        raise _Failed(said)


def _explain(first: str, said: str) -> str:
    if _NO_INDEX.search(said):
        return _UNREACHABLE.format(first=first)
    words = [line.strip() for line in said.splitlines() if line.strip()] or ["(none)"]
    return _REFUSED.format(first=first, words=words[-1])


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar in a notebook and take it away at the end; elsewhere show nothing."""
    if not _in_notebook():
        yield lambda seen, total: None
        return
    from IPython.display import ProgressBar, clear_output

    bar: ProgressBar | None = None

    def tell(seen: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = ProgressBar(total)  # type: ignore[no-untyped-call]
            bar.display()  # type: ignore[no-untyped-call]
        bar.progress = seen

    try:
        yield tell
    finally:
        if bar is not None:
            clear_output()  # type: ignore[no-untyped-call]


def _in_notebook() -> bool:
    try:
        return hasattr(get_ipython(), "kernel")  # type: ignore[name-defined]
    except NameError:
        return False
