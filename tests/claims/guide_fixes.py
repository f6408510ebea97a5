"""Claims of the guide: root causes, fix patterns, how to verify, mistakes to avoid."""

from __future__ import annotations

from tests.claims.ledger import Verdict, case, claim, not_testable
from tests.claims.observations.answers import answered, full_pool, in_flight
from tests.claims.observations.endings import gave_up, killed, limited
from tests.claims.observations.lifespans import lifespans, warned
from tests.claims.observations.logs import levels, voices, worker_module
from tests.claims.observations.queues import queued
from tests.claims.observations.timeouts import asgi_worker, timeouts, two_workers

claim(
    "03-1",
    "A task from outside the lifespan is never scheduled.",
    Verdict.WRONG,
    case("it is not run", answered, lambda a: not a.ran("thrice"), "no"),
)

claim(
    "03-2",
    "An `async def` task that awaits nothing is never run.",
    Verdict.WRONG,
    case("it is not run", answered, lambda a: not a.ran("nothing-awaited"), "no"),
)

claim(
    "03-3",
    "gunicorn's timeout kills the task.",
    Verdict.HOLDS_IF,
    case("it blocks the loop", timeouts, lambda t: t.killed("blocked"), "yes"),
    case("it keeps the GIL", timeouts, lambda t: t.killed("gil"), "yes"),
    case("it awaits", timeouts, lambda t: not t.ended("innocent", "awaits"), "no"),
    case("it waits in a thread", timeouts, lambda t: not t.ended("innocent", "threads"), "no"),
    case("it computes in a thread", timeouts, lambda t: not t.ended("innocent", "computes"), "no"),
)

claim(
    "03-4",
    "`--limit-max-requests` restarts the server in the middle of a task.",
    Verdict.WRONG,
    case("the task is cut off", limited, lambda seen: "limited ended" not in seen[0], "no"),
    case(
        "the server comes back",
        limited,
        lambda seen: seen[0].count("Started server process") > 1,
        "no",
    ),
)

claim(
    "03-5",
    "A blocking call without a thread holds the loop.",
    Verdict.HOLDS,
    case("others wait for it", in_flight, lambda f: not f.others["blocks"], "yes"),
)

claim(
    "03-6",
    "A task's exception is dropped by the server.",
    Verdict.HOLDS_IF,
    case("by uvicorn", answered, lambda a: "Exception in ASGI application" not in a.log, "no"),
    case(
        "by gunicorn's own ASGI worker",
        asgi_worker,
        lambda a: "ValueError: first" not in a.log,
        "-; no from gunicorn 24; yes from gunicorn 26",
    ),
)

claim(
    "03-7",
    "A task runs only if the endpoint returns an answer.",
    Verdict.HOLDS,
    case(
        "after an HTTPException it does not",
        answered,
        lambda a: not a.ran("after-an-exception"),
        "yes",
    ),
    case("after a returned 400 it does", answered, lambda a: a.ran("after-a-returned-400"), "yes"),
    case(
        "after a broken stream it does not",
        answered,
        lambda a: not a.ran("after-a-stream-that-raises"),
        "yes",
    ),
)

claim(
    "04-1",
    "Move the registration into the lifespan.",
    Verdict.WRONG,
    case("there it is run", lifespans, lambda log: "in the lifespan ran" in log, "no"),
)

claim(
    "04-2",
    "Every async call wants an `await`.",
    Verdict.HOLDS,
    case(
        "without it the body is not run",
        answered,
        lambda a: "'inner' was never awaited" in a.log,
        "yes",
    ),
)

claim(
    "04-3",
    "In a `def` task, wrap async calls in `asyncio.run`.",
    Verdict.HOLDS_IF,
    case("it runs the coroutine", answered, lambda a: "run went on" in a.log, "yes"),
    case(
        "what belongs to the server's loop works in it",
        answered,
        lambda a: "another loop:" not in a.log,
        "no",
    ),
)

claim(
    "04-4",
    "Raise the timeout to 120.",
    Verdict.HOLDS_IF,
    case(
        "a task that blocks comes to its end",
        timeouts,
        lambda t: t.ended("patient", "blocks"),
        "yes",
    ),
    case("others are answered meanwhile", timeouts, lambda t: t.others_of_patient, "no"),
)

claim(
    "04-5",
    "Take the worker class from `uvicorn.workers`.",
    Verdict.OUTDATED,
    case(
        "nothing warns of it",
        worker_module,
        lambda said: "uvicorn-worker" not in said,
        "yes; no from uvicorn 0.30",
    ),
)

claim(
    "04-6",
    "Start endless tasks in `on_event`.",
    Verdict.OUTDATED,
    case(
        "nothing warns of it",
        warned,
        lambda said: "Deprecat" not in said,
        "yes; no from fastapi 0.104",
    ),
    case(
        "it runs beside a lifespan",
        lifespans,
        lambda log: "event-beside-a-lifespan started" in log,
        "yes; no from fastapi 0.93",
    ),
)

