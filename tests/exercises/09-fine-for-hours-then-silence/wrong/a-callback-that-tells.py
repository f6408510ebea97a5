# fails: next-issue-arrives
# The docs' cure for lost errors of a task: a callback that logs them.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
from fastapi import FastAPI
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

    def put(self, issue: Issue) -> None:
        self.issues.put_nowait(issue)

    async def consume(self) -> None:
        async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
            while True:
                issue = await self.issues.get()
                await self.deliver(issue, client)

    async def deliver(self, issue: Issue, client: httpx.AsyncClient) -> None:
        for name, address in SUBSCRIBERS.items():
            subject = issue.subject.format(name=name)
            letter = {"to": address, "subject": subject, "issue": issue.number}
            response = await client.post("/letters", json=letter)
            response.raise_for_status()


def report(consumer: asyncio.Task[None]) -> None:
    if not consumer.cancelled() and (error := consumer.exception()):
        log.error("the consumer has ended", exc_info=error)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.outbox = Outbox()
    app.state.consumer = asyncio.create_task(app.state.outbox.consume())
    app.state.consumer.add_done_callback(report)
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
async def health() -> dict[str, str]:
    return {"status": "ok"}
