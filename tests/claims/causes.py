"""The causes why a task silently does not run, in the order of how often they bite."""

from __future__ import annotations

from tests.claims.ledger import Verdict, case, claim, not_testable
from tests.claims.observations.answers import answered, full_pool, in_flight, sequence
from tests.claims.observations.endings import behind_a_shell, ended, gave_up
from tests.claims.observations.lifespans import (
    at_import,
    in_tests,
    lifespans,
    one_a_worker,
    said_of,
    stuck,
)
from tests.claims.observations.logs import standard_library, voices
from tests.claims.observations.queues import queued
from tests.claims.observations.timeouts import (
    asgi_worker,
    behind_middleware,
    draining,
    health_check,
    preloaded,
    timeouts,
    two_workers,
)

claim(
    "C01",
    "A call that blocks is made in an `async def` task.",
    Verdict.HOLDS,
    case("nobody else is answered", in_flight, lambda f: not f.others["blocks"], "yes"),
    case("gunicorn kills its worker", timeouts, lambda t: t.killed("blocked"), "yes"),
    case("a thread for it is enough", timeouts, lambda t: t.ended("innocent", "threads"), "yes"),
)

claim(
    "C02",
    "The task was never attached to the answer that was sent.",
    Verdict.HOLDS,
    case("a list of one's own", answered, lambda a: not a.ran("unattached"), "yes"),
    case(
        "an answer with a task of its own drops the others",
        answered,
        lambda a: a.ran("its-own") and not a.ran("injected-beside-its-own"),
        "yes",
    ),
    case(
        "an answer that is kept runs the first caller's task again",
        answered,
        lambda a: a.log.count("cached-1 ran") == 2 and not a.ran("cached-2"),
        "yes",
    ),
    case("after an HTTPException", answered, lambda a: not a.ran("after-an-exception"), "yes"),
    case(
        "added by a dependency after its `yield`",
        answered,
        lambda a: not a.ran("added-after-yield"),
        "yes; no from fastapi 0.106; yes from fastapi 0.118",
    ),
)

claim(
    "C03",
    "The wrong thing was handed to `add_task`.",
    Verdict.HOLDS,
    case(
        "a lambda around a coroutine is lost", answered, lambda a: not a.ran("passed-lambda"), "yes"
    ),
    case(
        "a plain wrapper around `async def` is lost",
        answered,
        lambda a: not a.ran("passed-wrapper"),
        "yes",
    ),
    case("a generator is lost", answered, lambda a: not a.ran("passed-generator"), "yes"),
    case(
        "a call runs before the answer",
        answered,
        lambda a: a.order("called ran", "called is answered"),
        "yes",
    ),
    case("a partial is run", answered, lambda a: a.ran("passed-partial"), "yes"),
    case(
        "an object with `async __call__` is run",
        answered,
        lambda a: a.ran("passed-object"),
        "no; yes from starlette 0.20",
    ),
)

claim(
    "C04",
    "The task looks for a row that is not committed yet.",
    Verdict.HOLDS,
    case(
        "the commit stands behind the `yield`",
        answered,
        lambda a: "rows in a session of its own 0" in a.log,
        "yes; no from fastapi 0.106; yes from fastapi 0.118",
    ),
)

claim(
    "C05",
    "A long-lived task died, and nobody was told.",
    Verdict.HOLDS,
    case(
        "its reference is kept",
        lifespans,
        lambda log: "poison" not in said_of(log, "creates"),
        "yes",
    ),
    case("its reference is dropped", answered, lambda a: "ValueError: dropped" in a.log, "yes"),
)

claim(
    "C06",
    "The first task that fails ends its list.",
    Verdict.HOLDS,
    case(
        "the second is not run", answered, lambda a: a.ran("first") and not a.ran("second"), "yes"
    ),
)

claim(
    "C07",
    "The lifespan never reaches the code.",
    Verdict.HOLDS,
    case(
        "middleware forwards only requests",
        lifespans,
        lambda log: "forwards started" not in log,
        "yes",
    ),
    case(
        "and the log has its usual line",
        lifespans,
        lambda log: "startup complete" in said_of(log, "forwards"),
        "yes",
    ),
    case("middleware fails on it", lifespans, lambda log: "reads started" not in log, "yes"),
    case(
        "and the log says `unsupported`",
        lifespans,
        lambda log: "unsupported" in said_of(log, "reads"),
        "yes",
    ),
    case("the app is mounted", lifespans, lambda log: "mounted started" not in log, "yes"),
    case(
        "an event has a lifespan beside it",
        lifespans,
        lambda log: "event-beside-a-lifespan started" not in log,
        "no; yes from fastapi 0.93",
    ),
)

