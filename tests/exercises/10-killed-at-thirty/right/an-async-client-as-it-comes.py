# passes: an async client as it comes, which gives up after five seconds
# No letter of a check takes that long, and the page says so.
# file: newsletter.py
import asyncio
import logging
import os

import httpx
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

logger = logging.getLogger("newsletter")
app = FastAPI(title="Newsletter")


class Issue(BaseModel):
    number: int
    subject: str


class MailProvider:
    """The mailroom; what fails for a moment is tried again."""

    attempts = 2
    pause = 0.1  # seconds

    def __init__(self, url: str) -> None:
        self.client = httpx.AsyncClient(base_url=url)

    async def send(self, letter: dict[str, str | int]) -> None:
        for attempt in range(1, self.attempts + 1):
            try:
                (await self.client.post("/letters", json=letter)).raise_for_status()
                return
            except httpx.HTTPError:
                if attempt == self.attempts:
                    raise
                await asyncio.sleep(self.pause * attempt)


provider = MailProvider(MAILROOM_URL)


async def deliver(issue: Issue) -> None:
    for subscriber in SUBSCRIBERS:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        try:
            await provider.send(letter)
        except httpx.HTTPError as error:
            logger.error("Issue %d did not reach %s: %s", issue.number, subscriber, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver, issue)
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
