# passes: a BackgroundTasks that goes on after a failure, on a response of its own
"""The newsletter: every subscriber gets a letter, and the editor a receipt."""

import logging
import os

import requests
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.background import BackgroundTasks

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


class IndependentTasks(BackgroundTasks):
    """Run every task; log what one of them raises, and go on with the next."""

    async def __call__(self) -> None:
        for task in self.tasks:
            try:
                await task()
            except Exception:
                log.exception("%s%r failed", task.func.__name__, task.args)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> JSONResponse:
    tasks = IndependentTasks()
    for subscriber in SUBSCRIBERS:
        tasks.add_task(deliver, subscriber, issue)
    tasks.add_task(report, issue)
    return JSONResponse({"accepted": issue.number}, status_code=202, background=tasks)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
