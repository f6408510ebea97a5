"""The workers of a task queue by name: Celery, RQ and Arq."""

from __future__ import annotations

import shlex
import string
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tasklab.children import ChildProcess

if TYPE_CHECKING:
    from tasklab.brokers import RedisServer
    from tasklab.mailroom import Mailroom

__all__ = ["WorkerProcess", "arq", "celery", "rq", "worker"]

_MODULES = {"celery": "celery", "rq": "rq.cli", "arq": "arq"}


class WorkerProcess(ChildProcess):
    """A worker in a process of its own, which takes jobs from a Redis and listens to nobody."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        redis: RedisServer | None = None,
        mailroom: Mailroom | None = None,
        says_when_ready: str = "",
        env: Mapping[str, str] | None = None,
        start_within: float | None = None,
    ) -> None:
        super().__init__(name, arguments, env=env, start_within=start_within)
        self.redis = redis
        self.mailroom = mailroom
        self._says_when_ready = says_when_ready

    def _surroundings(self) -> dict[str, str]:
        urls = {} if self.mailroom is None else {"MAILROOM_URL": self.mailroom.url}
        if self.redis is not None:
            # RQ's own command line reads the second.
            urls |= {"REDIS_URL": self.redis.url, "RQ_REDIS_URL": self.redis.url}
        return {**urls, **super()._surroundings()}

    def _is_ready(self) -> bool:
        return self._says_when_ready in self.log


def celery(
    target: str,
    *,
    redis: RedisServer | None = None,
    mailroom: Mailroom | None = None,
    concurrency: int = 1,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float | None = None,
) -> WorkerProcess:
    """Run a Celery worker for `target` ("newsletter:queue", a module in the current folder).

    The app finds the Redis in REDIS_URL.
    """
    settings = ["--concurrency", str(concurrency), "--loglevel", "INFO"]
    # It would wait a second for other workers to say hello.
    settings += ["--without-mingle", "--without-gossip"]
    return WorkerProcess(
        "celery",
        ["celery", "--app", target, "worker", *settings, *arguments],
        redis=redis,
        mailroom=mailroom,
        says_when_ready=" ready.",
        env=env,
        start_within=start_within,
    )


def rq(
    *queues: str,
    redis: RedisServer | None = None,
    mailroom: Mailroom | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float | None = None,
) -> WorkerProcess:
    """Run an RQ worker for these queues, or for "default"; it imports what the jobs name."""
    return WorkerProcess(
        "rq",
        ["rq.cli", "worker", *arguments, *queues],
        redis=redis,
        mailroom=mailroom,
        says_when_ready="Listening on ",
        env=env,
        start_within=start_within,
    )


def arq(
    target: str,
    *,
    redis: RedisServer | None = None,
    mailroom: Mailroom | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    start_within: float | None = None,
) -> WorkerProcess:
    """Run an Arq worker with the settings `target` ("newsletter.WorkerSettings").

    The settings find the Redis in REDIS_URL.
    """
    return WorkerProcess(
        "arq",
        ["arq", target, *arguments],
        redis=redis,
        mailroom=mailroom,
        says_when_ready="Starting worker for ",
        env=env,
        start_within=start_within,
    )


def worker(
    command: str,
    *,
    redis: RedisServer | None = None,
    mailroom: Mailroom | None = None,
    env: Mapping[str, str] | None = None,
) -> WorkerProcess:
    """Run the worker that a line of a Procfile names: celery, rq, arq, or python with a file.

    Like a shell it fills in $REDIS_URL. It counts as ready as soon as it runs. Raises ValueError
    for any other command.
    """
    known = {"REDIS_URL": redis.url} if redis is not None else {}
    words = shlex.split(string.Template(command).safe_substitute(known))
    match words:
        case [name, *rest] if name in _MODULES:
            arguments = [_MODULES[name], *rest]
        case ["python" | "python3", "-m", module, *rest]:
            arguments = [_MODULES.get(module, module), *rest]
        case ["python" | "python3", file, *rest] if not file.startswith("-"):
            arguments = [sys.executable, file, *rest]
        case _:
            raise ValueError(f"{command!r} does not begin with celery, rq, arq or python FILE")
    return WorkerProcess(words[0], arguments, redis=redis, mailroom=mailroom, env=env)
