# fails: readers-are-answered
# A thread that gives up after half a second is free again after half a second.
"""The newsletter: publish an issue, and sixty subscribers get a letter."""

import asyncio
import logging
import os
from typing import Annotated

import requests
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = tuple(f"reader{number:02}@example.org" for number in range(1, 61))

log = logging.getLogger("newsletter")
app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


archive: dict[int, Issue] = {}


def hand_over(subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    response = requests.post(
        f"{MAILROOM_URL}/letters",
        json={"to": subscriber, "subject": issue.subject, "issue": issue.number},
        timeout=0.5,
    )
    response.raise_for_status()


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber, side by side."""
    results = await asyncio.gather(
        *(run_in_threadpool(hand_over, subscriber, issue) for subscriber in SUBSCRIBERS),
        return_exceptions=True,
    )
    for subscriber, result in zip(SUBSCRIBERS, results, strict=True):
        if isinstance(result, Exception):
            log.error("issue %s did not reach %s: %s", issue.number, subscriber, result)


def find_issue(number: int) -> Issue:
    """Look an issue up in the archive."""
    if number not in archive:
        raise HTTPException(404, f"There is no issue {number}.")
    return archive[number]


@app.post("/issues", status_code=202)
def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    archive[issue.number] = issue
    tasks.add_task(deliver, issue)
    return {"accepted": issue.number}


@app.get("/issues/{number}")
def show(issue: Annotated[Issue, Depends(find_issue)]) -> Issue:
    return issue


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
