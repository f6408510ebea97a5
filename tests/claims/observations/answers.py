"""Which tasks a server runs, where, and who waits for them: observations only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.claims.bench import Bench

__all__ = ["Answered", "answered", "full_pool", "imports", "in_flight", "sequence"]


@dataclass(frozen=True)
class Answered:
    """What a server without a lifespan said and answered, seen after its end."""

    log: str
    status: dict[str, int | None]
    app_log: str

    def ran(self, name: str) -> bool:
        return f"{name} ran\n" in self.log

    def order(self, first: str, second: str) -> bool:
        return self.log.index(first) < self.log.index(second)


_ASKED = [
    "first-fails",
    "http-exception",
    "returned-400",
    "own-background",
    "unattached",
    "cached/1",
    "cached/2",
    "stream/ends",
    "stream/raises",
    "nothing-awaited",
    "thrice",
    "passed/lambda",
    "passed/wrapper",
    "passed/generator",
    "passed/partial",
    "passed/method",
    "passed/object",
    "called",
    "depends",
    "where",
    "in-def/unawaited",
    "in-def/create-task",
    "in-def/run",
    "in-def/from-thread",
    "in-def/to-thread",
    "in-async-def",
    "forgets-to-await",
    "another-loop",
    "context/async",
    "context/def",
    "lent",
    "row",
    "late",
    "closed-file",
    "forgotten",
    "fails/dropped",
    "fails/held",
    "collect",
    "caught/f-string",
    "caught/exception",
    "configure/file",
    "first-fails",
]


def answered(bench: Bench) -> Answered:
    """Ask for everything that needs no gate. What did not run by the end never will."""
    status = {}
    with bench.uvicorn("newsletter:app", "--lifespan", "off") as server:
        for path in _ASKED:
            answer = server.ask("POST", f"/{path}")
            answer.wait(within=30)
            status[path] = answer.status
        server.terminate()
        server.wait(within=30)
    app_log = (bench.folder / "app.log").read_text(encoding="utf-8")
    return Answered(server.log.text, status, app_log)


@dataclass(frozen=True)
class InFlight:
    """Whether others were answered while a task of that kind was held."""

    responded: dict[str, bool]
    others: dict[str, bool]


def in_flight(bench: Bench) -> InFlight:
    responded, others = {}, {}
    with bench.uvicorn("newsletter:app") as server:
        for kind in ("awaits", "threads", "blocks"):
            asked = server.ask("POST", f"/run/{kind}/{kind}")
            server.log.wait_for(f"{kind} began", within=30)
            # A loop that is held cannot answer, however long one waits.
            patience = 1.0 if kind == "blocks" else 30.0
            responded[kind] = asked.wait(within=30)
            others[kind] = server.ask("GET", "/ping").wait(within=patience)
            bench.release(kind)
            server.log.wait_for(f"{kind} ended", within=30)
    return InFlight(responded, others)


@dataclass(frozen=True)
class FullPool:
    """How the server did with tasks in its threads."""

    started: int
    answered: int
    def_with_39: bool
    def_with_40: bool
    async_with_40: bool


def full_pool(bench: Bench) -> FullPool:
    with bench.uvicorn("newsletter:app") as server:
        for number in range(39):
            server.post(f"/run/threads/full?{number}")
        server.log.wait_for("full began", within=30)
        with_39 = server.ask("GET", "/def-ping").wait(within=30)
        answers = [server.ask("POST", "/run/threads/full") for _ in range(6)]
        replied = sum(answer.wait(within=30) for answer in answers)
        with_40 = server.ask("GET", "/def-ping").wait(within=1.0)
        async_with_40 = server.ask("GET", "/ping").wait(within=30)
        started = server.log.text.count("full began")
        bench.release("full")
    return FullPool(started, replied, with_39, with_40, async_with_40)


def imports(bench: Bench) -> str:
    """What the packages' own sources say."""
    code = (
        "import fastapi.background as ours, starlette.background as theirs;"
        "print(issubclass(ours.BackgroundTasks, theirs.BackgroundTasks))"
    )
    return bench.run("-c", code).stdout


def sequence(bench: Bench) -> str:
    """The log of two tasks of one answer, the first of which was held."""
    with bench.uvicorn("newsletter:app") as server:
        server.post("/two/two")
        server.log.wait_for("two began", within=30)
        for _ in range(10):
            server.get("/ping")
        bench.release("two")
        server.log.wait_for("behind two ran", within=30)
    return server.log.text
