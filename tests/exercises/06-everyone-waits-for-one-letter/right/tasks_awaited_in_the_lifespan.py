# passes: tasks of the app's own, kept in a set and awaited at shutdown
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import requests
from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
deliveries: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    if deliveries:
        await asyncio.wait(deliveries)


app = FastAPI(title="Newsletter", lifespan=lifespan)


class Issue(BaseModel):
    number: int
    subject: str


def hand_over(subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    response = requests.post(
        f"{MAILROOM_URL}/letters",
        json={"to": subscriber, "subject": issue.subject, "issue": issue.number},
        timeout=60,
    )
    response.raise_for_status()


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber."""
    try:
        for subscriber in SUBSCRIBERS:
            await asyncio.to_thread(hand_over, subscriber, issue)
    except requests.RequestException:
        log.exception("issue %s was not delivered", issue.number)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    delivery = asyncio.create_task(deliver(issue))
    deliveries.add(delivery)
    delivery.add_done_callback(deliveries.discard)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
