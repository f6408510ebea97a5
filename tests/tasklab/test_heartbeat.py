from __future__ import annotations

import asyncio
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasklab import Heartbeat, serve, uvicorn, wait_until
from tasklab.heartbeat import SILENCE, find_gaps

LONG = 0.7
"""Seconds to hold a loop, well over SILENCE: a blocked loop is what is tested."""


async def see(condition: Callable[[], object], within: float = 20.0) -> None:
    """Wait on the running loop, which goes on beating."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not come true"
        await asyncio.sleep(0.005)


def covers(pulse: Heartbeat, start: float, end: float) -> bool:
    return any(gap.start <= start and end <= gap.end for gap in pulse.gaps())


def heartbeat_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("heartbeat")]


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    wait_until(loop.is_running)
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def health_server(gate: threading.Event, status: int = 200) -> Iterator[str]:
    """Answer every GET, while the gate is open."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gate.wait(30)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


# -- the running loop -----------------------------------------------------------------------------


async def block_between_beats() -> tuple[Heartbeat, float, float]:
    async with Heartbeat() as pulse:
        await see(lambda: pulse.times)
        start = time.monotonic()
        time.sleep(LONG)
        end = time.monotonic()
        await see(lambda: pulse.times[-1] > end)
    return pulse, start, end


def test_a_blocked_loop_is_a_gap_from_the_last_beat_before_to_the_first_after() -> None:
    pulse, start, end = asyncio.run(block_between_beats())
    assert covers(pulse, start, end)
    assert pulse.longest_gap >= LONG
    assert all(not start < at < end for at in pulse.times)


def test_an_awaiting_loop_goes_on_beating() -> None:
    async def wait_politely() -> int:
        async with Heartbeat(period=0.01) as pulse:
            start = time.monotonic()
            await see(lambda: len(pulse.times) >= 10)
            return sum(at >= start for at in pulse.times)

    assert asyncio.run(wait_politely()) >= 9


def test_a_silence_that_still_lasts_is_counted_until_now() -> None:
    async def look_from_inside() -> tuple[float, int]:
        with Heartbeat() as pulse:
            time.sleep(LONG)
            return pulse.longest_gap, len(pulse.gaps(over=SILENCE))

    longest, number = asyncio.run(look_from_inside())
    assert longest >= LONG
    assert number == 1


def test_a_stopped_heartbeat_grows_no_more() -> None:
    pulse, _, _ = asyncio.run(block_between_beats())
    before = pulse.longest_gap, pulse.until, pulse.times
    wait_until(lambda: time.monotonic() > pulse.until + pulse.longest_gap)
    assert (pulse.longest_gap, pulse.until, pulse.times) == before


def test_no_task_is_left_on_the_loop_even_after_an_exception() -> None:
    async def stumble() -> set[asyncio.Task[Any]]:
        with pytest.raises(ZeroDivisionError):
            async with Heartbeat():
                raise ZeroDivisionError
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(stumble()) == set()


# -- a loop in another thread ---------------------------------------------------------------------


def test_a_loop_in_another_thread_is_heard_while_it_is_blocked() -> None:
    with running_loop() as loop, Heartbeat(SimpleNamespace(loop=loop)) as pulse:
        wait_until(lambda: pulse.times)
        held: list[float] = []

        def hold() -> None:
            held.append(time.monotonic())
            time.sleep(LONG)
            held.append(time.monotonic())

        loop.call_soon_threadsafe(hold)
        wait_until(lambda: len(held) == 2 and pulse.times[-1] > held[1])
        assert covers(pulse, *held)


@pytest.mark.parametrize("raises", [False, True])
def test_nothing_is_left_on_the_other_loop(raises: bool) -> None:
    with running_loop() as loop:
        try:
            with Heartbeat(SimpleNamespace(loop=loop)) as pulse:
                wait_until(lambda: pulse.times)
                if raises:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert asyncio.all_tasks(loop) == set()


def test_a_heartbeat_stopped_on_a_blocked_loop_ends_when_the_loop_breathes_again() -> None:
    gate = threading.Event()
    with running_loop() as loop:
        loop.call_soon_threadsafe(gate.wait, 30)
        pulse = Heartbeat(SimpleNamespace(loop=loop)).start()
        opener = threading.Timer(SILENCE, gate.set)
        opener.start()
        pulse.stop()
        opener.join()
        assert pulse.times == ()
        assert asyncio.all_tasks(loop) == set()


def test_a_server_that_stops_first_does_no_harm() -> None:
    with running_loop() as loop:
        pulse = Heartbeat(SimpleNamespace(loop=loop)).start()
        wait_until(lambda: pulse.times)
        asyncio.run_coroutine_threadsafe(end_tasks(), loop).result(10)
    pulse.stop()
    pulse.stop()
    assert pulse.times


