# passes: hint 3 in RQ's words, with one worker
# file: newsletter.py
import os

import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from redis import Redis
from rq import Queue, Retry

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org", "hedy@example.org")


class Issue(BaseModel):
    number: int
    subject: str


def deliver(to: str, number: int, subject: str) -> None:
    """Give one letter to the mailroom."""
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=120).raise_for_status()


queue = Queue(connection=Redis.from_url(REDIS_URL))
app = FastAPI(title="Newsletter")


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    for to in SUBSCRIBERS:
        queue.enqueue(deliver, to, issue.number, issue.subject, retry=Retry(max=3))
    return {"accepted": issue.number}
# file: Procfile
web: uvicorn newsletter:app
worker: rq worker
