"""Tasks that are made while the module is imported."""

import asyncio
import warnings

from fastapi import FastAPI
from voices import say

app = FastAPI()
kept = []


async def beat(name: str) -> None:
    say(name, "ran")


@app.get("/ping")
async def ping() -> None:
    """Let the loop turn."""


coroutine = beat("create-task")
try:
    kept.append(asyncio.create_task(coroutine))
except RuntimeError as error:
    coroutine.close()
    say("create-task raised", error)

coroutine = beat("get-event-loop")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        kept.append(asyncio.get_event_loop().create_task(coroutine))
    except RuntimeError as error:
        coroutine.close()
        say("get-event-loop raised", error)
