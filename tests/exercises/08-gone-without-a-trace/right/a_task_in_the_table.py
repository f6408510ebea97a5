# passes: the table has the task and an event, and the end of the task clears it
"""The newsletter: who signs up and confirms gets a letter of welcome."""

import asyncio
import os

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
ARCHIVE = range(1, 5001)

app = FastAPI(title="Newsletter")
waiting: dict[str, tuple[asyncio.Event, asyncio.Task[None]]] = {}


class Reader(BaseModel):
    to: str


async def send(to: str, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject}
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as client:
        response = await client.post("/letters", json=letter)
        response.raise_for_status()


async def welcome(to: str, confirmed: asyncio.Event) -> None:
    """Wait until the reader has confirmed, and send the letter."""
    await confirmed.wait()
    await send(to, "Welcome")


@app.post("/readers", status_code=202)
async def sign_up(reader: Reader) -> dict[str, str]:
    if reader.to not in waiting:
        confirmed = asyncio.Event()
        task = asyncio.create_task(welcome(reader.to, confirmed))
        task.add_done_callback(lambda _: waiting.pop(reader.to))
        waiting[reader.to] = confirmed, task
    return {"asked": reader.to}


@app.post("/confirmations/{to}", status_code=202)
async def confirm(to: str) -> dict[str, str]:
    if to not in waiting or waiting[to][0].is_set():
        raise HTTPException(404, f"{to} does not wait for a confirmation")
    waiting[to][0].set()
    return {"confirmed": to}


@app.get("/archive")
async def archive() -> list[dict[str, int | str]]:
    return [{"number": number, "subject": f"Issue {number}"} for number in ARCHIVE]
