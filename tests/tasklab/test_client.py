from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tasklab.client import AnswerTooLong
from tasklab.gates import DeadlinePassed, wait_until
from tasklab.servers import uvicorn

if TYPE_CHECKING:
    from tasklab.launcher import Launcher
    from tasklab.processes import ServerProcess


@pytest.fixture
def server(write_app: Callable[..., Path], warm: Launcher) -> Iterator[ServerProcess]:
    with uvicorn("newsletter:app") as running:
        yield running
        # Some requests here never end, and an orderly shutdown would wait for them.
        running.stop(patience=0)


def test_verbs_return_responses(server: ServerProcess) -> None:
    response = server.get("/health", within=30)
    assert response.status_code == 200
    assert response.json() == {"pid": server.pid}
    assert response.elapsed.total_seconds() > 0
    assert server.get("/nothing").status_code == 404
    assert server.post("/health").status_code == 405
    assert server.request("HEAD", "/health").status_code == 405


def test_asking_does_not_wait(server: ServerProcess) -> None:
    stuck = server.ask("GET", "/forever")
    assert not stuck.wait(within=0.05)
    assert not stuck.done
    assert (stuck.status, stuck.seconds) == (None, None)
    assert str(stuck).startswith("no answer yet, ")
    answer = server.ask("GET", "/health")
    assert answer.wait(within=30)
    assert answer.status == 200
    assert answer.received is not None
    assert answer.seconds == answer.received - answer.sent
    assert repr(answer).startswith("<Answer to GET /health: 200 after ")


def test_a_request_has_a_deadline(server: ServerProcess) -> None:
    with pytest.raises(DeadlinePassed, match=r"^an answer to GET /forever: not seen within 0\.1 s"):
        server.get("/forever", within=0.1)


def test_a_server_that_dies_is_no_answer(server: ServerProcess) -> None:
    stuck = server.ask("GET", "/forever")
    with pytest.raises(httpx.RemoteProtocolError, match="disconnected"):
        server.get("/exit")
    assert server.wait() == 5
    assert not stuck.wait(within=30)
    assert str(stuck).startswith("no answer: ")


def test_a_request_in_flight_ends_with_the_server(server: ServerProcess) -> None:
    server.send_signal(signal.SIGSTOP)
    stuck = server.ask("GET", "/health")
    server.stop(patience=0)
    wait_until(lambda: stuck.done, what="the end of the request")
    with pytest.raises(httpx.ConnectError):
        server.get("/health")


def test_a_client_can_leave_and_come_back(server: ServerProcess) -> None:
    stuck = server.ask("GET", "/forever")
    assert not stuck.wait(within=0.05)
    server.hang_up()
    assert not stuck.wait(within=30)
    assert isinstance(stuck.error, httpx.TransportError)
    assert server.get("/health", within=30).status_code == 200


def test_an_endless_answer_is_not_read_to_its_end(server: ServerProcess) -> None:
    with pytest.raises(AnswerTooLong, match="more than 1048576 bytes"):
        server.get("/long")


def test_a_server_that_was_never_started_says_so() -> None:
    with pytest.raises(RuntimeError, match="never started"):
        uvicorn("newsletter:app").get("/health")
