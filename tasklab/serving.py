"""Real uvicorn servers inside this process: on a thread of their own, or on the running loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any, Self

from tasklab.client import Client
from tasklab.gates import Patience, comes_true
from tasklab.launcher import Launcher
from tasklab.listeners import Listener
from tasklab.logs import Log
from tasklab.processes import ServerDidNotStart

if TYPE_CHECKING:
    import socket

    import uvicorn

__all__ = ["serve", "serve_here"]

_START_WITHIN = 10.0
_STOP_WITHIN = 10.0

# Which server's code is running: what asyncio and anyio start for a server inherits it.
_serving: contextvars.ContextVar[_InKernel | None] = contextvars.ContextVar("serving", default=None)


class _Collector(logging.Handler):
    """Collect what uvicorn logs on behalf of one server."""

    def __init__(self, server: _InKernel) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s:     %(message)s"))
        self._server = server

    def emit(self, record: logging.LogRecord) -> None:
        if _serving.get() is self._server:
            self._server.log.append((self.format(record) + "\n").encode(errors="replace"))


class _InKernel(Client):
    """What both forms have in common. Takes the options of uvicorn.Config."""

    def __init__(self, app: Any, **options: Any) -> None:
        self.app = app
        self.log = Log()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._options = options
        self._server: uvicorn.Server | None = None
        self._listening: socket.socket | None = None
        self._collector: _Collector | None = None
        self._error: BaseException | None = None
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

    def _prepare(self) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            # The kernel's signals are the kernel's: Ctrl-C interrupts a cell, not the server.
            def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
                return contextlib.nullcontext()

        self.log, self._error = Log(), None
        self._listening = Launcher().listen()
        self.url = Listener(self._listening).url
        self._server = Server(uvicorn.Config(self.app, log_config=None, **self._options))
        logger = logging.getLogger("uvicorn")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        self._collector = _Collector(self)
        logger.addHandler(self._collector)

    async def _run(self) -> None:
        """Serve until told to stop; keep what ends it, because uvicorn ends by SystemExit."""
        assert self._server is not None and self._listening is not None
        _serving.set(self)
        self.loop = asyncio.get_running_loop()
        config = self._server.config
        try:
            config.load()
            config.loaded_app = self._watch(config.loaded_app)
            await self._server.serve(sockets=[self._listening])
        except (Exception, SystemExit) as error:  # noqa: BLE001 - told by start()
            self._error = error

    def _watch(self, app: Any) -> Any:
        """Know the app's tasks: uvicorn leaves those that it gave up on to their loop."""

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._tasks.add(task)
            await app(scope, receive, send)

        return watched

    def _cancel_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    @property
    def _started(self) -> bool:
        return self._server is not None and self._server.started

    def _tell_to_stop(self, *, at_once: bool = False) -> None:
        if self._server is not None:
            self._server.should_exit = True
            self._server.force_exit = self._server.force_exit or at_once

    def _clean_up(self) -> None:
        if self._collector is not None:
            logging.getLogger("uvicorn").removeHandler(self._collector)
            self._collector = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        self._close_http()
        self._server = None

    def _did_not_start(self) -> ServerDidNotStart:
        how = f"did not finish starting within {_START_WITHIN:g} s"
        if self._error is not None:
            how = f"ended with {self._error!r}"
        return ServerDidNotStart("uvicorn", how, self.log.last_words())

    def __repr__(self) -> str:
        return f"<uvicorn in this process at {self.url}>" if self._server else "<uvicorn: stopped>"


class serve(_InKernel):  # noqa: N801 - reads as a verb: `with serve(app) as server`
    """Serve an ASGI app with uvicorn on a thread and an event loop of its own.

    Takes uvicorn.Config's options (`lifespan`, `timeout_graceful_shutdown`, ...). Use it in a
    `with`, or start() and stop() in cells. Raises ServerDidNotStart.
    """

    _thread: threading.Thread | None = None

    def start(self) -> Self:
        self.stop()
        self._prepare()
        self._thread = thread = threading.Thread(
            target=self._run_on_thread, name="uvicorn", daemon=True
        )
        try:
            thread.start()
            comes_true(
                lambda: self._started or not thread.is_alive(), within=_START_WITHIN, work=False
            )
            if not self._started:
                raise self._did_not_start()
        except BaseException:
            self.stop(within=1.0)
            raise
        return self

    def _run_on_thread(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._run())

    def stop(self, within: float = _STOP_WITHIN) -> None:
        """Stop as on SIGTERM: wait for requests and background tasks, then force it."""
        if self._thread is None:
            return
        self._tell_to_stop()
        self._join(within)
        if self._thread.is_alive():
            self._tell_to_stop(at_once=True)
            self._join(within)
        if self._thread.is_alive() and self.loop is not None:
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._cancel_tasks)
            self._join(within)
        self._thread = None
        self._clean_up()

    def _join(self, within: float) -> None:
        thread = self._thread
        assert thread is not None
        comes_true(lambda: not thread.is_alive(), within=within, work=False)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop(within=_STOP_WITHIN if kind is None else 1.0)


class serve_here(_InKernel):  # noqa: N801
    """Serve an ASGI app with uvicorn on the event loop that runs this code.

    In a notebook that is the kernel's own loop: while a cell computes, the server is deaf.
    Use it in an `async with`, or await start() and stop() in cells. Raises ServerDidNotStart.
    """

    _task: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        await self.stop()
        self._prepare()
        self._task = asyncio.create_task(self._run(), context=contextvars.copy_context())
        try:
            await self._wait_started(self._task)
            if not self._started:
                raise self._did_not_start()
        except BaseException:
            await self.stop(within=1.0)
            raise
        return self

    async def _wait_started(self, task: asyncio.Task[None]) -> None:
        patience = Patience(_START_WITHIN)
        while not self._started and not task.done() and await patience.pause_here():
            pass

    async def stop(self, within: float = _STOP_WITHIN) -> None:
        """Stop as on SIGTERM: wait for requests and background tasks, then force it."""
        if self._task is None:
            return
        self._tell_to_stop()
        await asyncio.wait([self._task], timeout=within)
        if not self._task.done():
            self._tell_to_stop(at_once=True)
            await asyncio.wait([self._task], timeout=within)
        # A thread's loop ends with it; this one lives on.
        if left := {task for task in (self._task, *self._tasks) if not task.done()}:
            self._cancel_tasks()
            await asyncio.wait(left, timeout=within)
        self._task = None
        self._clean_up()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.stop(within=_STOP_WITHIN if kind is None else 1.0)
