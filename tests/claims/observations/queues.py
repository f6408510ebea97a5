"""What queues do with jobs, on a real Redis: observations only, on the releases that run this."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasklab.brokers import RedisServer, redis_server
from tasklab.gates import wait_until
from tasklab.workers import celery, rq
from tests.claims.ledger import NotAsked

if TYPE_CHECKING:
    from redis import Redis

    from tests.claims.bench import Bench

__all__ = ["Queued", "queued"]


@dataclass(frozen=True)
class Queued:
    """What became of jobs."""

    unknown_to_celery: str
    waits_without_a_worker: bool
    delivered_later: bool
    on_another_queue: str
    second_of_one_name: bool


def queued(bench: Bench) -> Queued:
    if bench.stack.pins:
        raise NotAsked
    from rq import Queue

    with redis_server() as redis:
        with celery("queues:queue", redis=redis) as worker:
            _send_to_celery(redis)
            unknown = worker.log.wait_for("Received unregistered task", within=60)
        client: Redis = redis.client()
        job = Queue("default", connection=client).enqueue("queues.deliver", 7)
        other = Queue("others", connection=client).enqueue("queues.deliver", 8)
        waits = job.get_status() == "queued"
        env = {"PYTHONPATH": os.curdir}
        with rq(redis=redis, env=env) as worker:
            wait_until(lambda: job.get_status() == "finished", within=60, what="the job's end")
            on_other = str(other.get_status().value)
        second = asyncio.run(_twice(redis))
    return Queued(unknown, waits, "delivered 7" in worker.log, on_other, second)


def _send_to_celery(redis: RedisServer) -> None:
    from celery import Celery  # type: ignore[import-untyped]

    with Celery("publisher", broker=redis.url) as publisher:
        publisher.send_task("nobody.knows.it")


async def _twice(redis: RedisServer) -> bool:
    """Whether Arq takes a second job with the name of one that is queued."""
    from arq import create_pool
    from arq.connections import RedisSettings

    pool = await create_pool(RedisSettings.from_dsn(redis.url))
    try:
        jobs = [await pool.enqueue_job("deliver_by_arq", 7, _job_id="issue-7") for _ in range(2)]
    finally:
        await pool.aclose()
    return jobs[1] is not None
