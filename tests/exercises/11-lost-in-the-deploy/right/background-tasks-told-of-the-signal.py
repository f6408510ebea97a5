# passes: background tasks, and a signal handler before uvicorn's starts their limit
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import httpx
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "20"))
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
deliveries: set[asyncio.Task[None]] = set()


def give_up() -> None:
    for delivery in deliveries:
        delivery.cancel()


class Issue(BaseModel):
    number: int
    subject: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    stop = signal.getsignal(signal.SIGTERM)

    def begin_to_drain(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(loop.call_later, DRAIN_SECONDS, give_up)
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, begin_to_drain)
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=120) as client:
        app.state.client = client
        yield


app = FastAPI(title="Newsletter", lifespan=lifespan)


async def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber; a refused letter is logged and costs only itself."""
    for subscriber in SUBSCRIBERS:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        try:
            response = await app.state.client.post("/letters", json=letter)
            response.raise_for_status()
        except httpx.HTTPError as error:
            log.error("issue %s did not reach %s: %s", issue.number, subscriber, error)
        except asyncio.CancelledError:
            rest = SUBSCRIBERS[SUBSCRIBERS.index(subscriber) :]
            log.error("issue %s may not have reached %s", issue.number, ", ".join(rest))
            raise


async def deliver_as_task(issue: Issue) -> None:
    delivery = asyncio.create_task(deliver(issue))
    deliveries.add(delivery)
    delivery.add_done_callback(deliveries.discard)
    await asyncio.wait([delivery])


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver_as_task, issue)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