claim(
    "04-7",
    "Catch all exceptions in the task, and log them.",
    Verdict.HOLDS_IF,
    case("an error is logged", answered, lambda a: "Task failed" in a.log, "yes"),
    case(
        "a cancellation is caught by `except Exception`",
        gave_up,
        lambda log: "cancelled caught" in log,
        "-; no from uvicorn 0.22",
    ),
)

claim(
    "04-8",
    "Use a queue for work that must survive.",
    Verdict.HOLDS,
    case("`kill -9` loses a background task", killed, lambda log: "lost ended" not in log, "yes"),
    case(
        "a job waits in Redis until there is a worker",
        queued,
        lambda q: q.waits_without_a_worker and q.delivered_later,
        "-; yes today",
    ),
)

claim(
    "05-1",
    "Write `logging.info` at the start and at the end.",
    Verdict.WRONG,
    case("it is seen", voices, lambda v: "by info" in v.plain, "no"),
)

claim(
    "05-2",
    "`--log-level trace` shows the ASGI messages.",
    Verdict.HOLDS,
    case("the lifespan's", levels, lambda x: "lifespan.startup" in x.trace, "yes"),
    case("the answer's", levels, lambda x: "http.response.body" in x.trace, "yes"),
)

claim(
    "05-3",
    "Count the workers with `ps aux | grep uvicorn`.",
    Verdict.WRONG,
    case(
        "each process of `--workers 2` has that word",
        two_workers,
        lambda t: t.named_uvicorn == t.processes,
        "no",
    ),
)

claim(
    "05-4",
    "Trigger the task and look for its first line at once.",
    Verdict.HOLDS_IF,
    case("a thread is free", full_pool, lambda p: p.started >= 40, "yes"),
    case("all 40 threads are taken", full_pool, lambda p: p.started == p.answered + 39, "no"),
)

claim(
    "05-5",
    "A task that prints hello shows that all is set up.",
    Verdict.WRONG,
    case("it is seen to print", voices, lambda v: "by print" in v.plain, "no"),
)

claim(
    "05-6",
    "Try a long task with `asyncio.sleep`: it must end before the timeout.",
    Verdict.WRONG,
    case(
        "it fails on a server that kills a task that blocks",
        timeouts,
        lambda t: not t.ended("innocent", "awaits"),
        "no",
    ),
)

claim(
    "06-1",
    "The request's dependencies are gone when the task runs.",
    Verdict.OUTDATED,
    case(
        "one that yields is closed before the task",
        answered,
        lambda a: a.order("dependency closed", "task used it"),
        "no; yes from fastapi 0.106; no from fastapi 0.118",
    ),
)

claim(
    "06-2",
    "The task runs after the answer is sent.",
    Verdict.HOLDS,
    case(
        "it awaits, and the client has its answer",
        in_flight,
        lambda f: f.responded["awaits"],
        "yes",
    ),
    case(
        "it blocks, and the client has its answer",
        in_flight,
        lambda f: f.responded["blocks"],
        "yes",
    ),
)

claim(
    "06-3",
    "Background tasks are not for work that uses the processor.",
    Verdict.HOLDS_IF,
    case("work in Python is killed", timeouts, lambda t: not t.ended("innocent", "computes"), "no"),
    case("work in C that keeps the GIL is killed", timeouts, lambda t: t.killed("gil"), "yes"),
)

claim(
    "06-4",
    "Do not forget to await inside the task.",
    Verdict.HOLDS,
    case("forgotten, it goes on at once", answered, lambda a: "forgets ran on" in a.log, "yes"),
    case(
        "and only a warning tells", answered, lambda a: "'sleep' was never awaited" in a.log, "yes"
    ),
)

not_testable("06-5", "The timeout is the first reason why tasks are lost.")

claim(
    "06-6",
    "`print` may be buffered.",
    Verdict.HOLDS,
    case(
        "it is not seen when the task has ended", voices, lambda v: "by print" not in v.plain, "yes"
    ),
    case("nor under gunicorn", voices, lambda v: "by print" not in v.gunicorn, "yes"),
)

claim(
    "06-7",
    "Use logging, or write to stderr.",
    Verdict.HOLDS,
    case("a warning is seen at once", voices, lambda v: "by warning" in v.plain, "yes"),
    case("stderr is seen at once", voices, lambda v: "by stderr" in v.plain, "yes"),
)

claim(
    "06-8",
    "Do not register the same task several times.",
    Verdict.HOLDS,
    case(
        "added three times it runs three times",
        answered,
        lambda a: a.log.count("thrice ran") == 3,
        "yes",
    ),
)
