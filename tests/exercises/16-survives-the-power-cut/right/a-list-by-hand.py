# passes: a list in the Redis, and a second one for what is begun
# No library: what was begun is put back when the worker starts.
# file: newsletter.py
import os

import json

import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from redis import Redis

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org", "hedy@example.org")


class Issue(BaseModel):
    number: int
    subject: str


redis = Redis.from_url(REDIS_URL)
app = FastAPI(title="Newsletter")


@app.post("/issues", status_code=202)
def publish(issue: Issue) -> dict[str, int]:
    redis.rpush("letters", *(json.dumps([to, issue.number, issue.subject]) for to in SUBSCRIBERS))
    return {"accepted": issue.number}


def send(to: str, number: int, subject: str) -> None:
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=120).raise_for_status()


def main() -> None:
    while redis.lmove("begun", "letters", "RIGHT", "LEFT"):
        pass
    while True:
        job = redis.blmove("letters", "begun", 0, "LEFT", "RIGHT")
        send(*json.loads(job))
        redis.lrem("begun", 1, job)


if __name__ == "__main__":
    main()
# file: Procfile
web: uvicorn newsletter:app
worker: python newsletter.py
