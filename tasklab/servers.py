"""The servers by name: uvicorn and gunicorn."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tasklab.gates import comes_true
from tasklab.processes import ServerProcess

if TYPE_CHECKING:
    from tasklab.mailroom import Mailroom

__all__ = ["begin_deploy", "deploy", "gunicorn", "outwait", "uvicorn"]

_HANDLED = "Handling signal: winch"
# What uvicorn (0.54) logs after SIGTERM, in this order, as far as there is something to wait for.
_SHUTTING_DOWN = (
    "Waiting for connections to close",
    "Waiting for background tasks to complete",
    "Waiting for application shutdown",
)


def uvicorn(
    target: str,
    *,
    mailroom: Mailroom | None = None,
    workers: int | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float | None = None,
    python: Path | None = None,
) -> ServerProcess:
    """Serve `target` ("newsletter:app", a module in the current folder) with uvicorn.

    `python` is the interpreter of another environment, as of `environment_with`.
    """
    several = ["--workers", str(workers)] if workers else []
    return ServerProcess(
        "uvicorn",
        [*_run_by(python), "uvicorn", target, "--fd", "3", *several, *arguments],
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
    start_within: float | None = None,
    python: Path | None = None,
) -> ServerProcess:
    """Serve `target` with gunicorn and, if given, the settings file `config`.

    `python` is the interpreter of another environment, as of `environment_with`.
    """
    settings = ["--config", config] if config else []
    if python is None or _has_control_socket(python):
        # It would be a file in the user's home, one for all that run.
        settings.append("--no-control-socket")
    settings += ["--bind", "fd://3"]
    return ServerProcess(
        "gunicorn",
        [*_run_by(python), "gunicorn", target, *settings, *arguments],
        mailroom=mailroom,
        env=env,
        start_within=start_within,
    )


def begin_deploy(server: ServerProcess, idle: ServerProcess | None = None) -> None:
    """Send uvicorn SIGTERM, as a deploy does, and return once it has begun to shut down.

    `idle` serves the same app, has nothing to wait for and is told later; then this returns once
    that one has ended too. A server that still runs is not about to end by then: it waits. Both
    have their time to end, but neither has to: look at `exit_code`.
    """
    server.terminate()
    comes_true(
        lambda: server.exit_code is not None or any(line in server.log for line in _SHUTTING_DOWN)
    )
    if idle is not None:
        idle.terminate()
        comes_true(lambda: idle.exit_code is not None)


def deploy(server: ServerProcess) -> None:
    """Send gunicorn SIGTERM, as a deploy does, once all its workers can hear it.

    A worker that was just forked has its master's handlers still: they put the signal into a queue
    that nobody reads there. gunicorn sends SIGTERM once (27.0), and then waits for such a worker
    until graceful_timeout is over. The server's log has a line on SIGWINCH before the one on
    SIGTERM.
    """
    before = server.log.text.count(_HANDLED)
    # It does nothing here, but gunicorn handles signals only when it has forked all workers.
    server.send_signal(signal.SIGWINCH)
    comes_true(
        lambda: (
            server.exit_code is not None
            or (server.log.text.count(_HANDLED) > before and all(map(_hears, server.workers)))
        )
    )
    server.terminate()


def outwait(server: ServerProcess, timeout: float) -> None:
    """Return once gunicorn has looked at workers that were silent for `timeout` s from now on.

    It looks when it likes, about once a second, and after each signal (27.0). A worker that it
    found overdue has a line in the log, WORKER TIMEOUT.
    """

    def timed_out() -> bool:
        return "WORKER TIMEOUT" in server.log

    def looked(times: int) -> bool:
        return timed_out() or server.log.text.count(_HANDLED) >= before + times

    comes_true(timed_out, within=timeout + 0.1, work=False)
    before = server.log.text.count(_HANDLED)
    # Once the second is in the log, the look after the first has happened.
    for times in (1, 2):
        server.send_signal(signal.SIGWINCH)  # it does nothing else here
        comes_true(partial(looked, times), within=1)


def _hears(worker: int) -> bool:
    """Whether a worker has put away its master's handlers; the one of SIGCHLD is the last."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{worker}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("SigCgt:"):
                return not int(line.split()[1], 16) & 1 << signal.SIGCHLD - 1
    return True


def _run_by(python: Path | None) -> list[str]:
    return [] if python is None else [str(python), "-m"]


def _has_control_socket(python: Path) -> bool:
    """Whether that environment's gunicorn knows the option; an older one would refuse it."""
    return any(python.parents[1].glob("lib/python*/site-packages/gunicorn/ctl"))
