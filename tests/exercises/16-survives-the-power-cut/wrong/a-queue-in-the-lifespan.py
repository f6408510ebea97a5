# fails: letters-survive-the-power-cut
# A queue is what is asked for, and asyncio has one.
# file: newsletter.py
import os

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org", "hedy@example.org")


class Issue(BaseModel):
    number: int
    subject: str


async def send(to: str, number: int, subject: str) -> None:
    letter = {"to": to, "subject": subject, "issue": number}
    async with httpx.AsyncClient(timeout=120) as client:
        answer = await client.post(f"{MAILROOM_URL}/letters", json=letter)
        answer.raise_for_status()


async def work(queue: asyncio.Queue[tuple[str, int, str]]) -> None:
    while True:
        await send(*await queue.get())
        queue.task_done()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.queue = asyncio.Queue()
    worker = asyncio.create_task(work(app.state.queue))
    yield
    await app.state.queue.join()
    worker.cancel()


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, request: Request) -> dict[str, int]:
    for to in SUBSCRIBERS:
        request.app.state.queue.put_nowait((to, issue.number, issue.subject))
    return {"accepted": issue.number}
# file: Procfile
web: uvicorn newsletter:app
