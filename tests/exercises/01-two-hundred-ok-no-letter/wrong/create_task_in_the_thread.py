# fails: issue-arrives
# The coroutine is given to the event loop, from a thread that has none.
"""The newsletter: issues for the subscribers, invitations for their friends."""

import asyncio
import functools
import inspect
import logging
import os
from collections.abc import Callable
from typing import Any

import httpx
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")
ATTEMPTS = 3

log = logging.getLogger("newsletter")
app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


class Invitation(BaseModel):
    to: str


def persistent(send: Callable[..., Any]) -> Callable[..., Any]:
    """Try a letter again that is refused, up to three times; log each refusal."""

    @functools.wraps(send)
    def attempt(to: str, *rest: Any) -> Any:
        for number in range(1, ATTEMPTS + 1):
            try:
                result = send(to, *rest)
                if inspect.iscoroutine(result):
                    asyncio.create_task(result)
                return result
            except httpx.HTTPError as error:
                log.warning("letter to %s, attempt %d of %d: %s", to, number, ATTEMPTS, error)

    return attempt


@persistent
async def send_issue(to: str, issue: Issue) -> None:
    letter = {"to": to, "subject": issue.subject, "issue": issue.number}
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as mailroom:
        response = await mailroom.post("/letters", json=letter)
    response.raise_for_status()


@persistent
def invite(to: str) -> None:
    letter = {"to": to, "subject": "An invitation", "issue": 0}
    with httpx.Client(base_url=MAILROOM_URL, timeout=60) as mailroom:
        response = mailroom.post("/letters", json=letter)
    response.raise_for_status()


@app.post("/issues")
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    for subscriber in SUBSCRIBERS:
        tasks.add_task(send_issue, subscriber, issue)
    return {"accepted": issue.number}


@app.post("/invitations")
async def recommend(invitation: Invitation, tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(invite, invitation.to)
    return {"accepted": invitation.to}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
