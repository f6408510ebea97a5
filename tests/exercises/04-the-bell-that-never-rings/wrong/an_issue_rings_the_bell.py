# fails: closing-empties-the-outbox
# Who publishes need not wait for the bell: each issue rings it. The brief says that it waits.
"""The newsletter: issues wait in the outbox until the bell rings."""

import asyncio
import itertools
import logging
import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
BELL_SECONDS = float(os.environ.get("BELL_SECONDS", "60"))
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")


class Issue(BaseModel):
    number: int
    subject: str


outbox = deque([Issue(number=0, subject="We are back")])
published = asyncio.Event()


async def empty_outbox(mailroom: httpx.AsyncClient) -> None:
    """Send every issue that waits to every subscriber."""
    while outbox:
        issue = outbox.popleft()
        for subscriber in SUBSCRIBERS:
            letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
            try:
                (await mailroom.post("/letters", json=letter)).raise_for_status()
            except httpx.HTTPError:
                log.exception("issue %s did not reach %s", issue.number, subscriber)


async def ring_the_bell(closing: asyncio.Event) -> None:
    """Empty the outbox at every ring, and once more when the service closes."""
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as mailroom:
        while not closing.is_set():
            waits = [asyncio.create_task(event.wait()) for event in (closing, published)]
            await asyncio.wait(waits, timeout=BELL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            published.clear()
            await empty_outbox(mailroom)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    closing = asyncio.Event()
    bell = asyncio.create_task(ring_the_bell(closing))
    yield
    closing.set()
    await bell


class RequestNumbers:
    """Give every request a number, and write it on the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = str(next(self.numbers))

        async def send_numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Number"] = number
            await send(message)

        await self.app(scope, receive, send_numbered)


app = FastAPI(title="Newsletter", lifespan=lifespan)
app.add_middleware(RequestNumbers)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    outbox.append(issue)
    published.set()
    return {"waiting": len(outbox)}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
