# passes: a thread for each letter, and the lifespan waits for their futures
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import asynccontextmanager
from urllib.request import Request, urlopen

from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
DRAIN_SECONDS = float(os.environ.get("DRAIN_SECONDS", "20"))
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")
pool = ThreadPoolExecutor(30)
letters: dict[Future[None], str] = {}


class Issue(BaseModel):
    number: int
    subject: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    _, given_up = await asyncio.to_thread(wait, list(letters), DRAIN_SECONDS)
    for letter in given_up:
        log.error("given up: %s", letters[letter])
    pool.shutdown(wait=False, cancel_futures=True)


app = FastAPI(title="Newsletter", lifespan=lifespan)


def hand_over(letter: dict[str, str | int]) -> None:
    request = Request(f"{MAILROOM_URL}/letters", data=json.dumps(letter).encode())
    request.add_header("Content-Type", "application/json")
    try:
        with urlopen(request, timeout=120):
            pass
    except OSError as error:
        log.error("%s was refused: %s", letter, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    for subscriber in SUBSCRIBERS:
        letter: dict[str, str | int] = {
            "to": subscriber,
            "subject": issue.subject,
            "issue": issue.number,
        }
        future = pool.submit(hand_over, letter)
        letters[future] = f"issue {issue.number} for {subscriber}"
        future.add_done_callback(letters.pop)
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
