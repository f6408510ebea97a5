"""Requests to a server, seen from a client that never waits for ever."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from tasklab.gates import comes_true, wait_until

if TYPE_CHECKING:
    import httpx

    from tasklab.connections import Connections

__all__ = ["Answer", "AnswerTooLong", "Client"]

_LONGEST_ANSWER = 1 << 20


class AnswerTooLong(Exception):
    """The server sent more than this client reads."""

    def __init__(self) -> None:
        super().__init__(f"an answer of more than {_LONGEST_ANSWER} bytes")


class Answer:
    """A request on its way. Times are time.monotonic() seconds."""

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        self.sent = time.monotonic()
        self.received: float | None = None
        self.response: httpx.Response | None = None
        self.error: Exception | None = None
        """Why no answer came: the server hung up, or is gone."""

    @property
    def done(self) -> bool:
        return self.received is not None or self.error is not None

    @property
    def status(self) -> int | None:
        return self.response.status_code if self.response is not None else None

    @property
    def seconds(self) -> float | None:
        """From sent to received."""
        return None if self.received is None else self.received - self.sent

    def wait(self, within: float = 4.0) -> bool:
        """Wait for the answer; return False if none comes in time."""
        return comes_true(lambda: self.done, within) is not None and self.error is None

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.status} after {self.seconds:.2f} s"
        if self.error is not None:
            return f"no answer: {self.error}"
        return f"no answer yet, {time.monotonic() - self.sent:.1f} s after it was asked"

    def __repr__(self) -> str:
        return f"<Answer to {self.method} {self.path}: {self}>"


class Client:
    """The verbs that every server of the bench has."""

    url: str = ""

    _connections: Connections | None = None
    _http: httpx.Client | None = None

    def _open_socket(self) -> socket.socket:
        return socket.socket()

    def _open_http(self) -> httpx.Client:
        if self._http is None:
            from tasklab.connections import Connections

            if not self.url:
                raise RuntimeError("the server was never started: use it in a `with`, or start()")
            self._connections = Connections(self._open_socket)
            self._http = self._connections.client(self.url)
        return self._http

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request and return at once; the answer fills in when it comes."""
        http = self._open_http()
        answer = Answer(method, path)

        def exchange() -> None:
            try:
                answer.response = _exchange(http, method, path, options)
                answer.received = time.monotonic()
            except Exception as error:  # noqa: BLE001 - told to whoever asked
                answer.error = error

        threading.Thread(target=exchange, name=f"{method} {path}", daemon=True).start()
        return answer

    def request(
        self, method: str, path: str, *, within: float = 10.0, **options: Any
    ) -> httpx.Response:
        """Return the response; raise DeadlinePassed if it takes longer than `within` seconds.

        Raises httpx.TransportError if the server hangs up or is gone.
        """
        answer = self.ask(method, path, **options)
        what = f"an answer to {method} {path}"
        wait_until(lambda: answer.done, within=within, what=what, work=True)
        if answer.error is not None:
            raise answer.error
        assert answer.response is not None
        return answer.response

    def get(self, path: str, *, within: float = 10.0, **options: Any) -> httpx.Response:
        return self.request("GET", path, within=within, **options)

    def post(self, path: str, *, within: float = 10.0, **options: Any) -> httpx.Response:
        return self.request("POST", path, within=within, **options)

    def hang_up(self) -> None:
        """Leave: cut every connection, also those on which an answer is still awaited."""
        self._close_http()

    def _close_http(self) -> None:
        """Close the client; a request that still waits ends without an answer."""
        if self._http is None or self._connections is None:
            return
        # Closing it would race the threads that use it, and without reuse it holds no connection.
        self._connections.cut()
        self._http = self._connections = None


def _exchange(
    http: httpx.Client, method: str, path: str, options: dict[str, Any]
) -> httpx.Response:
    """Read a response whole, but no more of it than a client of the bench ever wants."""
    import httpx

    body = bytearray()
    with http.stream(method, path, **options) as response:
        for part in response.iter_raw():
            body += part
            if len(body) > _LONGEST_ANSWER:
                raise AnswerTooLong
    whole = httpx.Response(
        response.status_code,
        headers=[pair for pair in response.headers.raw if pair[0].lower() not in _TRANSFER],
        content=bytes(body),
        request=response.request,
    )
    whole.elapsed = response.elapsed
    return whole


# Said of the bytes on the wire; httpx would act on them again.
_TRANSFER = {b"content-encoding", b"transfer-encoding"}
