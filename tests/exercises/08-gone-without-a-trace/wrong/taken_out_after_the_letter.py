# fails: nobody-is-written-to-unasked
# Who has confirmed is taken out when the letter is sent, and may confirm until then.
"""The newsletter: who signs up and confirms gets a letter of welcome."""

import os

import httpx
from fastapi import BackgroundTasks, FastAPI, HTTPException
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
ARCHIVE = range(1, 5001)

app = FastAPI(title="Newsletter")
waiting: set[str] = set()


class Reader(BaseModel):
    to: str


async def send(to: str, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject}
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as client:
        response = await client.post("/letters", json=letter)
        response.raise_for_status()


async def welcome(to: str) -> None:
    """Send the letter; whoever has it does not wait any more."""
    await send(to, "Welcome")
    waiting.discard(to)


@app.post("/readers", status_code=202)
async def sign_up(reader: Reader) -> dict[str, str]:
    waiting.add(reader.to)
    return {"asked": reader.to}


@app.post("/confirmations/{to}", status_code=202)
async def confirm(to: str, tasks: BackgroundTasks) -> dict[str, str]:
    if to not in waiting:
        raise HTTPException(404, f"{to} does not wait for a confirmation")
    tasks.add_task(welcome, to)
    return {"confirmed": to}


@app.get("/archive")
async def archive() -> list[dict[str, int | str]]:
    return [{"number": number, "subject": f"Issue {number}"} for number in ARCHIVE]
