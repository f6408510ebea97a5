# passes: RQ, with a retry for a job that was abandoned
# Two workers share the queue.
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


def send(to: str, number: int, subject: str) -> None:
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=120).raise_for_status()


queue = Queue(connection=Redis.from_url(REDIS_URL))
app = FastAPI(title="Newsletter")


@app.post("/issues", status_code=202)
def publish(issue: Issue) -> dict[str, int]:
    for to in SUBSCRIBERS:
        queue.enqueue(send, to, issue.number, issue.subject, retry=Retry(max=5))
    return {"accepted": issue.number}
# file: Procfile
web: uvicorn newsletter:app
worker: rq worker
other: rq worker
