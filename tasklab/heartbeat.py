"""The pulse of an event loop: when it beat, and for how long it did not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Coroutine, Iterable
from typing import Any, NamedTuple, Self

__all__ = ["SILENCE", "Gap", "Heartbeat", "find_gaps"]

SILENCE = 0.3
"""Seconds without a beat that count as a gap: six beats missed in a row.

A busy machine delays beats too. Measured on two CPUs with eight busy processes, a loop that only
awaits was never silent for more than 0.06 s; five times that is not the machine any more.
"""

_STOP_WITHIN = 10.0


class Gap(NamedTuple):
    """A stretch without a beat, from the last beat before it to the first one after it."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def find_gaps(
    times: Iterable[float], since: float, until: float, over: float = SILENCE
) -> tuple[Gap, ...]:
    """Return the stretches longer than `over` seconds; the first beat is awaited from `since`."""
    edges = [since, *(at for at in times if since < at < until), until]
    pairs = itertools.pairwise(edges)
    return tuple(Gap(start, end) for start, end in pairs if end - start > over)


class Heartbeat:
    """Record the beats of an event loop, every `period` seconds, as time.monotonic() times.

    A beat that comes late means that something else held the loop. What is listened to:

    - `async with Heartbeat()` or `with Heartbeat()`: the running loop, in a notebook the kernel's;
    - `with Heartbeat(server)`: the loop of a server inside the kernel, its `server.loop`;
    - `with Heartbeat(server)`: a server in a child process, from outside. It is asked
      `GET /health` again and again, and a beat is an answer of any status, so here a gap may also
      mean that every thread or worker was taken, or that the server was gone.

    In notebooks, `start()` in one cell and `stop()` in another. Use one only once.
    """

    def __init__(self, server: Any = None, *, period: float = 0.05, path: str = "/health") -> None:
        if period <= 0:
            raise ValueError(f"period is {period:g} s; a heartbeat needs a period above 0 s")
        if server is not None and not (hasattr(server, "loop") or hasattr(server, "url")):
            raise TypeError(
                f"Heartbeat got {type(server).__name__}, which has neither a loop nor a url; "
                "give it a server, or nothing for the running loop"
            )
        self.period = period
        self._server = server
        self._path = path
        self._times: list[float] = []
        self._asked: list[float] = []
        self._since: float | None = None
        self._until: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()

    # -- evidence -----------------------------------------------------------------------------

    @property
    def lane(self) -> str:
        """The timeline lane this belongs in: a question from outside is a client's."""
        return "client" if self._from_outside else "event loop"

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(self._times)

    @property
    def asked(self) -> tuple[float, ...]:
        """When each question was sent; the last one may have no answer. Empty for a loop."""
        return tuple(self._asked)

    @property
    def since(self) -> float:
        return time.monotonic() if self._since is None else self._since

    @property
    def until(self) -> float:
        """When it stopped, or now."""
        return time.monotonic() if self._until is None else self._until

    def gaps(self, over: float = SILENCE) -> tuple[Gap, ...]:
        """Return the silences longer than `over` seconds, one that still lasts included."""
        return find_gaps(self.times, self.since, self.until, over)

    @property
    def longest_gap(self) -> float:
        """The longest silence in seconds, however short; near `period` if nothing held the loop."""
        return max((gap.seconds for gap in self.gaps(over=0.0)), default=0.0)

    # -- running ------------------------------------------------------------------------------

    def start(self) -> Self:
        if self._since is not None:
            raise RuntimeError("this Heartbeat was started before; make a new one")
        if self._from_outside:
            self._thread = threading.Thread(
                target=self._run_outside, name=f"heartbeat of {self._server.url}", daemon=True
            )
            self._since = time.monotonic()
            self._thread.start()
            return self
        if self._server is None:
            try:
                self._loop = asyncio.get_running_loop()
            except RuntimeError:
                raise RuntimeError(
                    "no event loop is running here; call this inside async code or a notebook, "
                    "or give Heartbeat a server"
                ) from None
            self._since = time.monotonic()
            self._create_task()
            return self
        self._loop = self._server.loop
        if self._loop is None or not self._loop.is_running():
            raise RuntimeError("the server's loop is not running; start the server first")
        self._since = time.monotonic()
        self._loop.call_soon_threadsafe(self._create_task)
        return self

    def stop(self) -> None:
        """Stop listening; what was recorded stays.

        A loop that is blocked right now ends the recording task when it breathes again; that is
        awaited for ten seconds at most.
        """
        if self._since is None or self._until is not None:
            return
        self._until = time.monotonic()
        # The loop may be closed already, and has then ended its tasks itself.
        with contextlib.suppress(RuntimeError):
            if self._on_own_loop():
                self._cancel()
                return
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel)
        self._await_end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        if not self._on_own_loop():
            await asyncio.to_thread(self.stop)
            return
        self.stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    # -- inside -------------------------------------------------------------------------------

    @property
    def _from_outside(self) -> bool:
        return self._server is not None and not hasattr(self._server, "loop")

    def _on_own_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _create_task(self) -> None:
        if self._until is None:
            assert self._loop is not None
            self._begin(self._loop, self._beat())
        else:
            self._ended.set()

    def _begin(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
        self._task = loop.create_task(work, name="heartbeat")
        self._task.add_done_callback(lambda _: self._ended.set())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _await_end(self) -> None:
        if self._thread is not None:
            self._thread.join(_STOP_WITHIN)
        elif self._loop is not None and self._loop.is_running():
            self._ended.wait(_STOP_WITHIN)

    def _note(self, times: list[float]) -> None:
        if self._until is None:
            times.append(time.monotonic())

    async def _beat(self) -> None:
        while True:
            self._note(self._times)
            await asyncio.sleep(self.period)

    def _run_outside(self) -> None:
        # A loop of its own, because a pending question can be cancelled there and nowhere else.
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._begin(self._loop, self._ask())
            assert self._task is not None
            if self._until is not None:
                self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)

    async def _ask(self) -> None:
        import httpx

        # No kept connections: a new client has none either, and any worker may take the next one.
        async with httpx.AsyncClient(
            base_url=self._server.url,
            trust_env=False,
            verify=False,
            timeout=None,
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client:
            while True:
                self._note(self._asked)
                with contextlib.suppress(httpx.RequestError):
                    await client.get(self._path)
                    self._note(self._times)
                await asyncio.sleep(self.period)
