# fails: nothing-stays-for-ever
# The list keeps every task, and what goes wrong is logged on the spot.
"""The newsletter: who signs up and confirms gets a letter of welcome."""

import asyncio
import logging
import os
from weakref import WeakValueDictionary

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
ARCHIVE = range(1, 5001)

app = FastAPI(title="Newsletter")
waiting: WeakValueDictionary[str, asyncio.Future[None]] = WeakValueDictionary()
welcomes: list[asyncio.Task[None]] = []


class Reader(BaseModel):
    to: str


async def send(to: str, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject}
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as client:
        response = await client.post("/letters", json=letter)
        response.raise_for_status()


async def welcome(to: str) -> None:
    """Wait until the reader has confirmed, and send the letter."""
    confirmed = asyncio.get_running_loop().create_future()
    waiting[to] = confirmed
    await confirmed
    try:
        await send(to, "Welcome")
    except httpx.HTTPError as error:
        logging.error("%s was not welcomed: %s", to, error)


@app.post("/readers", status_code=202)
async def sign_up(reader: Reader) -> dict[str, str]:
    welcomes.append(asyncio.create_task(welcome(reader.to)))
    return {"asked": reader.to}


@app.post("/confirmations/{to}", status_code=202)
async def confirm(to: str) -> dict[str, str]:
    confirmed = waiting.get(to)
    if confirmed is None or confirmed.done():
        raise HTTPException(404, f"{to} does not wait for a confirmation")
    confirmed.set_result(None)
    return {"confirmed": to}


@app.get("/archive")
async def archive() -> list[dict[str, int | str]]:
    return [{"number": number, "subject": f"Issue {number}"} for number in ARCHIVE]
