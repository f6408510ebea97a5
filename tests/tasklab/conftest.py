"""What several tests of the bench need."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tasklab.launcher import Launcher, use_launcher

APP = """
import os, sys, time
from fastapi import BackgroundTasks, FastAPI, Request
import requests

app = FastAPI()

def deliver(number):
    requests.post(os.environ["MAILROOM_URL"] + "/letters",
                  json={"to": "ada@example.org", "subject": "Gates", "issue": number})

@app.get("/health")
def health():
    return {"pid": os.getpid()}

@app.post("/issues", status_code=202)
async def publish(request: Request, tasks: BackgroundTasks):
    tasks.add_task(deliver, (await request.json())["number"])

@app.get("/environment")
def environment():
    return dict(os.environ)

@app.get("/exit")
def leave():
    os._exit(5)

@app.get("/forever")
def forever():
    time.sleep(3600)

@app.get("/long")
def long():
    from fastapi.responses import PlainTextResponse
    return PlainTextResponse("x" * (2 << 20))
"""


@pytest.fixture
def write_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make a folder with an app the current one; return how to write into it."""
    monkeypatch.chdir(tmp_path)

    def write(text: str = APP, name: str = "newsletter.py") -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    write()
    return write


def is_listening(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as knock:
        return knock.connect_ex((host, int(port))) == 0


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def open_descriptors() -> set[tuple[str, str]]:
    """What this process has open, each with its number: others may close while one is opened."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that listed them
            found.add((link.name, str(link.readlink())))
    return found


@pytest.fixture(scope="session")
def warm_launcher() -> Iterator[Launcher]:
    with Launcher(warm=("fastapi", "uvicorn.main", "requests")) as launcher:
        yield launcher


@pytest.fixture
def warm(warm_launcher: Launcher) -> Iterator[Launcher]:
    """Start servers from an interpreter that has its imports behind it, to save time."""
    with use_launcher(warm_launcher):
        yield warm_launcher
