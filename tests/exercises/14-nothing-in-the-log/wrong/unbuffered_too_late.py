# fails: the-log-tells-of-each-issue
# The well-known setting, made where Python has started already.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import os

import httpx
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

os.environ["PYTHONUNBUFFERED"] = "1"
app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


def hand_over(mailroom: httpx.Client, subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
    mailroom.post("/letters", json=letter).raise_for_status()


def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber, whatever happens to a single letter."""
    print(f"issue {issue.number} begins")
    delivered = 0
    with httpx.Client(base_url=MAILROOM_URL, timeout=60) as mailroom:
        for subscriber in SUBSCRIBERS:
            try:
                hand_over(mailroom, subscriber, issue)
                delivered += 1
            except httpx.HTTPError as error:
                print(f"issue {issue.number} did not reach {subscriber}: {error!r}")
    print(f"issue {issue.number} ends: {delivered} of {len(SUBSCRIBERS)} letters delivered")


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver, issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
