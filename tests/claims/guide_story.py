"""Claims of the guide: the war story, what BackgroundTasks is, the gunicorn timeout."""

from __future__ import annotations

from tests.claims.ledger import Verdict, case, claim, not_testable
from tests.claims.observations.answers import answered, imports
from tests.claims.observations.logs import standard_library
from tests.claims.observations.timeouts import asgi_worker, behind_middleware, short_block, timeouts

claim(
    "07-1",
    "A task that is longer than the timeout is killed.",
    Verdict.HOLDS_IF,
    case("it blocks the loop", timeouts, lambda t: t.killed("blocked"), "yes"),
    case("it waits in a thread", timeouts, lambda t: not t.ended("innocent", "threads"), "no"),
)

claim(
    "07-2",
    "The log line at its start never appeared.",
    Verdict.WRONG,
    case("it does not appear on stderr", timeouts, lambda t: "blocks began" not in t.blocked, "no"),
)

claim(
    "07-3",
    "So the task was never called.",
    Verdict.WRONG,
    case("it was not called", timeouts, lambda t: "blocks began" not in t.blocked, "no"),
)

claim(
    "07-4",
    "There was no error in the log.",
    Verdict.WRONG,
    case("gunicorn's log has none", timeouts, lambda t: "CRITICAL" not in t.blocked, "no"),
)

claim(
    "07-5",
    "It ran inside the endpoint, which had answered 200.",
    Verdict.WRONG,
    case("an endpoint that blocks has answered", timeouts, lambda t: t.inline_answered, "no"),
)

claim(
    "07-6",
    "A timeout of 120 made it work.",
    Verdict.HOLDS_IF,
    case("the task comes to its end", timeouts, lambda t: t.ended("patient", "blocks"), "yes"),
    case("others are answered meanwhile", timeouts, lambda t: t.others_of_patient, "no"),
)

claim(
    "07-7",
    "An async client and an `await` made it work.",
    Verdict.HOLDS_IF,
    case("on uvicorn's worker", timeouts, lambda t: t.ended("innocent", "awaits"), "yes"),
    case(
        "behind a middleware, when the client leaves",
        behind_middleware,
        lambda seen: seen["leaves"],
        "no; yes from starlette 0.21",
    ),
    case(
        "on gunicorn's own ASGI worker, when the client leaves",
        asgi_worker,
        lambda a: "left-awaits ended" in a.log,
        "-; no from gunicorn 24",
    ),
)

claim(
    "07-8",
    "Staging, with uvicorn alone, ran perfectly.",
    Verdict.HOLDS,
    case(
        "a task that blocks comes to its end there",
        timeouts,
        lambda t: t.ended("staging", "blocks"),
        "yes",
    ),
)

claim(
    "07-9",
    "The cause was the timeout and a call that blocks.",
    Verdict.HOLDS_IF,
    case("on gunicorn", timeouts, lambda t: t.killed("blocked"), "yes"),
    case("on uvicorn alone", timeouts, lambda t: not t.ended("staging", "blocks"), "no"),
)

claim(
    "07-10",
    "Test under the server of production.",
    Verdict.HOLDS,
    case(
        "uvicorn passes where gunicorn kills",
        timeouts,
        lambda t: t.ended("staging", "blocks") and t.killed("blocked"),
        "yes",
    ),
)

claim(
    "08-1",
    "FastAPI's BackgroundTasks is a thin layer over Starlette's.",
    Verdict.HOLDS,
    case("it is a subclass", imports, lambda said: said == "True\n", "yes"),
)

claim(
    "08-2",
    "The task is stored in the request's state.",
    Verdict.WRONG,
    case("the state has it", answered, lambda a: "in the request's state 0" not in a.log, "no"),
)

claim(
    "08-3",
    "It runs on the event loop of its request.",
    Verdict.HOLDS,
    case("the same loop", answered, lambda a: "same loop True" in a.log, "yes"),
    case(
        "the same asyncio task, even", answered, lambda a: "same asyncio task True" in a.log, "yes"
    ),
)

claim(
    "08-4",
    "`async def` is awaited, `def` goes to a pool of threads.",
    Verdict.HOLDS,
    case(
        "`async def` is on the main thread",
        answered,
        lambda a: "async def on MainThread" in a.log,
        "yes",
    ),
    case(
        "`def` is on a thread of AnyIO", answered, lambda a: "\ndef on AnyIO worker" in a.log, "yes"
    ),
)

claim(
    "08-5",
    "If the endpoint raises, the task never runs.",
    Verdict.HOLDS,
    case("it raised an HTTPException", answered, lambda a: not a.ran("after-an-exception"), "yes"),
)

claim(
    "08-6",
    "The request's dependencies are no longer there for the task.",
    Verdict.OUTDATED,
    case(
        "one that yields is closed before the task",
        answered,
        lambda a: a.order("dependency closed", "task used it"),
        "no; yes from fastapi 0.106; no from fastapi 0.118",
    ),
)

claim(
    "08-7",
    "The task must open a session of its own.",
    Verdict.HOLDS_IF,
    case(
        "the request's session is closed when it runs",
        answered,
        lambda a: a.order("dependency closed", "task used it"),
        "no; yes from fastapi 0.106; no from fastapi 0.118",
    ),
    case(
        "one of its own opens", answered, lambda a: "rows in a session of its own" in a.log, "yes"
    ),
)

claim(
    "09-1",
    "gunicorn's default timeout is 30 s.",
    Verdict.HOLDS,
    case("its own settings say so", standard_library, lambda said: said["timeout"] == 30, "yes"),
)

claim(
    "09-2",
    "The timeout is one of the worker process.",
    Verdict.HOLDS,
    case(
        "a task beside the one that blocks is lost with it",
        timeouts,
        lambda t: not t.ended("blocked", "mate"),
        "yes",
    ),
)

claim(
    "09-3",
    "A task that takes longer than the timeout is killed.",
    Verdict.WRONG,
    case("it awaits", timeouts, lambda t: not t.ended("innocent", "awaits"), "no"),
    case("it waits in a thread", timeouts, lambda t: not t.ended("innocent", "threads"), "no"),
)

claim(
    "09-4",
    "It disappears without a trace.",
    Verdict.WRONG,
    case(
        "gunicorn's log says nothing", timeouts, lambda t: "WORKER TIMEOUT" not in t.blocked, "no"
    ),
)

not_testable("09-5", "It is the single most common cause.")

claim(
    "09-6",
    "Set the timeout higher than the longest task.",
    Verdict.HOLDS_IF,
    case(
        "a task that blocks needs it",
        timeouts,
        lambda t: t.killed("blocked") and t.ended("patient", "blocks"),
        "yes",
    ),
    case(
        "a task that awaits needs it", timeouts, lambda t: not t.ended("innocent", "awaits"), "no"
    ),
)

claim(
    "09-7",
    "Too high a timeout hides tasks that are stuck.",
    Verdict.HOLDS,
    case(
        "a blocked worker is left as it is",
        timeouts,
        lambda t: not t.killed("patient") and not t.others_of_patient,
        "yes",
    ),
)

claim(
    "09-8",
    "Tasks that are shorter than the timeout are safe.",
    Verdict.WRONG,
    case("a block of nine tenths is safe", short_block, lambda killed: not killed, "no"),
)

claim(
    "09-9",
    "Or let go of the loop now and then.",
    Verdict.HOLDS_IF,
    case("every 10 ms", timeouts, lambda t: t.ended("innocent", "awaits"), "yes"),
    case("every 300 ms, at a timeout of 2 s", timeouts, lambda t: not t.killed("pieces"), "no"),
)