claim(
    "C08",
    "A task is put on a loop that never runs.",
    Verdict.HOLDS_IF,
    case(
        "one uvicorn process",
        at_import,
        lambda s: "get-event-loop ran" not in s["uvicorn"],
        "no; yes from uvicorn 0.47",
    ),
    case(
        "uvicorn with workers",
        at_import,
        lambda s: "get-event-loop ran" not in s["uvicorn --workers"],
        "no",
    ),
    case(
        "gunicorn",
        at_import,
        lambda s: "get-event-loop ran" not in s["gunicorn"],
        "yes",
    ),
)

claim(
    "C09",
    "A task without a reference was collected.",
    Verdict.HOLDS,
    case("it never ends", answered, lambda a: "destroyed but it is pending" in a.log, "yes"),
)

claim(
    "C10",
    "gunicorn's own ASGI worker cancels, and says nothing.",
    Verdict.HOLDS,
    case(
        "the client has left, and the task awaits",
        asgi_worker,
        lambda a: "left-awaits got CancelledError" in a.log,
        "-; yes from gunicorn 24",
    ),
    case(
        "a thread goes on",
        asgi_worker,
        lambda a: "left-threads ended" in a.log,
        "-; yes from gunicorn 24",
    ),
    case(
        "the client stays, and the task ends",
        asgi_worker,
        lambda a: "stayed ended" in a.log,
        "-; yes from gunicorn 24",
    ),
    case(
        "no line tells of an error in a task",
        asgi_worker,
        lambda a: "ValueError: first" not in a.log,
        "-; no from gunicorn 24; yes from gunicorn 26",
    ),
)

claim(
    "C11",
    "The pool of threads is used up.",
    Verdict.HOLDS,
    case(
        "40 tasks wait, and a `def` endpoint with them",
        full_pool,
        lambda p: p.started == 40 and not p.def_with_40,
        "yes",
    ),
    case("an `async def` endpoint does not wait", full_pool, lambda p: p.async_with_40, "yes"),
)

claim(
    "C12",
    "Nobody waits for a task of your own at the end.",
    Verdict.HOLDS,
    case(
        "SIGTERM: a background task ends first",
        ended,
        lambda e: "task-SIGTERM ended" in e.terminated,
        "yes",
    ),
    case(
        "SIGTERM: a created task does not end",
        ended,
        lambda e: "own-SIGTERM ended" not in e.terminated,
        "yes",
    ),
    case(
        "SIGTERM: not even its `finally` is run",
        ended,
        lambda e: "own-SIGTERM finally" not in e.terminated,
        "no; yes from uvicorn 0.29",
    ),
    case(
        "Ctrl-C: its `finally` is run",
        ended,
        lambda e: "own-SIGINT finally" in e.interrupted,
        "yes",
    ),
)

claim(
    "C13",
    "What gunicorn's timeouts do.",
    Verdict.HOLDS,
    case("a blocked loop is killed", timeouts, lambda t: t.killed("blocked"), "yes"),
    case(
        "so is a worker that is longer in ending",
        draining,
        lambda d: "WORKER TIMEOUT" in d["max-requests"],
        "yes",
    ),
    case(
        "a deploy ends the task without a line",
        draining,
        lambda d: (
            "deployed ended" not in d["graceful-timeout"] and "ERROR" not in d["graceful-timeout"]
        ),
        "yes",
    ),
)

claim(
    "C14",
    "The evidence is missing, not the task.",
    Verdict.HOLDS,
    case("`print` is not seen", voices, lambda v: "by print" not in v.plain, "yes"),
    case("`logger.info` is not seen", voices, lambda v: "by info" not in v.at_debug, "yes"),
)

claim(
    "C15",
    "Every worker has its own.",
    Verdict.HOLDS,
    case(
        "three workers, three lifespans",
        one_a_worker,
        lambda count: count == 3,
        "-; yes from fastapi 0.93",
    ),
)

claim(
    "C16",
    "A middleware cancels the task when the client leaves.",
    Verdict.OUTDATED,
    case(
        "the client leaves",
        behind_middleware,
        lambda seen: not seen["leaves"],
        "yes; no from starlette 0.21",
    ),
)

claim(
    "C17",
    "`except Exception` does not see a cancellation.",
    Verdict.HOLDS,
    case("it is no `Exception`", standard_library, lambda said: not said["cancelled"], "yes"),
    case(
        "uvicorn gives up waiting, and nothing is caught",
        gave_up,
        lambda log: "cancelled got CancelledError" in log and "cancelled caught" not in log,
        "-; yes from uvicorn 0.22",
    ),
)

