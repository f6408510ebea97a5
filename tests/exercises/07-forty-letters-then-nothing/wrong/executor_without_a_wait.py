# fails: deploy-waits-for-letters
# Threads of one's own, and nobody who waits for them.
"""The newsletter: publish an issue, and sixty subscribers get a letter."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import requests
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
couriers = ThreadPoolExecutor(30)


def hand_over(subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom."""
    try:
        response = requests.post(
            f"{MAILROOM_URL}/letters",
            json={"to": subscriber, "subject": issue.subject, "issue": issue.number},
            timeout=120,
        )
        response.raise_for_status()
    except requests.RequestException as error:
        log.error("issue %s did not reach %s: %s", issue.number, subscriber, error)


def find_issue(number: int) -> Issue:
    """Look an issue up in the archive."""
    if number not in archive:
        raise HTTPException(404, f"There is no issue {number}.")
    return archive[number]


@app.post("/issues", status_code=202)
def publish(issue: Issue) -> dict[str, int]:
    archive[issue.number] = issue
    for subscriber in SUBSCRIBERS:
        couriers.submit(hand_over, subscriber, issue)
    return {"accepted": issue.number}


@app.get("/issues/{number}")
def show(issue: Annotated[Issue, Depends(find_issue)]) -> Issue:
    return issue


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
