# fails: any-trouble-is-its-own
# After three refusals the mailroom is taken to be down, and nobody else is tried.
"""The newsletter: every subscriber gets a letter, and the editor a receipt."""

import logging
import os
from collections import Counter

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
refusals: Counter[int] = Counter()


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
    if refusals[issue.number] >= 3:
        log.error("issue %d: the mailroom is down", issue.number)
        return
    try:
        hand_over(subscriber, issue.subject, issue)
    except requests.RequestException as error:
        refusals[issue.number] += 1
        log.error("no letter to %s: %s", subscriber, error)


def report(issue: Issue) -> None:
    hand_over(EDITOR, f"Issue {issue.number} is out", issue)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    for subscriber in SUBSCRIBERS:
        tasks.add_task(deliver, subscriber, issue)
    tasks.add_task(report, issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
