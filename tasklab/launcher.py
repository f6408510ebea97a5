"""Where child processes run: on this machine as they are, or behind a wall.

The tests of an exercise say `uvicorn("newsletter:app")`; which launcher is current decides where
that is. Here is the plain one. A grader brings its own, by overriding what is different there.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import psutil

from tasklab.gates import Patience, wait_until

__all__ = ["BenchBroken", "Child", "Launcher", "current_launcher", "use_launcher"]

_KEEPER = Path(__file__).with_name("keeper.py")
# What a Python program needs from its surroundings; everything else of the environment
# (a proxy, a PYTHONPATH, a secret) would make two machines disagree.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")


class BenchBroken(Exception):
    """The bench itself failed: nothing is known about the app."""


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
        return bool(
            self._launcher.request("signal", pid=self.keeper_pid, signal=int(number))
        )


class Launcher:
    """Start processes through a keeper, which ends them all when this process goes away."""

    folder: str | None = None
    """Where programs start; None means the current folder at each start."""
    keeps_nothing = False
    """True if every start gets a fresh copy of the files."""

    def __init__(self, *, warm: Sequence[str] = ()) -> None:
        self._warm = tuple(warm)
        self._replies: queue.Queue[tuple[dict[str, Any], list[int]]] = queue.Queue()
        self._exits: dict[int, int] = {}
        self._one_request = threading.Lock()
        self._ready = threading.Event()
        self._gone = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._last_words = ""
        self.refused: dict[tuple[str, ...], Exception] = {}
        """Starts that failed for good: trying again would only wait again."""

    # -- the keeper ---------------------------------------------------------------------------

    def command(self, descriptor: int) -> list[str]:
        """The keeper's command line, for the control socket with that number."""
        return [sys.executable, str(_KEEPER), *self.keeper_arguments(descriptor)]

    def keeper_arguments(self, descriptor: int) -> list[str]:
        warm = ["--warm", ",".join(self._warm)] if self._warm else []
        return [str(descriptor), *warm]

    def environment(self) -> dict[str, str]:
        """The environment of every process started here, before a start adds its own."""
        return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}

    def start(self) -> Launcher:
        ours, theirs = socket.socketpair()
        self._control = ours
        self._process = subprocess.Popen(
            self.command(theirs.fileno()),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.environment(),
            start_new_session=True,
        )
        theirs.close()
        threading.Thread(target=self._listen, name="keeper", daemon=True).start()
        threading.Thread(target=self._read_last_words, name="keeper stderr", daemon=True).start()
        return self

    def _read_last_words(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        with self._process.stderr as stream:
            while data := stream.read(4096):
                self._last_words = (self._last_words + data.decode(errors="replace"))[-4096:]

    def _listen(self) -> None:
        assert self._control is not None
        buffer, descriptors = b"", list[int]()
        with contextlib.suppress(OSError):
            while True:
                data, more, _, _ = socket.recv_fds(self._control, 1 << 16, 8)
                if not data:
                    break
                descriptors.extend(more)
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    match message.get("event"):
                        case "ready":
                            self._ready.set()
                        case "exit":
                            self._exits[message["pid"]] = message["code"]
                        case _:
                            self._replies.put((message, descriptors))
                            descriptors = []
        self._gone.set()

    def request(self, do: str, *, descriptors: Sequence[int] = (), **fields: Any) -> Any:
        """Ask the keeper; raise BenchBroken if it refuses or is gone."""
        reply, _ = self._exchange(do, descriptors, fields)
        return reply

    def _exchange(
        self, do: str, descriptors: Sequence[int], fields: Mapping[str, Any]
    ) -> tuple[Any, list[int]]:
        assert self._control is not None, "start() comes first"
        data = json.dumps({"do": do, **fields}).encode() + b"\n"
        with self._one_request:
            try:
                if descriptors:
                    # Descriptors travel with the first byte; the rest may need several writes.
                    socket.send_fds(self._control, [data[:1]], list(descriptors))
                    data = data[1:]
                self._control.sendall(data)
            except OSError:
                raise self._broken() from None
            patience = Patience(60.0)
            while True:
                try:
                    message, received = self._replies.get(timeout=0.05)
                    break
                except queue.Empty:
                    if self._gone.is_set() or not patience.pause():
                        raise self._broken() from None
        if "error" in message:
            raise BenchBroken(f"could not {do}: {message['error']}")
        return message["reply"], received

    def _broken(self) -> BenchBroken:
        words = self._last_words.strip().splitlines()
        why = f" ({words[-1]})" if words else ""
        return BenchBroken(f"the process that starts the servers is gone{why}")

    # -- what a server asks for ---------------------------------------------------------------

    def wait_ready(self, within: float = 60.0) -> None:
        wait_until(
            lambda: self._ready.is_set() or self._gone.is_set(), within=within, what="the keeper"
        )
        if not self._ready.is_set():
            raise self._broken()

    def spawn(
        self,
        arguments: Sequence[str],
        *,
        log: int,
        listening: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        """Run `python -m ARGUMENTS`; the listening socket becomes its descriptor 3."""
        request = {
            "arguments": list(arguments) if self._warm else [sys.executable, "-m", *arguments],
            "warm": bool(self._warm),
            "folder": self.start_folder(),
            "environment": {**self.environment(), **(environment or {})},
            **self.restrictions(),
        }
        handed = [log] if listening is None else [log, listening]
        return Child(self, self.request("start", descriptors=handed, **request))

    def start_folder(self) -> str:
        return self.folder or os.getcwd()

    def restrictions(self) -> dict[str, Any]:
        """Limits (names of RLIMIT_*, without the prefix) and the user of a started process."""
        return {}

    def listen(self) -> socket.socket:
        """A listening socket that the started processes can reach on 127.0.0.1."""
        return socket.create_server(("127.0.0.1", 0), backlog=512)

    def _listen_inside(self) -> socket.socket:
        _, descriptors = self._exchange("listen", (), {"host": "127.0.0.1"})
        return socket.socket(fileno=descriptors[0])

    def outside_pid(self, pid: int) -> int:
        return pid

    def exit_code(self, pid: int) -> int | None:
        if pid in self._exits:
            return self._exits[pid]
        return -signal.SIGKILL if self._gone.is_set() else None

    def sweep(self) -> None:
        """Kill whatever the started processes left running."""
        with contextlib.suppress(BenchBroken):
            self.request("sweep")

    def processes(self) -> list[psutil.Process]:
        """Every process alive behind this launcher, the keeper left out."""
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def close(self) -> None:
        """End the keeper and with it all that it started."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Launcher:
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
