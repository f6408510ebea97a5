"""Requests to a server, seen from a client that never waits for ever."""

from __future__ import annotations

import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tasklab.gates import DeadlinePassed, wait_until

if TYPE_CHECKING:
    import httpx

__all__ = ["Answer", "Client"]


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

    def wait(self, within: float = 5.0) -> bool:
        """Wait for the answer; return False if none comes in time."""
        try:
            return wait_until(lambda: self.done, within=within) and self.error is None
        except DeadlinePassed:
            return False

    def __str__(self) -> str:
        if self.response is not None:
            return f"{self.status} after {self.seconds:.2f} s"
        if self.error is not None:
            return f"no answer: {self.error}"
        return f"no answer yet, {time.monotonic() - self.sent:.1f} s after it was asked"

    def __repr__(self) -> str:
        return f"<Answer to {self.method} {self.path}: {self}>"


class Client:
    """The verbs that every server of the bench has."""

    url: str

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx

        # Loopback only: no proxy from the environment, no certificates to load.
        return httpx.Client(
            base_url=self.url,
            trust_env=False,
            verify=False,
            timeout=None,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request and return at once; the answer fills in when it comes."""
        http = self._http
        answer = Answer(method, path)

        def exchange() -> None:
            try:
                answer.response = http.request(method, path, **options)
                answer.received = time.monotonic()
            except Exception as error:
                answer.error = error

        threading.Thread(target=exchange, name=f"{method} {path}", daemon=True).start()
        return answer

    def request(
        self, method: str, path: str, *, within: float = 10.0, **options: Any
    ) -> httpx.Response:
        """Return the response; raise DeadlinePassed if it takes longer than `within` seconds."""
        answer = self.ask(method, path, **options)
        wait_until(lambda: answer.done, within=within, what=f"an answer to {method} {path}")
        if answer.error is not None:
            raise answer.error
        assert answer.response is not None
        return answer.response

    def get(self, path: str, *, within: float = 10.0, **options: Any) -> httpx.Response:
        return self.request("GET", path, within=within, **options)

    def post(self, path: str, *, within: float = 10.0, **options: Any) -> httpx.Response:
        return self.request("POST", path, within=within, **options)

    def _close_http(self) -> None:
        if "_http" in self.__dict__:
            self._http.close()
