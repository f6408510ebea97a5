# fails: no-promise-before-it-is-safe
# The publisher must not wait, not even for the queue.
# file: newsletter.py
import os

import httpx
from celery import Celery
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org", "hedy@example.org")


class Issue(BaseModel):
    number: int
    subject: str


def send(to: str, number: int, subject: str) -> None:
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=120).raise_for_status()


queue = Celery("newsletter", broker=REDIS_URL)
queue.conf.task_acks_late = True
queue.conf.worker_prefetch_multiplier = 1
queue.conf.broker_transport_options = {"visibility_timeout": 300}

@queue.task
def deliver(to: str, number: int, subject: str) -> None:
    send(to, number, subject)


app = FastAPI(title="Newsletter")


@app.post("/issues", status_code=202)
def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    for to in SUBSCRIBERS:
        tasks.add_task(deliver.delay, to, issue.number, issue.subject)
    return {"accepted": issue.number}
# file: Procfile
web: uvicorn newsletter:app
worker: celery --app newsletter:queue worker --concurrency 1 --without-mingle
