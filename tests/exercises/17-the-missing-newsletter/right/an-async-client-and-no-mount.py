# passes: httpx.AsyncClient, and a router in place of the mounted app
# What is included is no app of its own, and needs no lifespan.
# file: newsletter.py
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI
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
        self.client = httpx.AsyncClient(timeout=300)

    async def send(self, subscriber: str, issue: Issue) -> None:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        (await self.client.post(self.address, json=letter)).raise_for_status()


mailer = Mailer(MAILROOM_URL)


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber."""
    for subscriber in SUBSCRIBERS:
        try:
            await mailer.send(subscriber, issue)
        except httpx.HTTPError as error:
            log.error("issue %d did not reach %s: %s", issue.number, subscriber, error)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    if deliveries:
        await asyncio.wait(deliveries)


newsletter = APIRouter()


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


app.include_router(newsletter)
# file: gunicorn.conf.py
import os

worker_class = "uvicorn_worker.UvicornWorker"
workers = 3
timeout = int(os.environ.get("WORKER_TIMEOUT", "30"))  # seconds
graceful_timeout = 90  # seconds
