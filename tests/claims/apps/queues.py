"""A Celery app, an RQ job and the settings of an Arq worker."""

import os

from arq.connections import RedisSettings
from celery import Celery
from voices import say

queue = Celery("queues", broker=os.environ["REDIS_URL"])


def deliver(number: int) -> None:
    say("delivered", number)


async def deliver_by_arq(_: object, number: int) -> None:
    deliver(number)


class WorkerSettings:
    functions = [deliver_by_arq]  # noqa: RUF012
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
