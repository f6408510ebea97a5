# fails: deploy-waits-for-letters
# Python waits for its threads, unless a signal ends it: uvicorn raises SIGTERM again when it is done.
# base: starter
# file: newsletter.py
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from urllib.request import Request, urlopen

from fastapi import FastAPI
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

    def send(self, letter: dict[str, str | int]) -> None:
        request = Request(f"{self.url}/letters", data=json.dumps(letter).encode())
        request.add_header("Content-Type", "application/json")
        self._try_again(lambda: self._post(request))

    def _post(self, request: Request) -> None:
        with urlopen(request, timeout=300):
            pass

    def _try_again(self, action: Callable[[], None]) -> None:
        for attempt in range(1, self.attempts + 1):
            try:
                return action()
            except OSError:
                if attempt == self.attempts:
                    raise
                time.sleep(self.pause * attempt)


provider = MailProvider(MAILROOM_URL)


def deliver(issue: Issue) -> None:
    for subscriber in SUBSCRIBERS:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        try:
            provider.send(letter)
        except OSError as error:
            logger.error("Issue %d did not reach %s: %s", issue.number, subscriber, error)


@app.post("/issues", status_code=202)
async def publish(issue: Issue) -> dict[str, int]:
    threading.Thread(target=deliver, args=(issue,)).start()
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
