# fails: letters-survive-the-power-cut
# A note keeps a letter from going out twice, if it is written first.
# file: newsletter.py
import os

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from arq.connections import RedisSettings, create_pool
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


async def deliver(context: dict[str, Any], to: str, number: int, subject: str) -> None:
    if await context["redis"].set(f"sent:{number}:{to}", 1, nx=True):
        await send(to, number, subject)


class WorkerSettings:
    functions = [deliver]
    redis_settings = RedisSettings.from_dsn(REDIS_URL)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.queue = await create_pool(WorkerSettings.redis_settings)
    yield
    await app.state.queue.aclose()


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, request: Request) -> dict[str, int]:
    for to in SUBSCRIBERS:
        await request.app.state.queue.enqueue_job("deliver", to, issue.number, issue.subject)
    return {"accepted": issue.number}
# file: Procfile
web: uvicorn newsletter:app
worker: arq newsletter.WorkerSettings
