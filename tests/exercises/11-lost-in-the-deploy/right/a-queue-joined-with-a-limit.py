# passes: a queue and a consumer, joined after the yield for so long
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
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "20"))
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")


class Issue(BaseModel):
    number: int
    subject: str


class Outbox:
    """Letters in the order in which they leave; one that was not confirmed stays in `open`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.letters: asyncio.Queue[dict[str, str | int]] = asyncio.Queue()
        self.open: list[dict[str, str | int]] = []

    def put(self, issue: Issue) -> None:
        for subscriber in SUBSCRIBERS:
            letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
            self.open.append(letter)
            self.letters.put_nowait(letter)

    async def run(self) -> None:
        while True:
            letter = await self.letters.get()
            try:
                (await self.client.post("/letters", json=letter)).raise_for_status()
            except Exception:
                log.exception("%s was refused", letter)
            self.open.remove(letter)
            self.letters.task_done()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
        app.state.outbox = outbox = Outbox(client)
        consumer = asyncio.create_task(outbox.run())
        yield
        try:
            await asyncio.wait_for(outbox.letters.join(), timeout=DRAIN_SECONDS)
        except TimeoutError:
            for letter in outbox.open:
                log.error("given up: %s", letter)
        consumer.cancel()
        with suppress(asyncio.CancelledError):
            await consumer


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    app.state.outbox.put(issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
