"""What is heard of a task, and where: observations only."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.claims.bench import Bench

__all__ = ["Levels", "Voices", "levels", "sources", "standard_library", "voices", "worker_module"]


@dataclass(frozen=True)
class Voices:
    """What a log held when the task had just ended, by the way the server was started."""

    plain: str
    at_debug: str
    configured: str
    gunicorn: str
    gunicorn_unbuffered: str


def voices(bench: Bench) -> Voices:
    heard = []
    with bench.uvicorn("newsletter:app") as server:
        server.post("/voices")
        server.log.wait_for("voices ended", within=30)
        heard.append(server.log.text)
    with bench.uvicorn("newsletter:app", "--log-level", "debug") as server:
        server.post("/voices")
        server.log.wait_for("voices ended", within=30)
        heard.append(server.log.text)
        server.post("/configure/stderr")
        server.post("/voices")
        server.log.wait_for("DEBUG:newsletter:by debug", within=30)
        heard.append(server.log.text)
    for unbuffered in ("", "1"):
        # A fork of a Python that runs already would not hear of the second.
        python = bench.python or Path(sys.executable)
        with bench.gunicorn(
            "newsletter:app", env={"PYTHONUNBUFFERED": unbuffered}, python=python
        ) as server:
            server.post("/voices")
            server.log.wait_for("voices ended", within=30)
            heard.append(server.log.text)
    return Voices(*heard)


@dataclass(frozen=True)
class Levels:
    """The log of one request with a task, by uvicorn's log level."""

    info: str
    debug: str
    trace: str

    def lines(self, level: str) -> int:
        return len(getattr(self, level).splitlines())


def levels(bench: Bench) -> Levels:
    bench.release("traced")
    logs = {}
    for level in ("info", "debug", "trace"):
        with bench.uvicorn("newsletter:app", "--log-level", level) as server:
            server.post("/run/awaits/traced")
            server.log.wait_for("traced finally", within=30)
        logs[level] = server.log.text
    return Levels(**logs)


def sources(bench: Bench) -> str:
    """How often the words of 01-8 and the true ones are in the packages' sources, as JSON."""
    code = """
import importlib.util, json, pathlib, asyncio
found = {"Exception in task": 0, "Exception in ASGI application": 0, "was never retrieved": 0}
for name in ("uvicorn", "gunicorn", "starlette", "fastapi", "anyio", "asyncio"):
    folder = pathlib.Path(importlib.util.find_spec(name).origin).parent
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8", errors="replace")
        for words in found:
            found[words] += words in text
print(json.dumps(found))
"""
    return bench.run("-c", code).stdout


def standard_library(bench: Bench) -> dict[str, bool]:
    """What Python and the servers' defaults say of themselves."""
    code = """
import asyncio, json, logging
from gunicorn.config import Config
said = {"timeout": Config().timeout, "cancelled": issubclass(asyncio.CancelledError, Exception)}
try:
    logging.StreamHandler(flush=True)
    said["flush"] = True
except TypeError:
    said["flush"] = False
print(json.dumps(said))
"""
    said: dict[str, bool] = json.loads(bench.run("-c", code).stdout)
    return said


def worker_module(bench: Bench) -> str:
    """What Python warns of when the old worker class is imported and warnings are shown."""
    return bench.run("-W", "always", "-c", "import uvicorn.workers").stderr
