"""Real uvicorn servers inside this process: on a thread of their own, or on the running loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasklab.client import Client
from tasklab.gates import wait_until
from tasklab.logs import Log
from tasklab.processes import ServerDidNotStart

if TYPE_CHECKING:
    import uvicorn

__all__ = ["serve", "serve_here"]

_START_WITHIN = 10.0
_STOP_WITHIN = 10.0


class _Collector(logging.Handler):
    """Collect what uvicorn logs for one server: its records come from one thread."""

    def __init__(self, log: Log, belongs: Callable[[logging.LogRecord], bool]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s:     %(message)s"))
        self.addFilter(belongs)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.append((self.format(record) + "\n").encode())


class _InKernel(Client):
    def __init__(self, app: Any, options: dict[str, Any]) -> None:
        self.app = app
        self.log = Log()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._options = options
        self._server: uvicorn.Server | None = None
        self._listening: socket.socket | None = None
        self._collector: _Collector | None = None

    def _prepare(self) -> None:
        import uvicorn

        class Server(uvicorn.Server):
            # The kernel's signals are the kernel's: Ctrl-C interrupts a cell, not the server.
            def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
                return contextlib.nullcontext()

        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = "http://127.0.0.1:{}".format(self._listening.getsockname()[1])
        config = uvicorn.Config(self.app, log_config=None, **self._options)
        self._server = Server(config)
        logger = logging.getLogger("uvicorn")
        logger.setLevel(logging.INFO)
        logger.propagate = False
        thread = threading.get_ident
        self._thread_id = thread()
        self._collector = _Collector(self.log, lambda record: record.thread == self._thread_id)
        logger.addHandler(self._collector)

    def _clean_up(self) -> None:
        if self._collector is not None:
            logging.getLogger("uvicorn").removeHandler(self._collector)
            self._collector = None
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if "_http" in self.__dict__:
            self._close_http()
            del self.__dict__["_http"]
        self._server = None

    def _did_not_start(self, how: str) -> ServerDidNotStart:
        return ServerDidNotStart("uvicorn", how, self.log.tail(6))

    def __repr__(self) -> str:
        return f"<uvicorn in this process at {self.url}>" if self._server else "<uvicorn: stopped>"


class serve(_InKernel):  # noqa: N801 - reads as a verb: `with serve(app) as server`
    """Serve an ASGI app with uvicorn on a thread and an event loop of its own.

    Takes uvicorn.Config's options (`lifespan`, `timeout_graceful_shutdown`, ...). Use it in a
    `with`, or start() and stop() in cells. Raises ServerDidNotStart.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, options)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self) -> serve:
        if self._server is not None:
            self.stop()
        self._prepare()
        server, listening = self._server, self._listening
        assert server is not None and listening is not None

        async def run() -> None:
            self._thread_id = threading.get_ident()
            self.loop = asyncio.get_running_loop()
            await server.serve(sockets=[listening])

        def target() -> None:
            try:
                asyncio.run(run())
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=target, name="uvicorn", daemon=True)
        self._thread.start()
        thread = self._thread
        wait_until(
            lambda: server.started or not thread.is_alive(),
            within=_START_WITHIN,
            what="uvicorn's start",
        )
        if not server.started:
            why = f"ended with {self._error!r}" if self._error else "ended"
            error = self._did_not_start(why)
            self._clean_up()
            raise error
        return self

    def stop(self, within: float = _STOP_WITHIN) -> None:
        """Stop as on SIGTERM: wait for requests and background tasks, then force it."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(within)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(within)
        self._clean_up()

    def __enter__(self) -> serve:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class serve_here(_InKernel):  # noqa: N801
    """Serve an ASGI app with uvicorn on the event loop that runs this code.

    In a notebook that is the kernel's own loop: while a cell computes, the server is deaf.
    Use it in an `async with`, or await start() and stop() in cells.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        super().__init__(app, options)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> serve_here:
        if self._server is not None:
            await self.stop()
        self._prepare()
        server, listening = self._server, self._listening
        assert server is not None and listening is not None
        self.loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(server.serve(sockets=[listening]))
        async with asyncio.timeout(_START_WITHIN):
            while not server.started and not self._task.done():
                await asyncio.sleep(0.005)
        if not server.started:
            error = self._did_not_start("ended")
            self._clean_up()
            raise error
        return self

    async def stop(self) -> None:
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await asyncio.wait([self._task], timeout=_STOP_WITHIN)
        if not self._task.done():
            self._server.force_exit = True
            await asyncio.wait([self._task], timeout=_STOP_WITHIN)
        self._clean_up()

    async def __aenter__(self) -> serve_here:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
