# passes: the consumer is a thread with a queue of its own, and None ends it
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import json
import logging
import os
import queue
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.request import Request, urlopen

from fastapi import FastAPI
from fastapi.responses import JSONResponse
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


issues: "queue.Queue[tuple[float, Issue] | None]" = queue.Queue()
# When the issue in hand was accepted.
since: list[float] = []


def deliver(issue: Issue) -> None:
    for name, address in SUBSCRIBERS.items():
        letter = {
            "to": address,
            "subject": issue.subject.format(name=name),
            "issue": issue.number,
        }
        request = Request(f"{MAILROOM_URL}/letters", data=json.dumps(letter).encode())
        request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=120):
            pass


def consume() -> None:
    while entry := issues.get():
        since[:], issue = [entry[0]], entry[1]
        try:
            deliver(issue)
        except Exception:
            log.exception("issue %s was not delivered", issue.number)
        since.clear()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    threading.Thread(target=consume, daemon=True).start()
    yield
    issues.put(None)


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    issues.put((time.monotonic(), issue))
    return {"accepted": issue.number}


@app.get("/health")
async def health() -> JSONResponse:
    stalls = any(time.monotonic() - at > STALL_SECONDS for at in list(since))
    return JSONResponse({"stalls": stalls}, status_code=503 if stalls else 200)
