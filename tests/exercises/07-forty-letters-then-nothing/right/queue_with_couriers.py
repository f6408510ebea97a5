# passes: twenty couriers at a queue, drained before the app goes
"""The newsletter: publish an issue, and sixty subscribers get a letter."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import requests
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = tuple(f"reader{number:02}@example.org" for number in range(1, 61))

log = logging.getLogger("newsletter")


class Issue(BaseModel):
    number: int
    subject: str


archive: dict[int, Issue] = {}


def hand_over(subscriber: str, issue: Issue) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    response = requests.post(
        f"{MAILROOM_URL}/letters",
        json={"to": subscriber, "subject": issue.subject, "issue": issue.number},
        timeout=120,
    )
    response.raise_for_status()


async def carry(letters: asyncio.Queue[tuple[str, Issue]]) -> None:
    while True:
        subscriber, issue = await letters.get()
        try:
            await asyncio.to_thread(hand_over, subscriber, issue)
        except requests.RequestException as error:
            log.error("issue %s did not reach %s: %s", issue.number, subscriber, error)
        finally:
            letters.task_done()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.letters = asyncio.Queue()
    couriers = [asyncio.create_task(carry(app.state.letters)) for _ in range(20)]
    yield
    await app.state.letters.join()
    for courier in couriers:
        courier.cancel()


app = FastAPI(title="Newsletter", lifespan=lifespan)


def find_issue(number: int) -> Issue:
    """Look an issue up in the archive."""
    if number not in archive:
        raise HTTPException(404, f"There is no issue {number}.")
    return archive[number]


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    archive[issue.number] = issue
    for subscriber in SUBSCRIBERS:
        app.state.letters.put_nowait((subscriber, issue))
    return {"accepted": issue.number}


@app.get("/issues/{number}")
def show(issue: Annotated[Issue, Depends(find_issue)]) -> Issue:
    return issue


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
