# passes: a Redis stream with a consumer group
# What was delivered to this consumer and not acknowledged is read again first.
# file: newsletter.py
import os

import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from redis import Redis, ResponseError

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org", "hedy@example.org")


class Issue(BaseModel):
    number: int
    subject: str


redis = Redis.from_url(REDIS_URL, decode_responses=True)
app = FastAPI(title="Newsletter")


@app.post("/issues", status_code=202)
def publish(issue: Issue) -> dict[str, int]:
    with redis.pipeline() as pipeline:
        for to in SUBSCRIBERS:
            pipeline.xadd("letters", {"to": to, "number": issue.number, "subject": issue.subject})
        pipeline.execute()
    return {"accepted": issue.number}


def send(to: str, number: int, subject: str) -> None:
    letter = {"to": to, "subject": subject, "issue": number}
    httpx.post(f"{MAILROOM_URL}/letters", json=letter, timeout=120).raise_for_status()


def main() -> None:
    try:
        redis.xgroup_create("letters", "workers", id="0", mkstream=True)
    except ResponseError:
        pass  # it is there already
    after = "0"
    while True:
        read = redis.xreadgroup("workers", "the-one", {"letters": after}, count=1, block=1000)
        jobs = read[0][1] if read else []
        if after != ">" and not jobs:
            after = ">"
        for number, job in jobs:
            send(job["to"], int(job["number"]), job["subject"])
            redis.xack("letters", "workers", number)


if __name__ == "__main__":
    main()
# file: Procfile
web: uvicorn newsletter:app
worker: python -m newsletter
