# fails: every-accepted-issue
# The platform sets it. Where nothing does, the service does not start.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
DRAIN_SECONDS = float(os.environ["DRAIN_SECONDS"])
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
deliveries: set[asyncio.Task[None]] = set()


class Issue(BaseModel):
    number: int
    subject: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
        app.state.client = client
        yield
        deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while deliveries and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(deliveries, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        for delivery in deliveries:
            log.warning("given up: %s", delivery.get_name())


app = FastAPI(title="Newsletter", lifespan=lifespan)


async def hand_over(issue: Issue, subscriber: str) -> None:
    """Send one letter; a refusal is logged."""
    letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
    try:
        response = await app.state.client.post("/letters", json=letter)
        response.raise_for_status()
    except httpx.HTTPError as error:
        log.error("issue %s did not reach %s: %s", issue.number, subscriber, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    for subscriber in SUBSCRIBERS:
        name = f"issue {issue.number} for {subscriber}"
        delivery = asyncio.create_task(hand_over(issue, subscriber), name=name)
        deliveries.add(delivery)
        delivery.add_done_callback(deliveries.discard)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
