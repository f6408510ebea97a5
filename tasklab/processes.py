"""Real servers as child processes: uvicorn and gunicorn, with their log, workers and exits."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

import psutil

from tasklab.client import Client
from tasklab.gates import DeadlinePassed, Patience, wait_until
from tasklab.launcher import Child, Launcher, current_launcher
from tasklab.logs import Log

if TYPE_CHECKING:
    from tasklab.mailroom import Mailroom

__all__ = ["ServerDidNotStart", "ServerProcess", "gunicorn", "uvicorn", "watch_starts"]

_START_WITHIN = 10.0
_STOP_WITHIN = 10.0
_TAIL = 6


_started: ContextVar[list[ServerProcess] | None] = ContextVar("started", default=None)


@contextlib.contextmanager
def watch_starts(servers: list[ServerProcess]) -> Iterator[None]:
    """Append every server that is started in this context to `servers`."""
    token = _started.set(servers)
    try:
        yield
    finally:
        _started.reset(token)


class ServerDidNotStart(Exception):
    """The server ended, or accepted no connection, before it was ready; carries its last lines."""

    def __init__(self, name: str, how: str, last_lines: str) -> None:
        shown = f"\n{last_lines}" if last_lines else "\n(it wrote nothing)"
        super().__init__(f"{name} {how}. Its last lines:{shown}")
        self.how = how
        self.last_lines = last_lines


class ServerProcess(Client):
    """A server in a process of its own. Use it in a `with`, or call start() and stop()."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        mailroom: Mailroom | None = None,
        env: Mapping[str, str] | None = None,
        start_within: float = _START_WITHIN,
    ) -> None:
        self.name = name
        self.log = Log()
        self.mailroom = mailroom
        self._arguments = tuple(arguments)
        self._environment = dict(env or {})
        self._start_within = start_within
        self._launcher: Launcher | None = None
        self._owns_launcher = False
        self._listening: socket.socket | None = None
        self._knock: socket.socket | None = None
        self._child: Child | None = None

    # -- start ----------------------------------------------------------------------------------

    def start(self) -> ServerProcess:
        """Start and return once it accepts connections; raise ServerDidNotStart otherwise."""
        try:
            self._begin()
            self._wait_ready()
        except BaseException:
            self.stop(patience=1.0)
            raise
        return self

    def run(self, within: float = _START_WITHIN) -> int:
        """Let a command that serves nothing, such as `--print-config`, end; return its exit code.

        What it wrote is in the log. Raises DeadlinePassed if it goes on.
        """
        try:
            self._begin()
            return self.wait(within)
        finally:
            self.stop(patience=1.0)

    def _begin(self) -> None:
        watching = _started.get()
        if watching is not None:
            watching.append(self)
        launcher = current_launcher()
        if launcher is None:
            launcher, self._owns_launcher = Launcher().start(), True
        self._launcher = launcher
        if refused := launcher.refused.get(self._arguments):
            raise refused
        launcher.wait_ready()
        self._spawn(launcher)

    def _spawn(self, launcher: Launcher) -> None:
        # Bound here and handed down: no port is free one moment and taken the next.
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = "http://127.0.0.1:{}".format(self._listening.getsockname()[1])
        environment = dict(self._environment)
        if self.mailroom is not None:
            environment.setdefault("MAILROOM_URL", self.mailroom.url)
        read, write = os.pipe()
        self.log.read_from(read)
        try:
            self._child = launcher.spawn(
                self._arguments,
                log=write,
                listening=self._listening.fileno(),
                environment=environment,
            )
        finally:
            os.close(write)

    def _wait_ready(self) -> None:
        patience = Patience(self._start_within)
        while not self._accepts():
            if self.exit_code is not None:
                self.log.finish()
                raise self._did_not_start(f"ended with exit code {self.exit_code}")
            if not patience.pause():
                how = f"accepted no connection within {self._start_within:g} s"
                error = self._did_not_start(how)
                assert self._launcher is not None
                if self._launcher.keeps_nothing:
                    self._launcher.refused[self._arguments] = error
                raise error

    def _did_not_start(self, how: str) -> ServerDidNotStart:
        return ServerDidNotStart(self.name, how, self.log.tail(_TAIL))

    def _accepts(self) -> bool:
        """Whether the server has taken a connection from its queue since the last time."""
        assert self._listening is not None
        if sys.platform != "linux":
            return self.ask("HEAD", "/").wait(within=0.5)
        # On a listening socket tcpi_unacked is the number of connections that wait to be
        # accepted (tcp_get_info in the Linux source), so an empty queue after a connection means
        # that somebody took it. It costs the app no request.
        if self._knock is None:
            self._knock = socket.create_connection(self._listening.getsockname(), timeout=5)
        information = self._listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        (waiting,) = struct.unpack_from("I", information, 24)
        if waiting:
            return False
        self._knock.close()
        return True

    # -- evidence -------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process id of the server that was started: the master, where there are workers."""
        assert self._child is not None, "start() comes first"
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """None while running; negative for the signal that ended it."""
        return None if self._child is None else self._child.exit_code

    @property
    def workers(self) -> list[int]:
        """The process ids of its children that live, oldest first."""
        if self._child is None:
            return []
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.pid).children()
            alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
            return [child.pid for child in sorted(alive, key=psutil.Process.create_time)]
        return []

    # -- end ------------------------------------------------------------------------------------

    def send_signal(self, number: int) -> None:
        """Send a signal to the server that was started (not to its workers)."""
        if self._child is not None:
            self._child.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM, as a deploy does, and return at once."""
        self.send_signal(signal.SIGTERM)

    def wait(self, within: float = _STOP_WITHIN) -> int:
        """Return the exit code once it has ended; raise DeadlinePassed otherwise."""
        wait_until(
            lambda: self.exit_code is not None, within=within, what=f"the end of {self.name}"
        )
        self.log.finish()
        assert self.exit_code is not None
        return self.exit_code

    def stop(self, patience: float = _STOP_WITHIN) -> None:
        """End it: SIGTERM, wait, SIGKILL to it and to everything that it started."""
        if self._launcher is None:
            return
        try:
            if self._child is not None and self.exit_code is None:
                self.terminate()
                # Not wait(): what it left running may hold its log open until the sweep.
                with contextlib.suppress(DeadlinePassed):
                    wait_until(lambda: self.exit_code is not None, within=patience)
            self._launcher.sweep()
            if self._child is not None:
                with contextlib.suppress(DeadlinePassed):
                    self.wait(5.0)
        finally:
            if self._owns_launcher:
                self._launcher.close()
            self._launcher = None
            if self._listening is not None:
                self._listening.close()
            if self._knock is not None:
                self._knock.close()
            self._close_http()

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a failure nothing is learnt from a graceful end, and the reader waits for it.
        self.stop(patience=_STOP_WITHIN if kind is None else 1.0)

    def __repr__(self) -> str:
        if self._child is None:
            return f"<{self.name}: not started>"
        if self.exit_code is not None:
            return f"<{self.name}: ended with exit code {self.exit_code}>"
        return f"<{self.name}: process {self.pid} at {self.url}>"


def uvicorn(
    target: str,
    *,
    mailroom: Mailroom | None = None,
    workers: int | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float = _START_WITHIN,
) -> ServerProcess:
    """Serve `target` ("newsletter:app", a module in the current folder) with uvicorn."""
    several = ["--workers", str(workers)] if workers else []
    return ServerProcess(
        "uvicorn",
        ["uvicorn", target, "--fd", "3", *several, *arguments],
        mailroom=mailroom,
        env=env,
        start_within=start_within,
    )


def gunicorn(
    target: str,
    *,
    mailroom: Mailroom | None = None,
    config: str | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float = _START_WITHIN,
) -> ServerProcess:
    """Serve `target` with gunicorn and, if given, the settings file `config`."""
    settings = ["--config", config] if config else []
    # The control socket would be a file in the user's home, one for all that run.
    settings += ["--no-control-socket", "--bind", "fd://3"]
    return ServerProcess(
        "gunicorn",
        ["gunicorn", target, *settings, *arguments],
        mailroom=mailroom,
        env=env,
        start_within=start_within,
    )


