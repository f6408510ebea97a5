"""Where child processes run: on this machine as they are, or behind a wall.

The tests of an exercise say `uvicorn("newsletter:app")`; which launcher is current decides where
that is. Here is the plain one. A grader brings its own, by overriding what is different there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self

import psutil

from tasklab.control import BenchBroken, Control

__all__ = ["BenchBroken", "Child", "Launcher", "current_launcher", "use_launcher"]

_KEEPER = Path(__file__).with_name("keeper.py")
# What a Python program needs from its surroundings; everything else of the environment
# (a proxy, a PYTHONPATH, a secret) would make two machines disagree.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")


class Child:
    """One process started by a launcher."""

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self._launcher = launcher
        self.keeper_pid = pid

    @property
    def pid(self) -> int:
        """The process id as this process sees it."""
        return self._launcher.outside_pid(self.keeper_pid)

    @property
    def exit_code(self) -> int | None:
        """None while running; negative for the signal that ended it."""
        return self._launcher.exit_code(self.keeper_pid)

    def send_signal(self, number: int) -> bool:
        """Send a signal; return False if the process is gone."""
        if self.exit_code is not None:
            return False
        control = self._launcher.control
        return bool(control.request("signal", pid=self.keeper_pid, signal=int(number)))

    def end(self) -> None:
        """Kill it and all that it started; return once they are gone."""
        with contextlib.suppress(BenchBroken):
            self._launcher.control.request("end", pid=self.keeper_pid)


class Launcher:
    """Start processes through a keeper, which ends them all when this process goes away."""

    folder: str | None = None
    """Where programs start; None means the current folder at each start."""
    keeps_nothing = False
    """True if every server gets a fresh copy of the files."""

    def __init__(self, *, warm: Sequence[str] = ()) -> None:
        self._warm = tuple(warm)
        self._control: Control | None = None
        self.lingered = False
        """Whether a server here did not end when it was told to: then others will not either."""
        self.refused: dict[tuple[str, ...], Exception] = {}
        """Starts that failed for good: trying again would only wait again."""
        self.starting = 0.0
        """Seconds that servers took here to start, all together; if they did."""

    @property
    def is_warm(self) -> bool:
        """Whether programs start with their imports behind them."""
        return bool(self._warm)

    # -- the keeper ---------------------------------------------------------------------------

    def command(self, descriptor: int) -> list[str]:
        """The keeper's command line, for the control socket with that number."""
        return [sys.executable, str(_KEEPER), *self.keeper_arguments(descriptor)]

    def keeper_arguments(self, descriptor: int) -> list[str]:
        warm = ["--warm", ",".join(self._warm)] if self._warm else []
        return [str(descriptor), *warm]

    def environment(self) -> dict[str, str]:
        """The environment of every process started here, before a start adds its own."""
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # A file that is rewritten within a second, at the same size, looks unchanged to
        # Python's bytecode cache, and the server would run the old one.
        return {**passed_on, "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self) -> Self:
        self._control = Control()
        self._control.start(self.command(self._control.descriptor), self.environment())
        return self

    @property
    def control(self) -> Control:
        assert self._control is not None, "start() comes first"
        return self._control

    # -- what a server asks for ---------------------------------------------------------------

    def wait_ready(self) -> None:
        """Wait for the keeper; raise BenchBroken if it does not come."""
        self.control.wait_ready()

    def spawn(
        self,
        arguments: Sequence[str],
        *,
        folder: str,
        log: int,
        listening: int | None = None,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> Child:
        """Run `python -m ARGUMENTS`; the listening socket becomes its descriptor 3.

        An absolute path as the first argument is a program to be run instead. As root, it runs as
        `user`, if that is given.
        """
        is_program = arguments[0].startswith("/")
        module = [sys.executable, "-m", *arguments] if not self.is_warm else arguments
        request = {
            "arguments": list(arguments if is_program else module),
            "warm": self.is_warm and not is_program,
            "user": user,
            "folder": folder,
            "environment": {**self.environment(), **(environment or {})},
            **self.restrictions(),
        }
        handed = [log] if listening is None else [log, listening]
        return Child(self, self.control.request("start", handed, **request))

    def start_folder(self) -> str:
        """The folder for one server: its files are there, and it may write there."""
        return self.folder or str(Path.cwd())

    def read_answer(self, name: str) -> str:
        """The text of one of the learner's files; raise FileNotFoundError if there is none."""
        return (Path(self.folder or Path.cwd()) / name).read_text(encoding="utf-8")

    def restrictions(self) -> dict[str, Any]:
        """What a started process may use, as {"limits": {NAME: NUMBER}} with names of RLIMIT_*."""
        return {}

    def listen(self) -> socket.socket:
        """A listening socket on 127.0.0.1 as the started processes see it."""
        return socket.create_server(("127.0.0.1", 0), backlog=512)

    def open_socket(self) -> socket.socket:
        """A TCP socket that can be connected to what listen() returned."""
        return socket.socket()

    def outside_pid(self, pid: int) -> int:
        """The process id as this process sees it; raise ProcessLookupError if that is unknown."""
        return pid

    def exit_code(self, pid: int) -> int | None:
        if pid in self.control.exits:
            return self.control.exits[pid]
        return -signal.SIGKILL if self.control.gone else None

    def excess(self, exit_code: int | None = None) -> str:  # noqa: ARG002 - for those with limits
        """Say in words which limit the started processes have run into; empty if none.

        The exit code is that of the server, if it has ended.
        """
        return ""

    def processes(self) -> list[psutil.Process]:
        """Every process alive behind this launcher, the keeper left out."""
        keeper = self.control.process
        if keeper is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                return psutil.Process(keeper.pid).children(recursive=True)
        return []

    def close(self) -> None:
        """End the keeper and with it all that it started."""
        if self._control is not None:
            self._control.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


_current: ContextVar[Launcher | None] = ContextVar("launcher", default=None)


def current_launcher() -> Launcher | None:
    """The launcher that `use_launcher` set, or None: then each server brings its own."""
    return _current.get()


@contextlib.contextmanager
def use_launcher(launcher: Launcher) -> Iterator[Launcher]:
    """Let every server started in this context run behind `launcher`."""
    token = _current.set(launcher)
    try:
        yield launcher
    finally:
        _current.reset(token)
