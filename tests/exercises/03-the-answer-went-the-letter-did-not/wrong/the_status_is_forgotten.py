# fails: rejected-issue-is-reported
# The list hangs on the answer now, and the answer has the status of the route.
"""The newsletter: every issue that is handed in is answered, and answered for by letter."""

import os
from typing import Annotated, Any

import requests
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

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


async def archived(issue: Issue, tasks: BackgroundTasks) -> Issue:
    """Send the archive a copy of the issue that is handed in."""
    tasks.add_task(write, ARCHIVE, issue.subject, issue.number)
    return issue


@app.exception_handler(RequestValidationError)
async def turn_down(request: Request, error: RequestValidationError) -> JSONResponse:
    tasks = BackgroundTasks()
    tasks.add_task(write, EDITOR, "Unreadable issue")
    return JSONResponse({"detail": "this is no issue"}, status_code=422, background=tasks)


@app.post("/issues")
async def publish(
    issue: Annotated[Issue, Depends(archived)], tasks: BackgroundTasks
) -> Any:
    if issue.number in published:
        tasks.add_task(write, EDITOR, f"Issue {issue.number} was rejected", issue.number)
        return {"detail": f"issue {issue.number} is out already"}
    published.add(issue.number)
    for subscriber in SUBSCRIBERS:
        tasks.add_task(write, subscriber, issue.subject, issue.number)
    return JSONResponse({"accepted": issue.number}, status_code=202)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}
