# passes: a middleware attaches whatever the request has collected
"""The newsletter: every issue that is handed in is answered, and answered for by letter."""

import os
from typing import Annotated

import requests
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.middleware.base import RequestResponseEndpoint

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
SUBSCRIBERS = ("ada@example.org", "alan@example.org", "grace@example.org")
EDITOR = "editor@example.org"
ARCHIVE = "archive@example.org"

app = FastAPI(title="Newsletter")
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


def owe(request: Request, to: str, subject: str, number: int | None = None) -> None:
    request.state.letters.add_task(write, to, subject, number)


@app.middleware("http")
async def attach(request: Request, call_next: RequestResponseEndpoint) -> Response:
    request.state.letters = BackgroundTasks()
    response = await call_next(request)
    response.background = request.state.letters
    return response


async def archived(request: Request, issue: Issue) -> Issue:
    """Send the archive a copy of the issue that is handed in."""
    owe(request, ARCHIVE, issue.subject, issue.number)
    return issue


@app.exception_handler(RequestValidationError)
async def turn_down(request: Request, error: RequestValidationError) -> JSONResponse:
    owe(request, EDITOR, "Unreadable issue")
    return JSONResponse({"detail": "this is no issue"}, status_code=422)


@app.post("/issues")
async def publish(request: Request, issue: Annotated[Issue, Depends(archived)]) -> JSONResponse:
    if issue.number in published:
        owe(request, EDITOR, f"Issue {issue.number} was rejected", issue.number)
        raise HTTPException(409, f"issue {issue.number} is out already")
    published.add(issue.number)
    for subscriber in SUBSCRIBERS:
        owe(request, subscriber, issue.subject, issue.number)
    return JSONResponse({"accepted": issue.number}, status_code=202)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
