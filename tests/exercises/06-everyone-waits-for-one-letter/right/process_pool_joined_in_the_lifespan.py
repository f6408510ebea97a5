# passes: processes of the app's own instead of threads, shut down in the lifespan
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import logging
import os
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager

import requests
from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    with ProcessPoolExecutor(max_workers=2) as postmen:
        app.state.postmen = postmen
        yield


app = FastAPI(title="Newsletter", lifespan=lifespan)


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


def deliver(subscriber: str, issue: Issue) -> None:
    try:
        hand_over(subscriber, issue)
    except requests.RequestException as error:
        log.error("letter to %s was not delivered: %s", subscriber, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    for subscriber in SUBSCRIBERS:
        app.state.postmen.submit(deliver, subscriber, issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
