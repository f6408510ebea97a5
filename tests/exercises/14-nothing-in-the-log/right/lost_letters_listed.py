# passes: an async task that collects the failures and names them one by one
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os

import httpx
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
log.setLevel(logging.INFO)
log.addHandler(logging.StreamHandler())
app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


async def hand_over(mailroom: httpx.AsyncClient, subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
    (await mailroom.post("/letters", json=letter)).raise_for_status()


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber, whatever happens to a single letter."""
    log.info("issue %s begins", issue.number)
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as mailroom:
        results = await asyncio.gather(
            *(hand_over(mailroom, subscriber, issue) for subscriber in SUBSCRIBERS),
            return_exceptions=True,
        )
    for subscriber, result in zip(SUBSCRIBERS, results, strict=True):
        if isinstance(result, BaseException):
            log.error("issue %s did not reach %s", issue.number, subscriber, exc_info=result)
    delivered = sum(result is None for result in results)
    log.info(
        "issue %s ends: %s of %s letters delivered", issue.number, delivered, len(SUBSCRIBERS)
    )


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver, issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
