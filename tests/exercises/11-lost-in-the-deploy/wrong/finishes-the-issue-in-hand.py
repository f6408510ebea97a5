# fails: every-accepted-issue
# The consumer ends cleanly between two issues, and the rest of its queue ends with it.
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
issues: asyncio.Queue["Issue | None"] = asyncio.Queue()
stopping = asyncio.Event()


class Issue(BaseModel):
    number: int
    subject: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
        app.state.client = client
        consumer = asyncio.create_task(deliver_all())
        yield
        stopping.set()
        issues.put_nowait(None)
        await asyncio.wait([consumer], timeout=DRAIN_SECONDS)


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


async def deliver_all() -> None:
    while not stopping.is_set():
        issue = await issues.get()
        if issue is not None:
            await deliver(issue)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    issues.put_nowait(issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
