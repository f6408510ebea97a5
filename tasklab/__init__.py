"""The bench: real servers, a real mailroom, and evidence seen from outside the app."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasklab.brokers import PostgresServer, RedisServer, postgres_server, redis_server
    from tasklab.checks import CheckBroken, CheckFailed, check, hidden_check
    from tasklab.gates import DeadlinePassed, comes_true, wait_until
    from tasklab.grids import Grid
    from tasklab.heartbeat import Heartbeat
    from tasklab.mailroom import Letter, Mailroom
    from tasklab.processes import ServerDidNotStart, ServerProcess
    from tasklab.programs import Program, program
    from tasklab.releases import NotInstalled, environment_with
    from tasklab.servers import begin_deploy, deploy, gunicorn, outwait, uvicorn
    from tasklab.serving import serve, serve_here
    from tasklab.timeline import Timeline
    from tasklab.verdicts import Outcome, Verdict
    from tasklab.workers import WorkerProcess, arq, celery, rq, worker

__all__ = [
    "CheckBroken",
    "CheckFailed",
    "DeadlinePassed",
    "Grid",
    "Heartbeat",
    "Letter",
    "Mailroom",
    "NotInstalled",
    "Outcome",
    "PostgresServer",
    "Program",
    "RedisServer",
    "ServerDidNotStart",
    "ServerProcess",
    "Timeline",
    "Verdict",
    "WorkerProcess",
    "arq",
    "begin_deploy",
    "celery",
    "check",
    "comes_true",
    "deploy",
    "environment_with",
    "gunicorn",
    "hidden_check",
    "outwait",
    "postgres_server",
    "program",
    "redis_server",
    "rq",
    "serve",
    "serve_here",
    "uvicorn",
    "wait_until",
    "worker",
]

# A learner's check must feel instant, and matplotlib or httpx alone take longer than a server
# start: a name is imported when it is first used.
_homes = {
    "CheckBroken": "checks",
    "CheckFailed": "checks",
    "DeadlinePassed": "gates",
    "Grid": "grids",
    "Heartbeat": "heartbeat",
    "Letter": "mailroom",
    "Mailroom": "mailroom",
    "NotInstalled": "releases",
    "Outcome": "verdicts",
    "PostgresServer": "brokers",
    "Program": "programs",
    "RedisServer": "brokers",
    "ServerDidNotStart": "processes",
    "ServerProcess": "processes",
    "Timeline": "timeline",
    "Verdict": "verdicts",
    "WorkerProcess": "workers",
    "arq": "workers",
    "begin_deploy": "servers",
    "celery": "workers",
    "check": "checks",
    "comes_true": "gates",
    "deploy": "servers",
    "environment_with": "releases",
    "gunicorn": "servers",
    "hidden_check": "checks",
    "outwait": "servers",
    "postgres_server": "brokers",
    "program": "programs",
    "redis_server": "brokers",
    "rq": "workers",
    "serve": "serving",
    "serve_here": "serving",
    "uvicorn": "servers",
    "wait_until": "gates",
    "worker": "workers",
}


def __getattr__(name: str) -> Any:
    try:
        home = _homes[name]
    except KeyError:
        raise AttributeError(f"module 'tasklab' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"tasklab.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
