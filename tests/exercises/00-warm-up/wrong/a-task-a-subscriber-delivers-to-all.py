# fails: once-each
# One task a subscriber, but the loop inside deliver was forgotten.
import os

import httpx
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

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


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    for _ in SUBSCRIBERS:
        tasks.add_task(deliver, issue)
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
