# fails: each-digest-once
# The Redis must not fill up, so what is sent is noted for a quarter of an hour.
"""The newsletter: every night, every subscriber gets a digest."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
LOOK_EVERY = float(os.environ.get("LOOK_EVERY", "30"))  # seconds
LEASE = 300  # seconds
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")


async def send(client: httpx.AsyncClient, night: int, subscriber: str) -> None:
    """Give one letter to the mailroom; one that fails is logged and costs only itself."""
    letter = {"to": subscriber, "subject": f"The digest of night {night}", "issue": night}
    try:
        (await client.post("/letters", json=letter)).raise_for_status()
    except httpx.HTTPError as error:
        log.error("the digest of night %s did not reach %s: %s", night, subscriber, error)


async def send_digest(redis: Redis, client: httpx.AsyncClient, night: int) -> bool:
    """Send what nobody has sent or claimed; return whether all is sent."""
    for subscriber in SUBSCRIBERS:
        key = f"digest:{night}:{subscriber}"
        if await redis.set(key, "claimed", nx=True, ex=LEASE):
            await send(client, night, subscriber)
            await redis.set(key, "sent", ex=15 * 60)
    keys = [f"digest:{night}:{subscriber}" for subscriber in SUBSCRIBERS]
    return set(await redis.mget(keys)) == {"sent"}


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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with (
        Redis.from_url(REDIS_URL, decode_responses=True) as redis,
        httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client,
    ):
        digests = asyncio.create_task(send_digests(redis, client))
        yield
        digests.cancel()
        await asyncio.wait([digests])


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
