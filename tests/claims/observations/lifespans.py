"""What the lifespan reaches, what runs in it, and what is made before it: observations only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasklab.gates import DeadlinePassed, wait_until

if TYPE_CHECKING:
    from tests.claims.bench import Bench

__all__ = [
    "at_import",
    "in_tests",
    "lifespans",
    "one_a_worker",
    "said_of",
    "snippet",
    "stuck",
    "warned",
]


def lifespans(bench: Bench) -> str:
    """Serve each of the apps with uvicorn, until it has started; return what all of them said."""
    return bench.run("lifespans.py").stderr


def said_of(log: str, app: str) -> str:
    """What was said while one app was served."""
    return log.partition(f"serving {app}\n")[2].partition("serving ")[0]


def one_a_worker(bench: Bench) -> int:
    """How often the lifespan ran on a server with three workers."""
    bench.needs("fastapi", "0.93")
    with bench.uvicorn("lifespans:counted", workers=3) as server:
        wait_until(lambda: server.log.text.count("startup complete") == 3, within=60)
        return server.log.text.count("LIFESPAN")


def stuck(bench: Bench) -> tuple[bool, bool]:
    """Await an endless task before the yield: whether it answers, and whether SIGTERM ends it."""
    bench.needs("fastapi", "0.93")
    server = bench.uvicorn("lifespans:stuck")
    server._begin()
    try:
        server.log.wait_for("endless began", within=60)
        answers = server.ask("GET", "/ping").wait(within=1.0)
        server.terminate()
        try:
            server.wait(within=2.0)
        except DeadlinePassed:
            return answers, False
        return answers, True
    finally:
        server.stop(patience=0.0)


def at_import(bench: Bench) -> dict[str, str]:
    """What became of tasks that a module makes, on each way to serve it."""
    servers = {
        "uvicorn": bench.uvicorn("at_import:app"),
        "uvicorn --workers": bench.uvicorn("at_import:app", workers=2),
        "gunicorn": bench.gunicorn("at_import:app"),
    }
    for server in servers.values():
        with server:
            for _ in range(3):
                server.get("/ping")
    return {name: server.log.text for name, server in servers.items()}


def warned(bench: Bench) -> str:
    """What on_event warns of when Python is told to show it."""
    code = "import fastapi; fastapi.FastAPI().on_event('startup')(print)"
    return bench.run("-W", "always", "-c", code).stderr


def snippet(bench: Bench) -> str:
    """The guide's own way to write it: `async with` in the module."""
    code = "async with lifespan(app):\n    task = 1\n    yield\n"
    return bench.run("-c", code).stderr


def in_tests(bench: Bench) -> str:
    """What TestClient and ASGITransport run of an app."""
    return bench.run("tests_lie.py").stderr
