"""Claims of the guide: what it usually means, fast diagnosis, where to look."""

from __future__ import annotations

from tests.claims.ledger import Verdict, case, claim, not_testable
from tests.claims.observations.answers import answered
from tests.claims.observations.endings import gave_up
from tests.claims.observations.lifespans import lifespans
from tests.claims.observations.logs import levels, sources, voices
from tests.claims.observations.timeouts import asgi_worker, draining, timeouts, two_workers

claim(
    "I-1",
    "Background tasks need the lifespan.",
    Verdict.WRONG,
    case("without the lifespan, none is run", answered, lambda a: not a.ran("thrice"), "no"),
)

claim(
    "I-2",
    "No task ran, because the lifespan never started.",
    Verdict.HOLDS_IF,
    case(
        "the task is one of the lifespan",
        lifespans,
        lambda log: "mounted started" not in log,
        "yes",
    ),
    case("the task is a BackgroundTask", answered, lambda a: not a.ran("thrice"), "no"),
)

claim(
    "I-3",
    "A `def` function that uses asyncio has no event loop.",
    Verdict.HOLDS_IF,
    case(
        "`create_task` finds none",
        answered,
        lambda a: "create-task raised no running" in a.log,
        "yes",
    ),
    case("`asyncio.run` finds none", answered, lambda a: "run went on" not in a.log, "no"),
    case(
        "`anyio.from_thread.run` finds none",
        answered,
        lambda a: "from-thread went" not in a.log,
        "no",
    ),
)

claim(
    "I-4",
    "gunicorn with several workers kills the task.",
    Verdict.HOLDS_IF,
    case(
        "two workers, a task that awaits",
        timeouts,
        lambda t: not t.ended("innocent", "awaits"),
        "no",
    ),
    case("one worker, a task that blocks", timeouts, lambda t: t.killed("blocked"), "yes"),
)

claim(
    "I-5",
    "The server swallows a task's error.",
    Verdict.HOLDS_IF,
    case("uvicorn does", answered, lambda a: "ValueError: first" not in a.log, "no"),
    case(
        "gunicorn's own ASGI worker does",
        asgi_worker,
        lambda a: "ValueError: first" not in a.log,
        "-; no from gunicorn 24; yes from gunicorn 26",
    ),
)

claim(
    "01-1",
    "No `print` from its first line, so the task was never called.",
    Verdict.WRONG,
    case("its `print` is seen when it has run", voices, lambda v: "by print" in v.plain, "no"),
)

claim(
    "01-2",
    "No log line from its start, so the task was never called.",
    Verdict.WRONG,
    case("its `logger.info` is seen when it has run", voices, lambda v: "by info" in v.plain, "no"),
    case("with `--log-level debug`", voices, lambda v: "by info" in v.at_debug, "no"),
)

claim(
    "01-3",
    "Register background tasks inside the lifespan.",
    Verdict.WRONG,
    case("there, somebody runs them", lifespans, lambda log: "in the lifespan ran" in log, "no"),
)

claim(
    "01-4",
    "It works with `--workers 1`, so it is the number of workers.",
    Verdict.WRONG,
    case(
        "gunicorn with one worker spares a task that blocks",
        timeouts,
        lambda t: t.ended("blocked", "blocks"),
        "no",
    ),
    case(
        "uvicorn with two workers kills it",
        two_workers,
        lambda t: "blocks ended" not in t.blocked,
        "no",
    ),
)

claim(
    "01-5",
    "Catch the error in the task, and write it to stderr.",
    Verdict.HOLDS_IF,
    case("an error is caught", answered, lambda a: "Error: 'user_id'" in a.log, "yes"),
    case(
        "its kind is told by `{e}`",
        answered,
        lambda a: "KeyError" in a.log.partition("Error: 'user_id'")[0][-200:],
        "no",
    ),
    case(
        "a cancellation is caught by `except Exception`",
        gave_up,
        lambda log: "cancelled caught" in log,
        "-; no from uvicorn 0.22",
    ),
)

claim(
    "01-6",
    "Many servers, such as gunicorn, forward only stderr.",
    Verdict.WRONG,
    case(
        "gunicorn keeps stdout back",
        voices,
        lambda v: "by print" not in v.gunicorn_unbuffered,
        "no",
    ),
)

claim(
    "01-7",
    "Look for `Task was destroyed but it is pending`.",
    Verdict.HOLDS_IF,
    case(
        "a task of your own, without a reference",
        answered,
        lambda a: "wait_for_nobody" in a.log and "destroyed but it is pending" in a.log,
        "yes",
    ),
    case(
        "one whose error nobody asked for, with a reference",
        answered,
        lambda a: "held" in a.log and "ValueError: held" in a.log,
        "no",
    ),
)

claim(
    "01-8",
    "Look for `Exception in task`.",
    Verdict.WRONG,
    case(
        "any of the packages writes these words",
        sources,
        lambda said: '"Exception in task": 0' not in said,
        "no",
    ),
)

claim(
    "02-1",
    "The lifespan usually owns the bug.",
    Verdict.HOLDS_IF,
    case(
        "a lifespan that is not reached loses its own tasks",
        lifespans,
        lambda log: "forwards started" not in log,
        "yes",
    ),
    case("it loses background tasks", answered, lambda a: not a.ran("thrice"), "no"),
)

claim(
    "02-2",
    "Look at gunicorn's `timeout`, `workers` and `graceful_timeout`.",
    Verdict.HOLDS_IF,
    case("`timeout` ends a task that blocks", timeouts, lambda t: t.killed("blocked"), "yes"),
    case(
        "`graceful_timeout` ends a task at a deploy",
        draining,
        lambda d: "deployed ended" not in d["graceful-timeout"],
        "yes",
    ),
    case("`workers` ends a task", timeouts, lambda t: not t.ended("innocent", "awaits"), "no"),
)

claim(
    "02-3",
    "`--log-level debug` shows the task.",
    Verdict.WRONG,
    case(
        "it has more lines than `info`", levels, lambda x: x.lines("debug") > x.lines("info"), "no"
    ),
)

claim(
    "02-4",
    "The app's log file has the traceback.",
    Verdict.OUTDATED,
    case(
        "the app's file has it",
        answered,
        lambda a: "ValueError: first" in a.app_log,
        "yes; no from uvicorn 0.19",
    ),
)

not_testable("02-5", "Look into `journalctl` and `docker logs`.")

claim(
    "02-6",
    "Look whether the task is `async def` or `def`.",
    Verdict.HOLDS,
    case("`async def` that blocks is killed", timeouts, lambda t: t.killed("blocked"), "yes"),
    case(
        "`def` that waits as long is not", timeouts, lambda t: t.ended("innocent", "threads"), "yes"
    ),
)
