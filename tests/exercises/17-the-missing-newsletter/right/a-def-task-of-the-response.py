# passes: a def task of the response, which uvicorn waits for by itself
# No lifespan is left: the mounted app may stay mounted.
# file: newsletter.py
"""The newsletter: publish an issue, and every subscriber gets a letter."""

import json
import logging
import os
from urllib.request import Request, urlopen

from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")

log = logging.getLogger("newsletter")


class Issue(BaseModel):
    number: int
    subject: str


class Mailer:
    """Brings letters to the mailroom, which may take minutes over one."""

    def __init__(self, url: str) -> None:
        self.address = f"{url}/letters"

    def send(self, subscriber: str, issue: Issue) -> None:
        letter = {"to": subscriber, "subject": issue.subject, "issue": issue.number}
        self._bring(json.dumps(letter).encode())

    def _bring(self, body: bytes) -> None:
        request = Request(self.address, body, {"Content-Type": "application/json"})
        urlopen(request, timeout=300).close()


mailer = Mailer(MAILROOM_URL)


def deliver(issue: Issue) -> None:
    """Send an issue to every subscriber."""
    for subscriber in SUBSCRIBERS:
        try:
            mailer.send(subscriber, issue)
        except OSError as error:
            log.error("issue %d did not reach %s: %s", issue.number, subscriber, error)


newsletter = FastAPI(title="Newsletter")


@newsletter.post("/issues", status_code=202)
async def publish(issue: Issue, tasks: BackgroundTasks) -> dict[str, int]:
    tasks.add_task(deliver, issue)
    return {"issue": issue.number, "subscribers": len(SUBSCRIBERS)}


app = FastAPI(title="Website")


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


app.mount("/", newsletter)
