"""Claims of the guide: async and sync, logging and tracing, the lifespan, questions."""

from __future__ import annotations

from tests.claims.ledger import Verdict, case, claim
from tests.claims.observations.answers import answered, full_pool, in_flight
from tests.claims.observations.endings import detached, killed, limited, thread_at_the_end
from tests.claims.observations.lifespans import (
    at_import,
    lifespans,
    one_a_worker,
    said_of,
    snippet,
    stuck,
    warned,
)
from tests.claims.observations.logs import levels, standard_library, voices
from tests.claims.observations.timeouts import draining, timeouts, two_workers

claim(
    "10-1",
    "A `def` task that waits blocks the event loop.",
    Verdict.WRONG,
    case("others wait for it", in_flight, lambda f: not f.others["threads"], "no"),
)

claim(
    "10-2",
    "A blocked loop delays everybody.",
    Verdict.HOLDS,
    case(
        "another request is not answered meanwhile",
        in_flight,
        lambda f: not f.others["blocks"],
        "yes",
    ),
)

claim(
    "10-3",
    "uvicorn may kill a worker whose loop is blocked.",
    Verdict.WRONG,
    case("it is killed", two_workers, lambda t: "blocks ended" not in t.blocked, "no"),
)

claim(
    "10-4",
    "The cure is to await all input and output.",
    Verdict.HOLDS,
    case("others are answered meanwhile", in_flight, lambda f: f.others["awaits"], "yes"),
)

claim(
    "10-5",
    "Or keep the task `def` and use `asyncio.to_thread`.",
    Verdict.WRONG,
    case("the work is done", answered, lambda a: a.ran("to-thread"), "no"),
)

claim(
    "10-6",
    "`def` tasks already run in a pool of threads.",
    Verdict.HOLDS,
    case("others are answered meanwhile", in_flight, lambda f: f.others["threads"], "yes"),
    case("40 of them keep `def` endpoints waiting", full_pool, lambda p: not p.def_with_40, "yes"),
    case("39 of them do not", full_pool, lambda p: p.def_with_39, "yes"),
)

claim(
    "10-7",
    "`asyncio.run` in a `def` task raises.",
    Verdict.WRONG,
    case("in a `def` task", answered, lambda a: "run went on" not in a.log, "no"),
)

claim(
    "11-1",
    "stdout may be buffered or redirected.",
    Verdict.HOLDS,
    case(
        "in a pipe it is",
        voices,
        lambda v: "by print" not in v.plain and "by print" in v.configured,
        "yes",
    ),
)

claim(
    "11-2",
    "Call `basicConfig` with `level`, `stream` and `force`.",
    Verdict.HOLDS,
    case(
        "then debug is seen", voices, lambda v: "DEBUG:newsletter:by debug" in v.configured, "yes"
    ),
)

claim(
    "11-3",
    "The line shows, so it was scheduled; it does not, so look before the task.",
    Verdict.HOLDS_IF,
    case("it is the first of its list", answered, lambda a: a.ran("first"), "yes"),
    case("one before it failed", answered, lambda a: a.ran("second"), "no"),
)

claim(
    "11-4",
    "`trace` sometimes shows the task.",
    Verdict.HOLDS_IF,
    case("by its name", levels, lambda x: "ASGI [2] awaits" in x.trace, "no"),
    case(
        "as the gap before `Completed`",
        levels,
        lambda x: (
            x.trace.index("http.response.body")
            < x.trace.index("traced began")
            < x.trace.index("traced finally")
        ),
        "yes",
    ),
)

claim(
    "11-5",
    "A loop in `on_event` that says it is alive tests the lifespan.",
    Verdict.OUTDATED,
    case(
        "it speaks beside a lifespan",
        lifespans,
        lambda log: "event-beside-a-lifespan started" in log,
        "yes; no from fastapi 0.93",
    ),
)

claim(
    "12-1",
    "A consumer belongs into the lifespan, made with `create_task`.",
    Verdict.HOLDS,
    case(
        "made there it runs",
        lifespans,
        lambda log: "consumer began" in log,
        "no; yes from fastapi 0.93",
    ),
    case(
        "awaited there instead, no request is answered",
        stuck,
        lambda s: not s[0],
        "-; yes from fastapi 0.93",
    ),
)

claim(
    "12-2",
    "Write `async with lifespan(app):` in the module.",
    Verdict.WRONG,
    case("Python accepts it", snippet, lambda said: "SyntaxError" not in said, "no"),
)

claim(
    "12-3",
    "It runs for the lifetime of the app.",
    Verdict.HOLDS_IF,
    case(
        "it never raises",
        lifespans,
        lambda log: "consumer finally" in said_of(log, "creates"),
        "no; yes from fastapi 0.93",
    ),
    case(
        "it raises, and somebody is told",
        lifespans,
        lambda log: "poison" in said_of(log, "creates"),
        "no",
    ),
)

claim(
    "12-4",
    "Handle cancellation, and clean up.",
    Verdict.HOLDS,
    case(
        "cancelled and awaited, its `finally` runs",
        lifespans,
        lambda log: "consumer finally" in log,
        "no; yes from fastapi 0.93",
    ),
)

