"""The service whose tasks are observed; the same file on every set of releases."""

import asyncio
import contextvars
import functools
import gc
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.from_thread
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from voices import KINDS, awaits, say, threads

warnings.simplefilter("always")
app = FastAPI()
kept: list[Any] = []
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


@app.get("/ping")
async def ping() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.get("/def-ping")
def def_ping() -> None:
    """Answer from the pool of threads."""


@app.post("/run/{kind}/{name}")
async def run(kind: str, name: str, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(KINDS[kind], name)
    return {"pid": os.getpid()}


@app.post("/inline/{kind}/{name}")
async def inline(kind: str, name: str) -> None:
    await KINDS[kind](name)


@app.post("/block-for/{seconds}")
async def block_for(seconds: float, tasks: BackgroundTasks) -> None:
    async def block() -> None:
        time.sleep(seconds)
        say("short block ended")

    tasks.add_task(block)


@app.post("/thread/{name}")
async def thread(name: str) -> None:
    threading.Thread(target=threads, args=(name,)).start()


@app.post("/process")
async def process() -> dict[str, int]:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    kept.append(child)
    return {"pid": child.pid}


@app.post("/created/{name}")
async def created(name: str) -> None:
    kept.append(asyncio.create_task(awaits(name)))


# -- which tasks are run -----------------------------------------------------------------------


def note(what: str) -> None:
    say(what, "ran")


async def awaits_nothing(what: str) -> None:
    note(what)


def fail(what: str) -> None:
    note(what)
    raise ValueError(what)


@app.post("/first-fails")
async def first_fails(tasks: BackgroundTasks) -> None:
    tasks.add_task(fail, "first")
    tasks.add_task(note, "second")


@app.post("/http-exception")
async def http_exception(tasks: BackgroundTasks) -> None:
    tasks.add_task(note, "after-an-exception")
    raise HTTPException(404)


@app.post("/returned-400")
async def returned_400(tasks: BackgroundTasks) -> Response:
    tasks.add_task(note, "after-a-returned-400")
    return JSONResponse({}, 400)


@app.post("/own-background")
async def own_background(tasks: BackgroundTasks) -> Response:
    tasks.add_task(note, "injected-beside-its-own")
    return JSONResponse({}, background=BackgroundTask(note, "its-own"))


@app.post("/unattached")
async def unattached() -> None:
    BackgroundTasks().add_task(note, "unattached")


cached = JSONResponse({})


@app.post("/cached/{number}")
async def cached_answer(number: int, tasks: BackgroundTasks) -> Response:
    tasks.add_task(note, f"cached-{number}")
    return cached


@app.post("/stream/{how}")
async def stream(how: str, tasks: BackgroundTasks) -> Response:
    tasks.add_task(note, f"after-a-stream-that-{how}")

    async def body() -> AsyncIterator[str]:
        yield "one"
        if how == "raises":
            raise ValueError(how)
        say("stream ended")

    return StreamingResponse(body())


@app.post("/nothing-awaited")
async def nothing_awaited(tasks: BackgroundTasks) -> None:
    tasks.add_task(awaits_nothing, "nothing-awaited")


@app.post("/thrice")
async def thrice(tasks: BackgroundTasks) -> None:
    for _ in range(3):
        tasks.add_task(note, "thrice")


async def a_generator(what: str) -> AsyncIterator[None]:
    note(what)
    yield


def wrapped(function: Callable[..., Awaitable[None]]) -> Callable[..., object]:
    @functools.wraps(function)
    def call(*arguments: Any) -> object:
        return function(*arguments)

    # On Python 3.12 and later functools.wraps alone does not make it look like a coroutine either.
    del call.__wrapped__
    return call


class Job:
    async def __call__(self, what: str) -> None:
        note(what)

    async def method(self, what: str) -> None:
        note(what)


PASSED: dict[str, Any] = {
    "lambda": lambda what: awaits_nothing(what),  # noqa: PLW0108 - what people write
    "wrapper": wrapped(awaits_nothing),
    "generator": a_generator,
    "partial": functools.partial(awaits_nothing),
    "method": Job().method,
    "object": Job(),
}


@app.post("/passed/{what}")
async def passed(what: str, tasks: BackgroundTasks) -> None:
    tasks.add_task(PASSED[what], f"passed-{what}")


@app.post("/called")
async def called(tasks: BackgroundTasks) -> None:
    tasks.add_task(note("called"))
    say("called is answered")


def wants(number: int = Depends(lambda: 7)) -> None:
    say("injected", type(number).__name__)


@app.post("/depends")
async def depends(tasks: BackgroundTasks) -> None:
    tasks.add_task(wants)


# -- where a task runs, and what it finds there ------------------------------------------------


@app.post("/where")
async def where(request: Request, tasks: BackgroundTasks) -> None:
    loop, current = asyncio.get_running_loop(), asyncio.current_task()

    async def async_def() -> None:
        say("async def on", threading.current_thread().name)
        say("same loop", asyncio.get_running_loop() is loop)
        say("same asyncio task", asyncio.current_task() is current)

    def plain_def() -> None:
        say("def on", threading.current_thread().name)

    tasks.add_task(async_def)
    tasks.add_task(plain_def)
    say("in the request's state", len(request.state._state))
    say("in its own list", len(tasks.tasks))


async def inner() -> None:
    say("inner ran")


def needs_a_loop(how: str) -> None:
    try:
        if how == "unawaited":
            inner()
        elif how == "create-task":
            asyncio.create_task(inner())  # noqa: RUF006
        elif how == "run":
            asyncio.run(inner())
        elif how == "from-thread":
            anyio.from_thread.run(inner)
        elif how == "to-thread":
            asyncio.to_thread(note, "to-thread")
        say(how, "went on")
    except RuntimeError as error:
        say(how, "raised", error)


@app.post("/in-def/{how}")
async def in_def(how: str, tasks: BackgroundTasks) -> None:
    tasks.add_task(needs_a_loop, how)


async def runs_a_loop() -> None:
    needs_a_loop("run")


@app.post("/in-async-def")
async def in_async_def(tasks: BackgroundTasks) -> None:
    tasks.add_task(runs_a_loop)


async def forgets_to_await() -> None:
    asyncio.sleep(3600)
    say("forgets ran on")


@app.post("/forgets-to-await")
async def forget(tasks: BackgroundTasks) -> None:
    tasks.add_task(forgets_to_await)


def another_loop(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
    async def use() -> None:
        say("the same loop in def", asyncio.get_running_loop() is loop)
        await future

    try:
        asyncio.run(use())
    except RuntimeError as error:
        say("another loop:", error)


@app.post("/another-loop")
async def use_another_loop(tasks: BackgroundTasks) -> None:
    loop = asyncio.get_running_loop()
    tasks.add_task(another_loop, loop, loop.create_future())


async def set_tenant() -> None:
    tenant.set("ada")


def note_tenant(how: str) -> None:
    say("tenant in", how, tenant.get())


@app.post("/context/async")
async def context_async(tasks: BackgroundTasks) -> None:
    tenant.set("ada")
    tasks.add_task(note_tenant, "async")


@app.post("/context/def")
def context_def(tasks: BackgroundTasks) -> None:
    tenant.set("ada")
    tasks.add_task(note_tenant, "def")


# -- what a dependency lends -------------------------------------------------------------------


def lend() -> Iterator[str]:
    yield "lent"
    say("dependency closed")


def use_lent() -> None:
    say("task used it")


@app.post("/lent")
def lent(tasks: BackgroundTasks, _: str = Depends(lend)) -> None:
    tasks.add_task(use_lent)


def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect("letters.db", check_same_thread=False)
    connection.execute("CREATE TABLE IF NOT EXISTS letters (number)")
    connection.commit()
    yield connection
    connection.commit()
    connection.close()


def count_rows() -> None:
    own = sqlite3.connect("letters.db")
    say("rows in a session of its own", own.execute("SELECT count(*) FROM letters").fetchone()[0])
    own.close()


@app.post("/row")
def row(tasks: BackgroundTasks, connection: Any = Depends(database)) -> None:  # noqa: B008
    connection.execute("INSERT INTO letters VALUES (7)")
    tasks.add_task(count_rows)


@app.post("/closed-file")
async def closed_file(tasks: BackgroundTasks) -> None:
    def read() -> None:
        try:
            file.read()
        except ValueError as error:
            say("lent file:", error)

    with open(__file__) as file:  # noqa: PTH123
        tasks.add_task(read)


@app.post("/two/{name}")
async def two(name: str, tasks: BackgroundTasks) -> None:
    tasks.add_task(awaits, name)
    tasks.add_task(note, f"behind {name}")


def adds_late(tasks: BackgroundTasks) -> Iterator[None]:
    yield
    tasks.add_task(note, "added-after-yield")


@app.post("/late")
def late(_: None = Depends(adds_late)) -> None:
    """Answer; the dependency adds its task when it closes."""


# -- tasks of one's own ------------------------------------------------------------------------


async def fail_soon(name: str) -> None:
    raise ValueError(name)


async def wait_for_nobody() -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        say("forgotten ended")


@app.post("/forgotten")
async def forgotten() -> None:
    asyncio.create_task(wait_for_nobody())  # noqa: RUF006


@app.post("/fails/{how}")
async def fails(how: str) -> None:
    task = asyncio.create_task(fail_soon(how))
    if how == "held":
        kept.append(task)


@app.post("/collect")
async def collect() -> None:
    await asyncio.sleep(0)
    gc.collect()


# -- what is heard of a task -------------------------------------------------------------------


@app.post("/voices")
def voices(tasks: BackgroundTasks) -> None:
    def speak() -> None:
        print("by print")  # noqa: T201
        logging.getLogger("newsletter").debug("by debug")
        logging.getLogger("newsletter").info("by info")
        logging.getLogger("newsletter").warning("by warning")
        print("by stderr", file=sys.stderr)  # noqa: T201
        say("voices ended")

    tasks.add_task(speak)


@app.post("/caught/{how}")
def caught(how: str, tasks: BackgroundTasks) -> None:
    def work() -> None:
        try:
            {}["user_id"]
        except KeyError as error:
            if how == "f-string":
                print(f"Error: {error}", file=sys.stderr)  # noqa: T201
            else:
                logging.getLogger("newsletter").exception("Task failed")

    tasks.add_task(work)


@app.post("/configure/{how}")
async def configure(how: str) -> None:
    if how == "file":
        handler = logging.FileHandler("app.log")
        handler.setLevel(logging.DEBUG)
        logging.getLogger().addHandler(handler)
        logging.getLogger("newsletter").warning("a line of the app")
    else:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
