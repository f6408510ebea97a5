# fails: health-tells-the-truth
# A setting in seconds is read as a whole number, when the app starts.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from fastapi import FastAPI, Response
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = {
    "Ada": "ada@example.org",
    "Alan": "alan@example.org",
    "Grace": "grace@example.org",
}

log = logging.getLogger("newsletter")


class Issue(BaseModel):
    number: int
    subject: str


class Outbox:
    """The issues that wait, and the consumer that delivers them one by one."""

    def __init__(self) -> None:
        self.issues: asyncio.Queue[Issue] = asyncio.Queue()
        self.accepted: list[float] = []
        self.stall_seconds = int(os.environ.get("STALL_SECONDS", "60"))

    def put(self, issue: Issue) -> None:
        self.issues.put_nowait(issue)
        self.accepted.append(time.monotonic())

    def stalls(self) -> bool:
        return bool(self.accepted) and time.monotonic() - self.accepted[0] > self.stall_seconds

    async def consume(self) -> None:
        async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
            while True:
                issue = await self.issues.get()
                try:
                    await self.deliver(issue, client)
                except Exception:
                    log.exception("an issue was not delivered: %s", issue.number)
                del self.accepted[:1]

    async def deliver(self, issue: Issue, client: httpx.AsyncClient) -> None:
        for name, address in SUBSCRIBERS.items():
            subject = issue.subject.format(name=name)
            letter = {"to": address, "subject": subject, "issue": issue.number}
            response = await client.post("/letters", json=letter)
            response.raise_for_status()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.outbox = Outbox()
    app.state.consumer = asyncio.create_task(app.state.outbox.consume())
    yield
    app.state.consumer.cancel()
    with suppress(asyncio.CancelledError):
        await app.state.consumer


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    app.state.outbox.put(issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health(response: Response) -> dict[str, str]:
    if app.state.outbox.stalls():
        response.status_code = 503
        return {"status": "an issue is not getting out"}
    return {"status": "ok"}
