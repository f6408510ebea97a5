# fails: letters-outlive-the-client
# A thread cannot be cancelled.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")


class Issue(BaseModel):
    number: int
    subject: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
        app.state.client = client
        yield


app = FastAPI(title="Newsletter", lifespan=lifespan)


def send(to: str, number: int, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=120).raise_for_status()


def deliver(to: str, issue: Issue) -> None:
    try:
        send(to, issue.number, issue.subject)
    except httpx.HTTPError as error:
        log.error("issue %s did not reach %s: %s", issue.number, to, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    for to in SUBSCRIBERS:
        tasks.add_task(deliver, to, issue)
    return {"accepted": issue.number}


@app.get("/proofs/{number}")
async def print_proof(number: int) -> dict[str, int]:
    letter = {"to": "proof@example.org", "subject": "A proof", "issue": number}
    (await app.state.client.post("/letters", json=letter)).raise_for_status()
    return {"printed": number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
