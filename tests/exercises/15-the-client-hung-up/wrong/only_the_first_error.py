# fails: refused-letter-is-told
# One line tells of an issue, and of the first of its errors.
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
        await asyncio.gather(*deliveries, return_exceptions=True)


app = FastAPI(title="Newsletter", lifespan=lifespan)


async def send(to: str, number: int, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject, "issue": number}
    response = await app.state.client.post("/letters", json=letter)
    response.raise_for_status()


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber, all letters at once."""
    letters = (send(to, issue.number, issue.subject) for to in SUBSCRIBERS)
    results = await asyncio.gather(*letters, return_exceptions=True)
    if errors := [result for result in results if isinstance(result, BaseException)]:
        log.error("issue %s: %d letters, the first: %s", issue.number, len(errors), errors[0])


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    delivery = asyncio.create_task(deliver(issue))
    deliveries.add(delivery)
    delivery.add_done_callback(deliveries.discard)
    return {"accepted": issue.number}


@app.get("/proofs/{number}")
async def print_proof(number: int) -> dict[str, int]:
    await send("proof@example.org", number, "A proof, to be read before it is published")
    return {"printed": number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
