# passes: a queue and one consumer in the lifespan, which finishes before the app goes
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


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.issues = asyncio.Queue()
    consumer = asyncio.create_task(consume(app.state.issues))
    yield
    app.state.issues.put_nowait(None)
    await consumer


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


async def consume(issues: "asyncio.Queue[Issue | None]") -> None:
    while (issue := await issues.get()) is not None:
        for subscriber in SUBSCRIBERS:
            await asyncio.to_thread(deliver, subscriber, issue)
        try:
            await asyncio.to_thread(report, issue)
        except requests.RequestException:
            log.exception("no receipt for issue %d", issue.number)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    app.state.issues.put_nowait(issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
