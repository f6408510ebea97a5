"""The newsletter with a middleware that many services have."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from newsletter import app


@app.middleware("http")
async def hand_on(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    return await call_next(request)
