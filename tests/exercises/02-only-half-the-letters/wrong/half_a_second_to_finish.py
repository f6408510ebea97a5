# fails: deploy-waits-for-letters
# At the end the letters get half a second, which is enough on a quick day.
"""The newsletter: every subscriber gets a letter, and the editor a receipt."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import requests
from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = (
    "ada@example.org",
    "alan@example.org",
    "barbara@example.org",
    "edsger@example.org",
    "grace@example.org",
    "katherine@example.org",
)
EDITOR = "editor@example.org"

log = logging.getLogger("newsletter")
deliveries: set[asyncio.Task[None]] = set()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    if deliveries:
        await asyncio.wait(deliveries, timeout=0.5)


app = FastAPI(title="Newsletter", lifespan=lifespan)


class Issue(BaseModel):
    number: int
    subject: str


def hand_over(to: str, subject: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    response = requests.post(
        f"{MAILROOM_URL}/letters",
        json={"to": to, "subject": subject, "issue": issue.number},
        timeout=60,
    )
    response.raise_for_status()


def deliver(subscriber: str, issue: Issue) -> None:
    try:
        hand_over(subscriber, issue.subject, issue)
    except Exception:
        log.exception("issue %d did not reach %s", issue.number, subscriber)


def report(issue: Issue) -> None:
    hand_over(EDITOR, f"Issue {issue.number} is out", issue)


async def deliver_all(issue: Issue) -> None:
    for subscriber in SUBSCRIBERS:
        await asyncio.to_thread(deliver, subscriber, issue)
    await asyncio.to_thread(report, issue)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    task = asyncio.create_task(deliver_all(issue))
    deliveries.add(task)
    task.add_done_callback(deliveries.discard)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
