"""What uvicorn does to tasks when it ends: observations only."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tasklab.gates import DeadlinePassed, comes_true
from tasklab.processes import ServerProcess

if TYPE_CHECKING:
    from tests.claims.bench import Bench

__all__ = [
    "Ended",
    "behind_a_shell",
    "detached",
    "ended",
    "gave_up",
    "killed",
    "limited",
    "thread_at_the_end",
]


@dataclass(frozen=True)
class Ended:
    """The logs of a server that was told to end by SIGTERM, and of one by Ctrl-C."""

    terminated: str
    interrupted: str


def _hold(server: ServerProcess, path: str, name: str) -> None:
    server.ask("POST", f"/{path}/{name}")
    server.log.wait_for(f"{name} began", within=30)


def ended(bench: Bench) -> Ended:
    logs = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with bench.uvicorn("newsletter:app") as server:
            _hold(server, "created", f"own-{number.name}")
            _hold(server, "run/awaits", f"task-{number.name}")
            server.send_signal(number)
            server.log.wait_for("Waiting for background tasks", within=30)
            bench.release(f"task-{number.name}")
            server.wait(within=30)
        logs.append(server.log.text)
    return Ended(*logs)


def thread_at_the_end(bench: Bench) -> bool:
    """Whether a thread of the app's own comes to its end after SIGTERM."""
    with bench.uvicorn("newsletter:app") as server:
        _hold(server, "thread", "loose")
        server.terminate()
        server.log.wait_for("Finished server process", within=30)
        if not comes_true(lambda: server.exit_code is not None):
            bench.release("loose")
            server.wait(within=30)
    return "loose ended" in server.log


def gave_up(bench: Bench) -> str:
    """The log of a server that waits one second for its tasks."""
    bench.needs("uvicorn", "0.22")
    with bench.uvicorn("newsletter:app", "--timeout-graceful-shutdown", "1") as server:
        _hold(server, "run/awaits", "cancelled")
        server.terminate()
        server.wait(within=30)
    return server.log.text


def limited(bench: Bench) -> tuple[str, int]:
    """The log and the exit code of a server that ends after its first request."""
    with bench.uvicorn("newsletter:app", "--limit-max-requests", "1") as server:
        _hold(server, "run/awaits", "limited")
        server.log.wait_for("Waiting for background tasks", within=30)
        bench.release("limited")
        exit_code = server.wait(within=30)
    return server.log.text, exit_code


def killed(bench: Bench) -> str:
    """The log of a server that was killed while a task was held, and started again."""
    with bench.uvicorn("newsletter:app") as server:
        _hold(server, "run/awaits", "lost")
        server.kill()
        first = server.log.text
        bench.release("lost")
        server.start()
        server.get("/ping")
    return first + server.log.text


def detached(bench: Bench) -> bool:
    """Whether a process that the app started outlives kill -9 to the app."""
    with bench.uvicorn("newsletter:app") as server:
        pid = int(server.post("/process").json()["pid"])
        server.send_signal(signal.SIGKILL)
        server.wait(within=30)
        return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def behind_a_shell(bench: Bench) -> tuple[bool, bool]:
    """SIGTERM to the shell around uvicorn: whether uvicorn hears of it, without and with exec."""
    heard = []
    for prefix in ("", "exec "):
        command = f"{prefix}{bench.python or sys.executable} -m uvicorn newsletter:app --fd 3"
        end = "" if prefix else "; true"
        server = ServerProcess("uvicorn", ["/bin/sh", "-c", command + end], start_within=60)
        with server:
            server.terminate()
            server.wait(within=30)
            try:
                server.log.wait_for("Shutting down", within=2.0)
                heard.append(True)
            except DeadlinePassed:
                heard.append(False)
    return heard[0], heard[1]
