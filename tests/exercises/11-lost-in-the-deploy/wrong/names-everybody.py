# fails: given-up-is-named
# Whoever got their letter is said to be without it, too.
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
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "20"))
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
        if deliveries:
            await asyncio.wait(deliveries, timeout=DRAIN_SECONDS)
        given_up = list(deliveries)
        for delivery in given_up:
            delivery.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)


app = FastAPI(title="Newsletter", lifespan=lifespan)


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber; a refused letter is logged and costs only itself."""
    for subscriber in SUBSCRIBERS:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        try:
            response = await app.state.client.post("/letters", json=letter)
            response.raise_for_status()
        except httpx.HTTPError as error:
            log.error("issue %s did not reach %s: %s", issue.number, subscriber, error)
        except asyncio.CancelledError:
            log.error("issue %s may not have reached %s", issue.number, ", ".join(SUBSCRIBERS))
            raise


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    delivery = asyncio.create_task(deliver(issue))
    deliveries.add(delivery)
    delivery.add_done_callback(deliveries.discard)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
