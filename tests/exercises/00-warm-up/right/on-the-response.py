# passes: a BackgroundTask on a response of its own
import os

import httpx
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


def deliver(issue: Issue) -> None:
    with httpx.Client(base_url=MAILROOM_URL, timeout=30.0) as mailroom:
        for subscriber in SUBSCRIBERS:
            letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
            mailroom.post("/letters", json=letter).raise_for_status()


@app.post("/issues")
async def publish(issue: Issue) -> JSONResponse:
    return JSONResponse(
        {"issue": issue.number, "subscribers": len(SUBSCRIBERS)},
        status_code=202,
        background=BackgroundTask(deliver, issue),
    )


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
