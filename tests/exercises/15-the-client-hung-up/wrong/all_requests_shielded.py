# fails: left-work-is-stopped
# A middleware that protects every request, once and for all.
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

requests: set[asyncio.Task[None]] = set()
log = logging.getLogger("newsletter")


class Issue(BaseModel):
    number: int
    subject: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
        app.state.client = client
        yield
        await asyncio.gather(*requests, return_exceptions=True)


class Shielded:
    """Let a request run to its end, whatever its client does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        request = asyncio.create_task(self.app(scope, receive, send))
        requests.add(request)
        request.add_done_callback(requests.discard)
        await asyncio.shield(request)


app = FastAPI(title="Newsletter", lifespan=lifespan)
app.add_middleware(Shielded)


async def send(to: str, number: int, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject, "issue": number}
    response = await app.state.client.post("/letters", json=letter)
    response.raise_for_status()


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber; a refused letter is logged and costs only itself."""
    for to in SUBSCRIBERS:
        try:
            await send(to, issue.number, issue.subject)
        except Exception as error:
            log.error("issue %s did not reach %s: %s", issue.number, to, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver, issue)
    return {"accepted": issue.number}


@app.get("/proofs/{number}")
async def print_proof(number: int) -> dict[str, int]:
    await send("proof@example.org", number, "A proof, to be read before it is published")
    return {"printed": number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
