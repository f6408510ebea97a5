# passes: one leader, who renews a lease as long as it lives and gives it back when it ends
# The letters are noted, so a new leader goes on where the old one was.
# file: newsletter.py
"""The newsletter: every night, every subscriber gets a digest."""

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
LOOK_EVERY = float(os.environ.get("LOOK_EVERY", "30"))  # seconds
LEASE = 150  # seconds
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
ME = uuid.uuid4().hex


async def send(client: httpx.AsyncClient, night: int, subscriber: str) -> None:
    """Give one letter to the mailroom; one that fails is logged and costs only itself."""
    letter = {"to": subscriber, "subject": f"The digest of night {night}", "issue": night}
    try:
        (await client.post("/letters", json=letter)).raise_for_status()
    except httpx.HTTPError as error:
        log.error("the digest of night %s did not reach %s: %s", night, subscriber, error)


async def send_digest(redis: Redis, client: httpx.AsyncClient, night: int) -> bool:
    """Send what is missing, unless another replica is at it; return whether all is sent."""
    if await redis.get("leader") != ME:
        return False
    for subscriber in SUBSCRIBERS:
        if not await redis.sismember(f"digest:{night}:sent", subscriber):
            await send(client, night, subscriber)
            await redis.sadd(f"digest:{night}:sent", subscriber)
    return True


async def send_digests(redis: Redis, client: httpx.AsyncClient) -> None:
    """Send the digest of the night in which the app starts, and of each that comes."""
    sent = 0
    while True:
        try:
            night = int(await redis.get("night") or 0)
            if night > sent:
                if await send_digest(redis, client, night):
                    sent = night
        except Exception:
            log.exception("a look at the calendar failed; the next one follows")
        await asyncio.sleep(LOOK_EVERY)


async def stand_for_leader(redis: Redis) -> None:
    """Become the leader when there is none, and stay it."""
    while True:
        if not await redis.set("leader", ME, nx=True, ex=LEASE) and await redis.get("leader") == ME:
            await redis.expire("leader", LEASE)
        await asyncio.sleep(LOOK_EVERY)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with (
        Redis.from_url(REDIS_URL, decode_responses=True) as redis,
        httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client,
    ):
        tasks = [
            asyncio.create_task(stand_for_leader(redis)),
            asyncio.create_task(send_digests(redis, client)),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        if await redis.get("leader") == ME:
            await redis.delete("leader")


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
