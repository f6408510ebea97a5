"""What a test sees of an app, and of its tasks."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voices import say

warnings.simplefilter("ignore")

from fastapi import BackgroundTasks, FastAPI  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    say("client: lifespan")
    yield


app = FastAPI(lifespan=lifespan)
kept = []


async def work(name: str) -> None:
    await asyncio.sleep(0.1)
    say("client:", name, "ended")


@app.post("/issues")
async def publish(tasks: BackgroundTasks) -> None:
    tasks.add_task(work, "task")
    kept.append(asyncio.create_task(asyncio.sleep(3600)))
    kept[-1].add_done_callback(lambda task: task.cancelled() or say("client: created ended"))


TestClient(app).post("/issues")
say("client: answered")
