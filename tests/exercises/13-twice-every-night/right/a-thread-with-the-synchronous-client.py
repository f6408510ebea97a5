# passes: a thread with the synchronous client, which looks at an Event between its looks
# The letter in flight is waited for at shutdown.
# file: newsletter.py
"""The newsletter: every night, every subscriber gets a digest."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from redis import Redis

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
LOOK_EVERY = float(os.environ.get("LOOK_EVERY", "30"))  # seconds
LEASE = 400  # seconds
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
redis = Redis.from_url(REDIS_URL)
ending = threading.Event()


def send_missing(night: int) -> None:
    """Send what is missing; at the end of the app, leave the rest to another replica."""
    with httpx.Client(base_url=MAILROOM_URL, timeout=120) as client:
        for subscriber in SUBSCRIBERS:
            if ending.is_set():
                return
            if redis.sismember(f"sent:{night}", subscriber):
                continue
            letter = {"to": subscriber, "subject": f"The digest of night {night}", "issue": night}
            try:
                client.post("/letters", json=letter).raise_for_status()
            except httpx.HTTPError as error:
                log.error("night %s did not reach %s: %s", night, subscriber, error)
            redis.sadd(f"sent:{night}", subscriber)


def send_digests() -> None:
    while not ending.wait(LOOK_EVERY):
        night = int(redis.get("night") or 0)
        missing = night and redis.scard(f"sent:{night}") < len(SUBSCRIBERS)
        if missing and redis.set(f"sender:{night}", os.getpid(), nx=True, ex=LEASE):
            send_missing(night)
            redis.delete(f"sender:{night}")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    thread = threading.Thread(target=send_digests)
    thread.start()
    yield
    ending.set()
    await asyncio.to_thread(thread.join)


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
