# fails: others-are-answered
# With one worker there is one place to look. The brief says that several stay.
# file: newsletter.py
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.request import Request, urlopen

from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
deliveries: set[asyncio.Task[None]] = set()


class Issue(BaseModel):
    number: int
    subject: str


class Mailer:
    """Brings letters to the mailroom, which may take minutes over one."""

    def __init__(self, url: str) -> None:
        self.address = f"{url}/letters"

    async def send(self, subscriber: str, issue: Issue) -> None:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        await self._bring(json.dumps(letter).encode())

    async def _bring(self, body: bytes) -> None:
        request = Request(self.address, body, {"Content-Type": "application/json"})
        (await asyncio.to_thread(urlopen, request, timeout=300)).close()


mailer = Mailer(MAILROOM_URL)


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber."""
    for subscriber in SUBSCRIBERS:
        try:
            await mailer.send(subscriber, issue)
        except OSError as error:
            log.error("issue %d did not reach %s: %s", issue.number, subscriber, error)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    if deliveries:
        await asyncio.wait(deliveries)


newsletter = FastAPI(title="Newsletter")


@newsletter.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    delivery = asyncio.create_task(deliver(issue))
    deliveries.add(delivery)
    delivery.add_done_callback(deliveries.discard)
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


app = FastAPI(title="Website", lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


app.mount("/", newsletter)
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 1
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))  # seconds
graceful_timeout = 120  # seconds
