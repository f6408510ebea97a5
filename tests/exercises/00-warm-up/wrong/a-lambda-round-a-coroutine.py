# fails: letter-arrives
# A lambda seems a tidy way to hand over a call with its argument.
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


async def deliver(issue: Issue) -> None:
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=30.0) as mailroom:
        for subscriber in SUBSCRIBERS:
            letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
            response = await mailroom.post("/letters", json=letter)
            response.raise_for_status()


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(lambda: deliver(issue))
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