async def end_tasks() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def blocking_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/block":
        time.sleep(LONG)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_a_server_inside_the_kernel() -> None:
    with serve(blocking_app, lifespan="off") as server, Heartbeat(server) as pulse:
        assert pulse.lane == "event loop"
        wait_until(lambda: pulse.times)
        answer = server.ask("GET", "/block")
        wait_until(lambda: answer.done and pulse.times[-1] > (answer.received or 0))
        assert pulse.longest_gap >= LONG
        received = answer.received or 0.0
        assert any(answer.sent < gap.end and gap.start < received for gap in pulse.gaps())


# -- from outside ---------------------------------------------------------------------------------


def test_from_outside_a_beat_is_an_answer() -> None:
    gate = threading.Event()
    gate.set()
    with health_server(gate) as url, Heartbeat(SimpleNamespace(url=url)) as pulse:
        assert pulse.lane == "client"
        wait_until(lambda: pulse.times)
        gate.clear()
        asked = len(pulse.asked)
        # The answer to a question sent before the gate closed may still be under way.
        wait_until(lambda: pulse.until - max(pulse.times) > LONG)
        assert len(pulse.asked) <= asked + 2
        assert pulse.longest_gap >= LONG
        gate.set()
        opened = time.monotonic()
        wait_until(lambda: pulse.times[-1] > opened)
        assert any(gap.start < opened < gap.end for gap in pulse.gaps())
    assert heartbeat_threads() == []


def test_an_answer_of_any_status_is_a_beat() -> None:
    gate = threading.Event()
    gate.set()
    with (
        health_server(gate, status=503) as url,
        Heartbeat(SimpleNamespace(url=url)) as pulse,
    ):
        wait_until(lambda: pulse.times)


def test_a_pending_question_does_not_hold_up_the_stop() -> None:
    gate = threading.Event()
    with health_server(gate) as url:
        with pytest.raises(ZeroDivisionError), Heartbeat(SimpleNamespace(url=url)) as pulse:
            assert 1 / (not wait_until(lambda: pulse.asked))
        assert not gate.is_set()
        assert heartbeat_threads() == []
    assert pulse.times == ()


def test_a_server_that_is_gone_is_asked_again() -> None:
    gate = threading.Event()
    with health_server(gate) as url:
        pass
    with Heartbeat(SimpleNamespace(url=url), period=0.01) as pulse:
        wait_until(lambda: len(pulse.asked) >= 3)
    assert pulse.times == ()
    assert heartbeat_threads() == []


def test_a_server_in_a_child_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blocking.py").write_text(
        "import time\n"
        "async def app(scope, receive, send):\n"
        "    if scope['path'] == '/block':\n"
        f"        time.sleep({LONG})\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b''})\n"
    )
    monkeypatch.chdir(tmp_path)
    with uvicorn("blocking:app", arguments=("--lifespan", "off")) as server:
        with Heartbeat(server) as pulse:
            wait_until(lambda: pulse.times)
            answer = server.ask("GET", "/block")
            wait_until(lambda: answer.received and pulse.times[-1] > answer.received)
        assert pulse.longest_gap >= LONG / 2
        assert any(gap.start < (answer.received or 0) for gap in pulse.gaps())
    assert heartbeat_threads() == []


# -- measuring and misuse -------------------------------------------------------------------------


def test_gaps_are_longer_than_what_is_asked_for() -> None:
    times = [0.05, 0.10, 0.45, 0.50]
    assert [tuple(gap) for gap in find_gaps(times, 0.0, 1.0)] == [(0.10, 0.45), (0.50, 1.0)]
    assert [tuple(gap) for gap in find_gaps(times, 0.0, 1.0, over=0.4)] == [(0.50, 1.0)]
    assert [tuple(gap) for gap in find_gaps([], 0.0, 1.0)] == [(0.0, 1.0)]
    assert find_gaps([], 0.0, 0.1) == ()


def test_before_it_starts_nothing_is_measured() -> None:
    pulse = Heartbeat()
    assert pulse.longest_gap < SILENCE
    pulse.stop()
    assert pulse.times == ()


@pytest.mark.parametrize(
    ("misuse", "error", "words"),
    [
        (lambda: Heartbeat().start(), RuntimeError, "give Heartbeat a server"),
        (lambda: Heartbeat(period=0), ValueError, "needs a period above 0 s"),
        (lambda: Heartbeat("a server"), TypeError, "neither a loop nor a url"),
        (
            lambda: Heartbeat(SimpleNamespace(loop=None)).start(),
            RuntimeError,
            "start the server first",
        ),
    ],
)
def test_misuse_gets_one_sentence(
    misuse: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        misuse()
    assert "\n" not in str(caught.value)


def test_a_heartbeat_is_used_once() -> None:
    with running_loop() as loop:
        with Heartbeat(SimpleNamespace(loop=loop)) as pulse:
            pass
        with pytest.raises(RuntimeError, match="make a new one"):
            pulse.start()
