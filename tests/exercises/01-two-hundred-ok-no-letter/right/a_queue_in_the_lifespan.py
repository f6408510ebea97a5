# passes: a queue and one consumer in the lifespan, which finishes before the app goes
"""The newsletter: issues for the subscribers, invitations for their friends."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")
ATTEMPTS = 3

log = logging.getLogger("newsletter")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.letters = letters = asyncio.Queue()
    consumer = asyncio.create_task(consume(letters))
    yield
    letters.put_nowait(None)
    await consumer


app = FastAPI(title="Newsletter", lifespan=lifespan)


class Issue(BaseModel):
    number: int
    subject: str


class Invitation(BaseModel):
    to: str


async def send(letter: dict[str, Any]) -> None:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as mailroom:
        for number in range(1, ATTEMPTS + 1):
            try:
                response = await mailroom.post("/letters", json=letter)
                response.raise_for_status()
                return
            except httpx.HTTPError as error:
                log.warning("letter to %s, attempt %d: %s", letter["to"], number, error)


async def consume(letters: asyncio.Queue[dict[str, Any] | None]) -> None:
    while (letter := await letters.get()) is not None:
        await send(letter)


@app.post("/issues")
async def publish(issue: Issue) -> dict[str, int]:
    for subscriber in SUBSCRIBERS:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        app.state.letters.put_nowait(letter)
    return {"accepted": issue.number}


@app.post("/invitations")
async def recommend(invitation: Invitation) -> dict[str, str]:
    letter = {"to": invitation.to, "subject": "An invitation", "issue": 0}
    app.state.letters.put_nowait(letter)
    return {"accepted": invitation.to}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
