"""Apps whose start-up code is written in every way that people write it, each served by uvicorn.

Run as a program, it serves them one after another with the real uvicorn, each until it has
started.
"""

import asyncio
import socket
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, BackgroundTasks, FastAPI
from voices import awaits, say

kept: list[Any] = []


def lifespan_of(name: str) -> Any:
    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        say(name, "started")
        yield
        say(name, "stopped")

    return lifespan


async def note(what: str) -> None:
    say(what, "ran")


@asynccontextmanager
async def registers(_: object) -> AsyncIterator[None]:
    tasks = BackgroundTasks()
    tasks.add_task(note, "registered in the lifespan")
    yield


async def fail() -> None:
    raise ValueError("poison")


@asynccontextmanager
async def creates(_: object) -> AsyncIterator[None]:
    kept.append(asyncio.create_task(awaits("consumer")))
    kept.append(asyncio.create_task(fail()))
    yield
    kept[0].cancel()
    await asyncio.wait(kept)


def on_event(target: Any, name: str) -> None:
    async def start() -> None:
        say(name, "started")

    # What the decorator warns of is asked elsewhere.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target.on_event("startup")(start)


def mounting() -> FastAPI:
    app = FastAPI()
    app.mount("/sub", FastAPI(lifespan=lifespan_of("mounted")))
    return app


def including_router_lifespan() -> FastAPI:
    app, router = FastAPI(), APIRouter(lifespan=lifespan_of("router"))
    app.include_router(router)
    return app


def including_on_event() -> FastAPI:
    app, router = FastAPI(), APIRouter()
    on_event(router, "router-event")
    app.include_router(router)
    return app


def with_event() -> FastAPI:
    app = FastAPI()
    on_event(app, "event")
    return app


def with_both() -> FastAPI:
    app = FastAPI(lifespan=lifespan_of("beside-an-event"))
    on_event(app, "event-beside-a-lifespan")
    return app


class Forwards:
    """Middleware that hands on only what it knows."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.app(scope, receive, send)


class Reads(Forwards):
    """Middleware that takes every scope for a request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["path"]
        await self.app(scope, receive, send)


APPS: dict[str, Any] = {
    "given": lambda: FastAPI(lifespan=lifespan_of("given")),
    "not-given": lambda: lifespan_of("not-given") and FastAPI(),
    "mounted": mounting,
    "forwards": lambda: Forwards(FastAPI(lifespan=lifespan_of("forwards"))),
    "reads": lambda: Reads(FastAPI(lifespan=lifespan_of("reads"))),
    "router": including_router_lifespan,
    "router-event": including_on_event,
    "event": with_event,
    "both": with_both,
    "registers": lambda: FastAPI(lifespan=registers),
    "creates": lambda: FastAPI(lifespan=creates),
}


async def serve(name: str) -> None:
    import uvicorn

    say("serving", name)
    try:
        app = APPS[name]()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            server = uvicorn.Server(uvicorn.Config(app, log_level="info"))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.01)
            # What was started has its turn.
            for _ in range(10):
                await asyncio.sleep(0)
            server.should_exit = True
            await serving
    except (Exception, SystemExit) as error:  # noqa: BLE001 - told, for one app of many
        say(name, "failed with", type(error).__name__)


if __name__ == "__main__":
    for app_name in sys.argv[1:] or APPS:
        asyncio.run(serve(app_name))
    say("serving nothing more")


# -- what the command line serves --------------------------------------------------------------


@asynccontextmanager
async def counts(_: object) -> AsyncIterator[None]:
    say("LIFESPAN")
    yield


@asynccontextmanager
async def never_yields(_: object) -> AsyncIterator[None]:
    await awaits("endless")
    yield


counted = FastAPI(lifespan=counts)
stuck = FastAPI(lifespan=never_yields)


@counted.get("/ping")
async def ping() -> None:
    """Let the loop turn."""
