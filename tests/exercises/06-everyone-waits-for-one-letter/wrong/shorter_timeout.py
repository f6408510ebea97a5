# fails: others-are-answered
# Nobody waits longer than 0.2 s now, because slow letters are dropped.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import logging
import os

import requests
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


def hand_over(subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    response = requests.post(
        f"{MAILROOM_URL}/letters",
        json={"to": subscriber, "subject": issue.subject, "issue": issue.number},
        timeout=0.2,
    )
    response.raise_for_status()


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber."""
    for subscriber in SUBSCRIBERS:
        hand_over(subscriber, issue)
    log.info("issue %s is delivered", issue.number)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver, issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
