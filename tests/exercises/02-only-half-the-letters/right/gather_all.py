# passes: all letters at once, and gather gives the exceptions back to be logged
"""The newsletter: every subscriber gets a letter, and the editor a receipt."""

import asyncio
import logging
import os

import requests
from fastapi import BackgroundTasks, FastAPI
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
app = FastAPI(title="Newsletter")


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
    hand_over(subscriber, issue.subject, issue)


def report(issue: Issue) -> None:
    hand_over(EDITOR, f"Issue {issue.number} is out", issue)


async def deliver_all(issue: Issue) -> None:
    letters = [asyncio.to_thread(deliver, subscriber, issue) for subscriber in SUBSCRIBERS]
    results = await asyncio.gather(*letters, return_exceptions=True)
    for subscriber, result in zip(SUBSCRIBERS, results, strict=True):
        if isinstance(result, BaseException):
            log.error("issue %d did not reach %s: %s", issue.number, subscriber, result)
    await asyncio.to_thread(report, issue)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver_all, issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
