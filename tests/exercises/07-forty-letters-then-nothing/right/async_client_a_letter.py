# passes: a client as it comes for each letter, and one semaphore for the whole app
"""The newsletter: publish an issue, and sixty subscribers get a letter."""

import asyncio
import logging
import os
from typing import Annotated

import httpx
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = tuple(f"reader{number:02}@example.org" for number in range(1, 61))

log = logging.getLogger("newsletter")
app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


archive: dict[int, Issue] = {}
letters_at_once = asyncio.Semaphore(50)


async def hand_over(subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
    async with letters_at_once, httpx.AsyncClient() as client:
        response = await client.post(f"{MAILROOM_URL}/letters", json=letter)
    response.raise_for_status()


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber, side by side."""
    results = await asyncio.gather(
        *(hand_over(subscriber, issue) for subscriber in SUBSCRIBERS),
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
