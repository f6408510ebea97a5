# passes: confirmed readers go into a queue, and ten couriers send
"""The newsletter: who signs up and confirms gets a letter of welcome."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

MAILROOM_URL = os.environ.get("MAILROOM_URL", "http://127.0.0.1:9000")
ARCHIVE = range(1, 5001)

log = logging.getLogger("newsletter")
waiting: set[str] = set()
confirmed: asyncio.Queue[str] = asyncio.Queue()


class Reader(BaseModel):
    to: str


async def send(to: str, subject: str) -> None:
    """Give one letter to the mailroom; raise if it is refused."""
    letter = {"to": to, "subject": subject}
    async with httpx.AsyncClient(base_url=MAILROOM_URL, timeout=60) as client:
        response = await client.post("/letters", json=letter)
        response.raise_for_status()


async def courier() -> None:
    while True:
        to = await confirmed.get()
        try:
            await send(to, "Welcome")
        except httpx.HTTPError:
            log.exception("no welcome for %s", to)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    couriers = [asyncio.create_task(courier()) for _ in range(30)]
    yield
    for task in couriers:
        task.cancel()
    await asyncio.gather(*couriers, return_exceptions=True)


app = FastAPI(title="Newsletter", lifespan=lifespan)


@app.post("/readers", status_code=202)
async def sign_up(reader: Reader) -> dict[str, str]:
    waiting.add(reader.to)
    return {"asked": reader.to}


@app.post("/confirmations/{to}", status_code=202)
async def confirm(to: str) -> dict[str, str]:
    if to not in waiting:
        raise HTTPException(404, f"{to} does not wait for a confirmation")
    waiting.discard(to)
    confirmed.put_nowait(to)
    return {"confirmed": to}


@app.get("/archive")
async def archive() -> list[dict[str, int | str]]:
    return [{"number": number, "subject": f"Issue {number}"} for number in ARCHIVE]
