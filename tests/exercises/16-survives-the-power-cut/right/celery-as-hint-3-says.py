# passes: hint 3 in Celery's words, and nothing else set
# file: newsletter.py
import os

import httpx
from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org", "hedy@example.org")


class Issue(BaseModel):
    number: int
    subject: str


queue = Celery("newsletter", broker=REDIS_URL)
queue.conf.task_acks_late = True
queue.conf.broker_transport_options = {"visibility_timeout": 300}


@queue.task
def deliver(to: str, number: int, subject: str) -> None:
    """Give one letter to the mailroom."""
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=120).raise_for_status()


app = FastAPI(title="Newsletter")


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    for to in SUBSCRIBERS:
        deliver.delay(to, issue.number, issue.subject)
    return {"accepted": issue.number}
# file: Procfile
web: uvicorn newsletter:app
worker: celery --app newsletter:queue worker --concurrency 1
