# passes: no consumer to die: a task for each issue, its error logged by the task itself
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Response
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
STALL_SECONDS = float(os.environ.get("STALL_SECONDS", "60"))
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
    """A task for each issue on its way, and the time when it was accepted."""

    def __init__(self) -> None:
        self.tasks: dict[asyncio.Task[None], float] = {}

    def put(self, issue: Issue) -> None:
        task = asyncio.create_task(self.deliver_or_log(issue))
        self.tasks[task] = time.monotonic()
        task.add_done_callback(self.tasks.pop)

    def stalls(self) -> bool:
        now = time.monotonic()
        return any(now - at > STALL_SECONDS for at in self.tasks.values())

    async def deliver_or_log(self, issue: Issue) -> None:
        async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
            try:
                await self.deliver(issue, client)
            except Exception:
                log.exception("issue %s was not delivered", issue.number)

    async def deliver(self, issue: Issue, client: httpx.AsyncClient) -> None:
        for name, address in SUBSCRIBERS.items():
            subject = issue.subject.format(name=name)
            letter = {"to": address, "subject": subject, "issue": issue.number}
            response = await client.post("/letters", json=letter)
            response.raise_for_status()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.outbox = Outbox()
    yield
    await asyncio.gather(*app.state.outbox.tasks)


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
