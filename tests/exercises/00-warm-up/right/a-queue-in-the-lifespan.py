# passes: a worker in the lifespan that takes issues from a queue
import asyncio
import contextlib
import os
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")


class Issue(BaseModel):
    number: int
    subject: str


issues: asyncio.Queue[Issue | None] = asyncio.Queue()


async def deliver(issue: Issue) -> None:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=30.0) as mailroom:
        for subscriber in SUBSCRIBERS:
            letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
            response = await mailroom.post("/letters", json=letter)
            response.raise_for_status()


async def deliver_all() -> None:
    while (issue := await issues.get()) is not None:
        await deliver(issue)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(deliver_all())
        yield
        await issues.put(None)


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    await issues.put(issue)
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
