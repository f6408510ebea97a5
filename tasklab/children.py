"""Real programs as child processes, with their log, their workers and their exits."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Self

import psutil

from tasklab.gates import DeadlinePassed, Patience, comes_true, wait_until
from tasklab.launcher import Child, Launcher, current_launcher
from tasklab.logs import Log

__all__ = ["ChildProcess", "ServerDidNotStart", "watch_starts"]

_START_WITHIN = 30.0
# With its imports behind it a server starts in a tenth of a second.
_WARM_START_WITHIN = 10.0
# A start is mostly imports: it wants a processor all the while.
_LEAST_SHARE = 1 / 8
_STOP_WITHIN = 10.0
_LINGERED_WITHIN = 1.0
_ENDING_WITHIN = 1.0

_started: ContextVar[list[ChildProcess] | None] = ContextVar("started", default=None)


@contextlib.contextmanager
def watch_starts(children: list[ChildProcess]) -> Iterator[None]:
    """Append every child process that is started in this context to `children`."""
    token = _started.set(children)
    try:
        yield
    finally:
        _started.reset(token)


class ServerDidNotStart(Exception):
    """A program ended, or was not ready in time; carries its last lines."""

    def __init__(self, name: str, how: str, last_lines: str) -> None:
        shown = f"\n{last_lines}" if last_lines else "\n(it wrote nothing)"
        super().__init__(f"{name} {how}. Its last lines:{shown}")
        self.how = how
        self.last_lines = last_lines


class ChildProcess:
    """A program in a process of its own. Use it in a `with`, or call start() and stop()."""

    _until_ready = "was not ready"

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        start_within: float | None = None,
    ) -> None:
        self.name = name
        self.log = Log()
        self._arguments = tuple(arguments)
        self._environment = dict(env or {})
        self._start_within = start_within
        self.remarks: list[str] = []
        """What stood out when a start or a check failed, before the program was ended."""
        self._launcher: Launcher | None = None
        self._owns_launcher = False
        self._folder: tuple[Launcher, str] | None = None
        self._child: Child | None = None

    # -- what differs from kind to kind ---------------------------------------------------------

    def _prepare(self, launcher: Launcher) -> int | None:
        """Get ready for a start; return the descriptor that it is to inherit as its third."""

    def _surroundings(self) -> dict[str, str]:
        """The environment that this start adds to the launcher's."""
        return dict(self._environment)

    def _start_folder(self, launcher: Launcher) -> str:
        return launcher.start_folder()

    def _is_ready(self) -> bool:
        """Whether it does what it was started for."""
        return True

    def _run(self, launcher: Launcher, folder: str, log: int, inherited: int | None) -> Child:
        return launcher.spawn(
            self._arguments,
            folder=folder,
            log=log,
            listening=inherited,
            environment=self._surroundings(),
        )

    def _release(self) -> None:
        """Give back what a start took, once the process has ended."""

    # -- start ----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start and return once it is ready; raise ServerDidNotStart otherwise.

        One that was stopped starts again in the folder where it was.
        """
        began = time.monotonic()
        try:
            launcher = self._begin()
            self._wait_ready(launcher)
            launcher.starting += time.monotonic() - began
        except BaseException:
            self._remark()
            self.stop(patience=0.0)
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
            self.stop(patience=0.0)

    def _begin(self) -> Launcher:
        self.stop()
        self.log, self.remarks, self._child = Log(), [], None
        watching = _started.get()
        if watching is not None:
            watching.append(self)
        launcher = current_launcher()
        self._owns_launcher = launcher is None
        self._launcher = launcher = launcher or Launcher()
        if refused := launcher.refused.get(self._sort()):
            raise refused
        if self._owns_launcher:
            launcher.start()
        launcher.wait_ready()
        self._spawn(launcher)
        return launcher

    def _sort(self) -> tuple[str, ...]:
        """What tells apart starts that may end differently."""
        return (*self._arguments, *(f"{name}={value}" for name, value in self._environment.items()))

    def _spawn(self, launcher: Launcher) -> None:
        if self._folder is None or self._folder[0] is not launcher:
            self._folder = launcher, self._start_folder(launcher)
        inherited = self._prepare(launcher)
        read, write = os.pipe()
        self.log.read_from(read)
        try:
            self._child = self._run(launcher, self._folder[1], write, inherited)
        finally:
            os.close(write)

    def _wait_ready(self, launcher: Launcher) -> None:
        within = self._start_within
        if within is None:
            within = _WARM_START_WITHIN if launcher.is_warm else _START_WITHIN
        patience = Patience(within, work=True, least_share=_LEAST_SHARE)
        while not self._is_ready():
            if self.exit_code is not None:
                self.log.finish()
                raise self._did_not_start(_told(self.exit_code), launcher)
            if not patience.pause():
                how = f"{self._until_ready} within {within:g} s"
                error = self._did_not_start(how, launcher)
                if launcher.keeps_nothing:
                    launcher.refused[self._sort()] = error
                raise error

    def _did_not_start(self, how: str, launcher: Launcher) -> ServerDidNotStart:
        if excess := launcher.excess(self.exit_code):
            how = f"{how}; {excess}"
        return ServerDidNotStart(self.name, how, self.log.last_words())

    # -- evidence -------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process id of the program that was started: the master, where there are workers."""
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
        found = []
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            for child in psutil.Process(self.pid).children():
                with contextlib.suppress(psutil.Error):
                    if child.status() != psutil.STATUS_ZOMBIE and not _is_tracker(child):
                        found.append((child.create_time(), child.pid))
        return [pid for _, pid in sorted(found)]

    # -- end ------------------------------------------------------------------------------------

    def send_signal(self, number: int) -> None:
        """Send a signal to the program that was started (not to its workers)."""
        if self._child is not None:
            self._child.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM, as a deploy does, and return at once."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started, as when the power is cut.

        Unlike stop(), which comes after it, this leaves what a next start() finds.
        """
        # A parent that still runs could replace a child that is already dead.
        self.send_signal(signal.SIGSTOP)
        if self._child is not None and self._launcher is not None:
            self._child.end()
            self.log.finish()

    def wait(self, within: float = _STOP_WITHIN) -> int:
        """Return the exit code once it has ended; raise DeadlinePassed otherwise."""
        wait_until(
            lambda: self.exit_code is not None, within=within, what=f"the end of {self.name}"
        )
        if self._launcher is not None:
            self.log.finish()
        assert self.exit_code is not None
        return self.exit_code

    def stop(self, patience: float = _STOP_WITHIN) -> None:
        """End it: SIGTERM, wait, SIGKILL to it and to everything that it started."""
        launcher = self._launcher
        if launcher is None:
            return
        try:
            if self._child is not None:
                if patience and self.exit_code is None:
                    self._let_end(launcher, patience)
                self._child.end()
                self.log.finish()
        finally:
            self._launcher = None
            if self._owns_launcher:
                launcher.close()
            self._release()

    def _let_end(self, launcher: Launcher, patience: float) -> None:
        self.terminate()
        try:
            self.wait(_LINGERED_WITHIN if launcher.lingered else patience)
        except DeadlinePassed:
            launcher.lingered = launcher.keeps_nothing

    def _remark(self) -> None:
        if self._launcher is None or self._child is None:
            return
        if self.exit_code is not None:
            self.remarks.append(f"{self.name} had {_told(self.exit_code)}")
        if excess := self._launcher.excess(self.exit_code):
            self.remarks.append(f"{self.name}'s app: {excess}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End it as a deploy does, or at once after an exception: nothing more is to be learnt."""
        if kind is not None:
            if kind.__module__.startswith("httpx"):
                # A server that hung up may be on its way out, and how it ends is worth telling.
                comes_true(lambda: self.exit_code is not None, within=_ENDING_WITHIN, work=False)
            self._remark()
        self.stop(patience=_STOP_WITHIN if kind is None else 0.0)

    def __repr__(self) -> str:
        if self._child is None:
            return f"<{self.name}: not started>"
        if self.exit_code is not None:
            return f"<{self.name}: {_told(self.exit_code)}>"
        return f"<{self.name}: running>"


def _told(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    with contextlib.suppress(ValueError):
        return f"ended by {signal.Signals(-exit_code).name}"
    return f"ended by signal {-exit_code}"


def _is_tracker(process: psutil.Process) -> bool:
    """Whether it is multiprocessing's helper, which serves no requests."""
    return any("multiprocessing.resource_tracker" in word for word in process.cmdline())
