"""What gunicorn and uvicorn do to tasks that go on: observations only."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil

from tasklab.gates import wait_until
from tests.claims.ledger import NotAsked

if TYPE_CHECKING:
    from tasklab.processes import ServerProcess
    from tests.claims.bench import Bench

__all__ = [
    "Timeouts",
    "asgi_worker",
    "behind_middleware",
    "draining",
    "preloaded",
    "short_block",
    "timeouts",
    "two_workers",
    "without_a_worker_class",
]

_KILLED = "WORKER TIMEOUT"
_SHORT_BLOCK = "short block ended"


@dataclass(frozen=True)
class Timeouts:
    """The logs of servers whose tasks were held until gunicorn had killed two workers."""

    innocent: str
    blocked: str
    gil: str
    pieces: str
    patient: str
    staging: str
    inline_answered: bool
    others_of_patient: bool

    def killed(self, server: str) -> bool:
        return _KILLED in getattr(self, server)

    def ended(self, server: str, task: str) -> bool:
        return f"{task} ended\n" in getattr(self, server)


def timeouts(bench: Bench) -> Timeouts:
    short = ("--timeout", "2")
    servers = {
        # Its loop must come round in time on a busy machine, too.
        "innocent": bench.gunicorn("newsletter:app", "--timeout", "5", "--workers", "2"),
        "blocked": bench.gunicorn("newsletter:app", *short),
        "gil": bench.gunicorn("newsletter:app", *short),
        "pieces": bench.gunicorn("newsletter:app", *short),
        "patient": bench.gunicorn("newsletter:app", "--timeout", "120"),
        "staging": bench.uvicorn("newsletter:app"),
    }
    with ExitStack() as running:
        for server in servers.values():
            running.enter_context(server)
        for kind in ("awaits", "threads", "computes"):
            _start(servers["innocent"], kind)
        began = time.monotonic()
        _start(servers["blocked"], "awaits", "mate")
        for name, kind in {
            "blocked": "blocks",
            "gil": "keeps_the_gil",
            "pieces": "blocks_in_pieces",
            "patient": "blocks",
            "staging": "blocks",
        }.items():
            _start(servers[name], kind)
        for name in ("blocked", "gil", "pieces"):
            servers[name].log.wait_for(_KILLED, within=60)
        inline = servers["blocked"].ask("POST", "/inline/blocks/inline")
        wait_until(lambda: inline.done, within=60, what="an answer or a hang-up")
        others = servers["patient"].ask("GET", "/ping").wait(within=1.0)
        wait_until(lambda: time.monotonic() - began > 7.5, within=60)  # 1.5 times its timeout
        bench.release("awaits", "threads", "computes", "blocks")
        for kind in ("awaits", "threads", "computes"):
            servers["innocent"].log.wait_for(f"{kind} ended", within=30)
        for name in ("patient", "staging"):
            servers[name].log.wait_for("blocks ended", within=30)
    logs = {name: server.log.text for name, server in servers.items()}
    return Timeouts(**logs, inline_answered=inline.status is not None, others_of_patient=others)


def _start(server: ServerProcess, kind: str, name: str | None = None) -> None:
    server.ask("POST", f"/run/{kind}/{name or kind}")
    server.log.wait_for(f"{name or kind} began", within=30)


def short_block(bench: Bench) -> bool:
    """Block for less than the timeout, just before a heartbeat is due: whether that is fatal."""
    with bench.gunicorn("newsletter:app", "--timeout", "4") as server:
        for _ in range(6):
            wait_until(lambda: len(server.workers) == 1, within=30)
            (worker,) = server.workers
            try:
                last = _heartbeat(worker)
                wait_until(lambda: _heartbeat(worker) != last, within=30, what="a heartbeat")  # noqa: B023
            except FileNotFoundError:
                continue  # killed before it did anything, as on a very busy machine
            beat = time.monotonic()
            wait_until(lambda: time.monotonic() - beat > 1.7, within=30)  # noqa: B023
            killed, ended = (server.log.text.count(words) for words in (_KILLED, _SHORT_BLOCK))
            server.ask("POST", "/block-for/3.6")
            wait_until(
                lambda: (
                    server.log.text.count(_KILLED) > killed  # noqa: B023
                    or server.log.text.count(_SHORT_BLOCK) > ended  # noqa: B023
                ),
                within=30,
            )
            if server.log.text.count(_KILLED) > killed:
                return True
    return False


def _heartbeat(worker: int) -> tuple[float, float]:
    """When a worker of gunicorn last touched the file that its master looks at."""
    for number in Path(f"/proc/{worker}/fd").iterdir():
        with contextlib.suppress(OSError):
            if "wgunicorn-" in os.readlink(number):  # noqa: PTH115 - the file has no name any more
                found = number.stat()
                return found.st_mtime, found.st_ctime
    raise AssertionError(f"worker {worker} has no heartbeat file")


def draining(bench: Bench) -> dict[str, str]:
    """Tasks that wait while their worker is ended, by the option that ends it."""
    logs = {}
    with bench.gunicorn(
        "newsletter:app", "--max-requests", "1", "--timeout", "2", "--workers", "1"
    ) as server:
        _start(server, "awaits", "long")
        wait_until(lambda: _KILLED in server.log or "long got" in server.log, within=60)
        logs["max-requests"] = server.log.text
    with bench.gunicorn("newsletter:app", "--graceful-timeout", "1") as server:
        _start(server, "awaits", "deployed")
        server.terminate()
        server.wait(within=30)
        logs["graceful-timeout"] = server.log.text
    return logs


def without_a_worker_class(bench: Bench) -> str:
    """What the default worker class makes of a request."""
    with bench.gunicorn("newsletter:app", "--worker-class", "sync") as server:
        server.get("/ping")
    return server.log.text


@dataclass(frozen=True)
class AsgiWorker:
    """What gunicorn's own ASGI worker said, and after which client's leaving."""

    log: str


def asgi_worker(bench: Bench) -> AsgiWorker:
    bench.needs("gunicorn", "24")
    with bench.gunicorn("newsletter:app", "--worker-class", "asgi") as server:
        with httpx.Client(base_url=server.url) as staying:
            staying.post("/first-fails")
            server.log.wait_for("first ran", within=30)
        for kind in ("awaits", "threads"):
            with httpx.Client(base_url=server.url) as leaving:
                leaving.post(f"/run/{kind}/left-{kind}")
                server.log.wait_for(f"left-{kind} began", within=30)
        server.log.wait_for("left-awaits finally", within=60)
        bench.release("left-threads")
        server.log.wait_for("left-threads ended", within=30)
        with httpx.Client(base_url=server.url) as staying:
            staying.post("/run/awaits/stayed")
            server.log.wait_for("stayed began", within=30)
            bench.release("stayed")
            server.log.wait_for("stayed finally", within=30)
    return AsgiWorker(server.log.text)


def behind_middleware(bench: Bench) -> dict[str, bool]:
    """Whether tasks end behind a middleware when the client leaves, or stays."""
    with bench.uvicorn("middleware:app") as server:
        for name in ("stays", "leaves"):
            with httpx.Client(base_url=server.url) as client:
                client.post(f"/run/awaits/{name}")
                server.log.wait_for(f"{name} began", within=30)
                if name == "stays":
                    bench.release(name)
                    server.log.wait_for(f"{name} finally", within=30)
            for _ in range(10):
                server.get("/ping")  # its loop has come round, and knows who left
            bench.release(name)
            server.log.wait_for(f"{name} finally", within=30)
        return {name: f"{name} ended" in server.log for name in ("stays", "leaves")}


@dataclass(frozen=True)
class TwoWorkers:
    """uvicorn with two workers, one of whose tasks was held."""

    blocked: str
    gil: str
    processes: int
    named_uvicorn: int


def two_workers(bench: Bench) -> TwoWorkers:
    # The process table has its command line, which a fork would not have.
    python = bench.python or Path(sys.executable)
    sooner = bench.stack.release_of("uvicorn").release >= (0, 37)
    check = ("--timeout-worker-healthcheck", "3") if sooner else ()
    has_check = bench.stack.release_of("uvicorn").release >= (0, 30)
    blocked = bench.uvicorn("newsletter:app", *check, workers=2, python=python)
    gil = bench.uvicorn("newsletter:app", *check, workers=2)
    with blocked, gil:
        wait_until(lambda: len(blocked.workers) == 2, within=60)
        family = [psutil.Process(pid) for pid in (blocked.pid, *blocked.workers)]
        named = sum("uvicorn" in " ".join(process.cmdline()) for process in family)
        _start(blocked, "blocks")
        if has_check:
            _start(gil, "keeps_the_gil")
            gil.log.wait_for("died", within=60)
        bench.release("blocks")
        blocked.log.wait_for("blocks ended", within=30)
    return TwoWorkers(blocked.log.text, gil.log.text if has_check else "", len(family), named)


def health_check(bench: Bench) -> str:
    """What became of a worker of uvicorn that kept the GIL."""
    if bench.stack.release_of("uvicorn").release < (0, 30):
        raise NotAsked
    return bench.once(two_workers).gil


def preloaded(bench: Bench) -> tuple[bool, bool]:
    """Whether a thread started at import beats in gunicorn's master, and in its worker."""
    with bench.gunicorn("preloaded:app", "--preload") as server:
        worker = int(server.get("/ping").json()["pid"])
        wait_until(lambda: server.log.text.count(f"beat of {server.pid}\n") > 5, within=30)
        return True, f"beat of {worker}\n" in server.log
