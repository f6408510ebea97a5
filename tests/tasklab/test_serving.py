from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import BackgroundTasks, FastAPI

from tasklab.gates import Patience, wait_until
from tasklab.processes import ServerDidNotStart
from tasklab.serving import _Collector, serve, serve_here
from tests.tasklab.conftest import is_listening

if TYPE_CHECKING:
    from tasklab.client import Answer


async def answered(answer: Answer) -> None:
    patience = Patience(10.0)
    while not answer.done and await patience.pause_here():
        pass


def make_app(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.get("/health")
    async def health() -> str:
        return threading.current_thread().name

    return app


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    threads = set(threading.enumerate())
    yield
    left = {thread for thread in threading.enumerate() if "AnyIO" not in thread.name} - threads
    wait_until(lambda: not [thread for thread in left if thread.is_alive()], what="the threads")
    handlers = logging.getLogger("uvicorn").handlers
    assert not [handler for handler in handlers if isinstance(handler, _Collector)]


def test_a_server_runs_on_a_thread_of_its_own() -> None:
    with serve(make_app()) as server:
        assert server.get("/health").json() == "uvicorn"
        assert repr(server) == f"<uvicorn in this process at {server.url}>"
        assert server.loop is not None
        assert server.loop.is_running()
    assert not is_listening(server.url)
    assert "Finished server process" in server.log
    assert "GET /health" in server.log
    assert repr(server) == "<uvicorn: stopped>"
    server.stop()


def test_two_servers_keep_their_logs_apart() -> None:
    with serve(make_app()) as one, serve(make_app()) as other:
        assert one.url != other.url
        one.get("/health?one")
        other.get("/health?other")
    assert "?one" in one.log
    assert "?other" not in one.log
    assert "?other" in other.log


def test_starting_again_stops_the_first() -> None:
    server = serve(make_app())
    first = server.start().url
    second = server.start().url
    assert not is_listening(first)
    assert is_listening(second)
    assert server.get("/health").status_code == 200
    server.stop()
    assert not is_listening(second)


def test_an_exception_in_the_body_stops_it() -> None:
    with pytest.raises(ZeroDivisionError), serve(make_app()) as server:
        _ = 1 / 0
    assert not is_listening(server.url)


@contextlib.asynccontextmanager
async def failing(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(int, "no database")
    yield


@contextlib.asynccontextmanager
async def hanging(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


def test_a_lifespan_that_fails_shows_the_servers_last_lines() -> None:
    with pytest.raises(ServerDidNotStart, match="ValueError: invalid literal") as raised:
        serve(make_app(lifespan=failing)).start()
    assert raised.value.how == "ended with SystemExit(3)"


def test_a_lifespan_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasklab.serving._START_WITHIN", 0.2)
    server = serve(make_app(lifespan=hanging))
    with pytest.raises(ServerDidNotStart, match=r"did not finish starting within 0\.2 s"):
        server.start()
    assert not is_listening(server.url)


def test_an_app_that_cannot_be_found_is_told() -> None:
    with pytest.raises(ServerDidNotStart, match="Could not import module"):
        serve("no_such_module:app").start()


def test_a_background_task_is_waited_for() -> None:
    app, delivered = make_app(), threading.Event()

    @app.post("/issues")
    async def publish(tasks: BackgroundTasks) -> None:
        async def deliver() -> None:
            await asyncio.sleep(0.05)
            delivered.set()

        tasks.add_task(deliver)

    with serve(app) as server:
        server.post("/issues")
    assert delivered.is_set()


def test_a_background_task_that_never_ends_is_given_up() -> None:
    app, cancelled, started = make_app(), threading.Event(), threading.Event()

    @app.post("/issues")
    async def publish(tasks: BackgroundTasks) -> None:
        async def deliver() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        tasks.add_task(deliver)

    server = serve(app).start()
    server.post("/issues")
    assert started.wait(10)
    server.stop(within=0.2)
    assert cancelled.wait(10)
    assert not is_listening(server.url)


def test_on_the_running_loop_a_computing_cell_makes_it_deaf() -> None:
    async def main() -> None:
        async with serve_here(make_app()) as server:
            assert server.loop is asyncio.get_running_loop()
            answer = server.ask("GET", "/health")
            assert not answer.wait(within=0.1)
            await answered(answer)
            assert answer.response is not None
            assert answer.response.json() == "MainThread"
        assert not is_listening(server.url)
        assert "GET /health" in server.log

    asyncio.run(main())


def test_two_servers_share_a_loop_and_keep_their_logs_apart() -> None:
    async def main() -> None:
        async with serve_here(make_app()) as one, serve_here(make_app()) as other:
            for server, name in ((one, "one"), (other, "other")):
                await answered(server.ask("GET", f"/health?{name}"))
        assert "?one" in one.log
        assert "?other" not in one.log

    asyncio.run(main())


@pytest.mark.parametrize("lifespan", [failing, hanging])
def test_on_the_running_loop_a_start_that_fails_leaves_the_loop_alive(
    lifespan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that fails ends by SystemExit, which would end the kernel."""
    monkeypatch.setattr("tasklab.serving._START_WITHIN", 0.2)

    async def main() -> None:
        with pytest.raises(ServerDidNotStart):
            await serve_here(make_app(lifespan=lifespan)).start()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_on_the_running_loop_a_task_that_never_ends_is_cancelled() -> None:
    app, started = make_app(), asyncio.Event()

    @app.post("/issues")
    async def publish(tasks: BackgroundTasks) -> None:
        async def deliver() -> None:
            started.set()
            await asyncio.Event().wait()

        tasks.add_task(deliver)

    async def main() -> None:
        server = await serve_here(app).start()
        server.ask("POST", "/issues")
        await started.wait()
        await server.stop(within=0.2)
        await server.stop()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
