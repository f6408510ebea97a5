# fails: publisher-is-not-kept
# A def endpoint runs in a thread, so the others are free; the publisher is not.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import logging
import os

import requests
from fastapi import FastAPI
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
        timeout=60,
    )
    response.raise_for_status()


def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber."""
    for subscriber in SUBSCRIBERS:
        hand_over(subscriber, issue)
    log.info("issue %s is delivered", issue.number)


@app.post("/issues", status_code=202)
def publish(issue: Issue) -> dict[str, int]:
    deliver(issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
