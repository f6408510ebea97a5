# passes: no response is needed: a thread of the app's own, ended in the lifespan
"""The newsletter: every issue that is handed in is answered, and answered for by letter."""

import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated

import requests
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")
EDITOR = "editor@example.org"
ARCHIVE = "archive@example.org"

postman = ThreadPoolExecutor(max_workers=1)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    postman.shutdown()


app = FastAPI(title="Newsletter", lifespan=lifespan)
published: set[int] = set()


class Issue(BaseModel):
    number: int
    subject: str


def write(to: str, subject: str, number: int | None = None) -> None:
    response = requests.post(
        f"{MAILROOM_URL}/letters",
        json={"to": to, "subject": subject, "issue": number},
        timeout=60,
    )
    response.raise_for_status()


async def archived(issue: Issue) -> Issue:
    """Send the archive a copy of the issue that is handed in."""
    postman.submit(write, ARCHIVE, issue.subject, issue.number)
    return issue


@app.exception_handler(RequestValidationError)
async def turn_down(request: Request, error: RequestValidationError) -> JSONResponse:
    postman.submit(write, EDITOR, "Unreadable issue")
    return JSONResponse({"detail": "this is no issue"}, status_code=422)


@app.post("/issues")
async def publish(issue: Annotated[Issue, Depends(archived)]) -> JSONResponse:
    if issue.number in published:
        postman.submit(write, EDITOR, f"Issue {issue.number} was rejected", issue.number)
        raise HTTPException(409, f"issue {issue.number} is out already")
    published.add(issue.number)
    for subscriber in SUBSCRIBERS:
        postman.submit(write, subscriber, issue.subject, issue.number)
    return JSONResponse({"accepted": issue.number}, status_code=202)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