claim(
    "12-5",
    "A task that the module makes is made before the loop runs.",
    Verdict.HOLDS_IF,
    case(
        "one uvicorn process",
        at_import,
        lambda s: "create-task raised no running" in s["uvicorn"],
        "no; yes from uvicorn 0.47",
    ),
    case(
        "uvicorn with workers",
        at_import,
        lambda s: "create-task raised no running" in s["uvicorn --workers"],
        "no; yes from uvicorn 0.47; no from uvicorn 0.50",
    ),
    case(
        "gunicorn",
        at_import,
        lambda s: "create-task raised no running" in s["gunicorn"],
        "yes",
    ),
)

claim(
    "12-6",
    "The lifespan avoids one task in every worker.",
    Verdict.WRONG,
    case(
        "with three workers it runs once",
        one_a_worker,
        lambda count: count < 3,
        "-; no from fastapi 0.93",
    ),
)

claim(
    "12-7",
    "Always use the lifespan or `on_event`.",
    Verdict.OUTDATED,
    case(
        "nothing warns of `on_event`",
        warned,
        lambda said: "Deprecat" not in said,
        "yes; no from fastapi 0.104",
    ),
)

claim(
    "F-1",
    "It works on uvicorn and not on gunicorn: the timeout.",
    Verdict.HOLDS_IF,
    case(
        "it blocks", timeouts, lambda t: t.killed("blocked") and t.ended("staging", "blocks"), "yes"
    ),
    case("it awaits", timeouts, lambda t: not t.ended("innocent", "awaits"), "no"),
)

claim(
    "F-2",
    "`max_requests` takes the task along.",
    Verdict.HOLDS_IF,
    case(
        "its worker is longer in ending than the timeout",
        draining,
        lambda d: "long ended" not in d["max-requests"],
        "yes",
    ),
    case("uvicorn's own limit does", limited, lambda seen: "limited ended" not in seen[0], "no"),
)

claim(
    "F-3",
    "Test with a single worker first.",
    Verdict.WRONG,
    case(
        "one process of uvicorn shows what kills a task on gunicorn",
        timeouts,
        lambda t: not t.ended("staging", "blocks"),
        "no",
    ),
)

claim(
    "F-4",
    "The request's session is closed after the answer.",
    Verdict.OUTDATED,
    case(
        "it is closed when the task runs",
        answered,
        lambda a: a.order("dependency closed", "task used it"),
        "no; yes from fastapi 0.106; no from fastapi 0.118",
    ),
)

claim(
    "F-5",
    "Open a new session inside the task.",
    Verdict.HOLDS,
    case(
        "it opens, and can be read",
        answered,
        lambda a: "rows in a session of its own" in a.log,
        "yes",
    ),
)

claim(
    "F-6",
    "Put `try` and `except` with `logging.exception` around it.",
    Verdict.HOLDS,
    case(
        "the log has the words and the traceback",
        answered,
        lambda a: "Task failed\nTraceback" in a.log,
        "yes",
    ),
)

claim(
    "F-7",
    "Give `StreamHandler` the argument `flush=True`.",
    Verdict.WRONG,
    case("there is such an argument", standard_library, lambda said: said["flush"], "no"),
)

claim(
    "F-8",
    "Background tasks are for a few seconds only.",
    Verdict.HOLDS_IF,
    case("a longer one is killed", timeouts, lambda t: not t.ended("innocent", "awaits"), "no"),
    case(
        "a deploy does not wait for a longer one",
        draining,
        lambda d: "deployed ended" not in d["graceful-timeout"],
        "yes",
    ),
)

claim(
    "F-9",
    "Or start a process or a thread of your own.",
    Verdict.HOLDS_IF,
    case(
        "a thread comes to its end after SIGTERM",
        thread_at_the_end,
        lambda ended: ended,
        "yes; no from uvicorn 0.29",
    ),
    case("a process outlives the server", detached, lambda ended: ended, "yes"),
)

claim(
    "F-10",
    "It is not durable: a crash loses the task.",
    Verdict.HOLDS,
    case("`kill -9`, and a new start", killed, lambda log: "lost ended" not in log, "yes"),
)

claim(
    "F-11",
    "BackgroundTasks belongs to one request.",
    Verdict.HOLDS,
    case(
        "a list that no request sends is not run",
        answered,
        lambda a: not a.ran("unattached"),
        "yes",
    ),
)

claim(
    "F-12",
    '`on_event("startup")` runs once when the application starts.',
    Verdict.HOLDS_IF,
    case("it is the app's own", lifespans, lambda log: log.count("\nevent started") == 1, "yes"),
    case(
        "beside a lifespan",
        lifespans,
        lambda log: "event-beside-a-lifespan started" in log,
        "yes; no from fastapi 0.93",
    ),
    case(
        "on an included router",
        lifespans,
        lambda log: log.count("router-event started") == 1,
        "yes; no from fastapi 0.112.2",
    ),
)
