# fails: worker-outlives-a-slow-letter
# A call to the outside should give up soon, and the retry is there to try again.
# base: solution
# file: newsletter.py
import asyncio
import json
import logging
import os
from collections.abc import Callable
from urllib.request import Request, urlopen

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
    """The mailroom, one letter at a time; what fails for a moment is tried again."""

    attempts = 2
    pause = 0.1  # seconds

    def __init__(self, url: str) -> None:
        self.url = url

    async def send(self, letter: dict[str, str | int]) -> None:
        request = Request(f"{self.url}/letters", data=json.dumps(letter).encode())
        request.add_header("Content-Type", "application/json")
        await self._try_again(lambda: self._post(request))

    def _post(self, request: Request) -> None:
        with urlopen(request, timeout=1):
            pass

    async def _try_again(self, action: Callable[[], None]) -> None:
        for attempt in range(1, self.attempts + 1):
            try:
                return await asyncio.to_thread(action)
            except OSError:
                if attempt == self.attempts:
                    raise
                await asyncio.sleep(self.pause * attempt)


provider = MailProvider(MAILROOM_URL)


async def deliver(issue: Issue) -> None:
    for subscriber in SUBSCRIBERS:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        try:
            await provider.send(letter)
        except OSError as error:
            logger.error("Issue %d did not reach %s: %s", issue.number, subscriber, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver, issue)
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