claim(
    "C18",
    "SIGTERM never arrives.",
    Verdict.HOLDS,
    case("a shell stands before the server", behind_a_shell, lambda heard: not heard[0], "yes"),
    case("with `exec` it arrives", behind_a_shell, lambda heard: heard[1], "yes"),
)

claim(
    "C19",
    "It is the wrong thread, or the wrong loop.",
    Verdict.HOLDS,
    case(
        "`asyncio.run` in a `def` task is another loop",
        answered,
        lambda a: "the same loop in def False" in a.log,
        "yes",
    ),
    case(
        "what belongs to the first loop fails there",
        answered,
        lambda a: "attached to a different loop" in a.log,
        "yes",
    ),
)

claim(
    "C20",
    "What is awaited before the `yield` keeps the server from starting.",
    Verdict.HOLDS,
    case("it answers nobody", stuck, lambda s: not s[0], "-; yes from fastapi 0.93"),
    case("SIGTERM does not end it", stuck, lambda s: not s[1], "-; yes from fastapi 0.93"),
)

claim(
    "C21",
    "What was handed over is closed.",
    Verdict.HOLDS,
    case(
        "a file from a `with` in the endpoint",
        answered,
        lambda a: "lent file: I/O operation on closed file" in a.log,
        "yes",
    ),
)

claim(
    "C22",
    "Tasks of one answer run one after another.",
    Verdict.HOLDS,
    case(
        "one waits for the one before it",
        sequence,
        lambda s: s.index("two ended") < s.index("behind two ran"),
        "yes",
    ),
    case(
        "after a stream, only when the stream has ended",
        answered,
        lambda a: a.order("stream ended", "after-a-stream-that-ends ran"),
        "yes",
    ),
)

claim(
    "C23",
    "A test client does not do what a server does.",
    Verdict.HOLDS,
    case(
        "without `with`, TestClient starts no lifespan",
        in_tests,
        lambda said: "client: lifespan" not in said,
        "yes",
    ),
    case(
        "it returns only when the task has ended",
        in_tests,
        lambda said: said.index("client: task ended") < said.index("client: answered"),
        "yes",
    ),
    case(
        "a created task is cut off",
        in_tests,
        lambda said: "client: created ended" not in said,
        "yes",
    ),
)

claim(
    "C24",
    "uvicorn's own supervisor kills a worker.",
    Verdict.HOLDS,
    case("it keeps the GIL", health_check, lambda log: "died" in log, "-; yes from uvicorn 0.30"),
    case("it blocks, and is spared", two_workers, lambda t: "blocks ended" in t.blocked, "yes"),
)

claim(
    "C25",
    "Celery does not know the task.",
    Verdict.HOLDS,
    case(
        "only the worker's log says so",
        queued,
        lambda q: "nobody.knows.it" in q.unknown_to_celery,
        "-; yes today",
    ),
)

claim(
    "C26",
    "The job waits where nobody looks, or is not taken.",
    Verdict.HOLDS,
    case(
        "RQ: a queue without a worker",
        queued,
        lambda q: q.on_another_queue == "queued",
        "-; yes today",
    ),
    case(
        "Arq: a second job with the same name",
        queued,
        lambda q: not q.second_of_one_name,
        "-; yes today",
    ),
)

claim(
    "C27",
    "A thread from before the fork is not in the worker.",
    Verdict.HOLDS,
    case(
        "`--preload`, and a thread made at import",
        preloaded,
        lambda beats: beats == (True, False),
        "yes",
    ),
)

claim(
    "C28",
    "A context variable is not there.",
    Verdict.HOLDS_IF,
    case("set in a `def` endpoint", answered, lambda a: "tenant in def nobody" in a.log, "yes"),
    case(
        "set in an `async def` endpoint",
        answered,
        lambda a: "tenant in async nobody" in a.log,
        "no",
    ),
)

not_testable("C29", "A platform freezes the process after the answer.")

claim(
    "C30",
    "Nothing is injected into a task.",
    Verdict.HOLDS,
    case("it gets the `Depends` itself", answered, lambda a: "injected Depends" in a.log, "yes"),
)

claim(
    "C31",
    "Python itself has changed what ends a task.",
    Verdict.HOLDS,
    case(
        "a cancellation is no `Exception` since 3.8",
        standard_library,
        lambda said: not said["cancelled"],
        "yes",
    ),
)
