"""The mail provider: a real HTTP server outside the app, which records every letter."""

from __future__ import annotations

import contextlib
import itertools
import json
import select
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tasklab.gates import wait_until
from tasklab.launcher import current_launcher

__all__ = ["Letter", "Mailroom"]

_LARGEST_LETTER = 64 * 1024
_MOST_LETTERS = 10_000


@dataclass(frozen=True)
class Letter:
    """One letter as the mailroom saw it. Times are time.monotonic() seconds."""

    number: int
    body: dict[str, Any] = field(compare=False)
    arrived: float
    answered: float | None = None
    status: int | None = None
    """What the mailroom answered; 0 if it hung up without an answer; None while in flight."""

    @property
    def to(self) -> str:
        return str(self.body.get("to", ""))

    @property
    def subject(self) -> str:
        return str(self.body.get("subject", ""))

    @property
    def issue(self) -> Any:
        return self.body.get("issue")


class Mailroom:
    """Take letters at `POST /letters` and answer 202, or do what it is told to do instead.

    It lives outside the app and its controls are calls in this process, so the app cannot
    release a letter or forge a delivery that it did not make.
    """

    def __init__(self) -> None:
        self._letters: dict[int, Letter] = {}
        self._senders: dict[int, socket.socket] = {}
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._held = False
        self._status = 202
        self._delay = 0.0
        self._server: _Server | None = None
        self.url = ""

    # -- controls -----------------------------------------------------------------------------

    def hold(self) -> None:
        """Keep every letter in flight, those to come and none that is answered, until release."""
        self._turn(held=True)

    def release(self) -> None:
        """Answer the letters in flight and hold no more."""
        self._turn(held=False)

    def refuse(self, status: int = 503) -> None:
        """Answer every letter with an error."""
        self._turn(status=status)

    def drop(self) -> None:
        """Hang up on every letter without an answer."""
        self._turn(status=0)

    def delay(self, seconds: float) -> None:
        """Answer every letter that many seconds after it came."""
        self._turn(delay=seconds)

    def accept(self) -> None:
        """Answer every letter with 202 at once: how a mailroom starts."""
        self._turn(held=False, status=202, delay=0.0)

    def _turn(
        self, *, held: bool | None = None, status: int | None = None, delay: float | None = None
    ) -> None:
        with self._changed:
            self._held = self._held if held is None else held
            self._status = self._status if status is None else status
            self._delay = self._delay if delay is None else delay
            self._changed.notify_all()

    # -- evidence -----------------------------------------------------------------------------

    @property
    def letters(self) -> tuple[Letter, ...]:
        """Everything that arrived, in order of arrival."""
        with self._changed:
            return tuple(self._letters.values())

    @property
    def in_flight(self) -> tuple[Letter, ...]:
        return tuple(letter for letter in self.letters if letter.status is None)

    @property
    def awaited(self) -> tuple[Letter, ...]:
        """The letters in flight whose sender has not hung up: it still waits for the answer."""
        with self._changed:
            return tuple(
                letter
                for number, letter in self._letters.items()
                if number in self._senders and not _has_hung_up(self._senders[number])
            )

    @property
    def delivered(self) -> tuple[Letter, ...]:
        """The letters that the mailroom accepted."""
        return tuple(letter for letter in self.letters if letter.status == 202)

    def wait_for(
        self, *, in_flight: int = 0, delivered: int = 0, arrived: int = 0, within: float = 10.0
    ) -> tuple[Letter, ...]:
        """Return the letters once there are at least so many; raise DeadlinePassed otherwise."""
        wanted = {"in flight": in_flight, "delivered": delivered, "arrived": arrived}
        what = " and ".join(f"{number} letter(s) {name}" for name, number in wanted.items() if number)
        wait_until(
            lambda: (
                len(self.in_flight) >= in_flight
                and len(self.delivered) >= delivered
                and len(self.letters) >= arrived
            ),
            within=within,
            what=what,
        )
        return self.letters

    # -- running ------------------------------------------------------------------------------

    def start(self) -> Mailroom:
        launcher = current_launcher()
        listening = launcher.listen() if launcher else socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:{}".format(listening.getsockname()[1])
        self._server = _Server(listening, self)
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="mailroom", daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Close the mailroom; letters still in flight are never answered."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._server = None
        with self._changed:
            self._changed.notify_all()

    def __enter__(self) -> Mailroom:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return (
            f"<Mailroom: {len(self.letters)} letters arrived, {len(self.delivered)} delivered, "
            f"{len(self.in_flight)} in flight>"
        )

    # -- one letter, in the thread of its connection --------------------------------------------

    def _take(self, body: dict[str, Any], sender: socket.socket) -> int | None:
        """Record a letter and return what to answer, once it may be answered."""
        with self._changed:
            if len(self._letters) >= _MOST_LETTERS:
                return 507
            letter = Letter(next(self._numbers), body, time.monotonic())
            self._letters[letter.number] = letter
            self._senders[letter.number] = sender
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._held or self._server is None)
            if self._delay and self._server is not None:
                due = letter.arrived + self._delay
                while self._server is not None and (left := due - time.monotonic()) > 0:
                    self._changed.wait(left)
            del self._senders[letter.number]
            if self._server is None:
                return None
            status = self._status
            self._letters[letter.number] = replace(
                letter, answered=time.monotonic(), status=status
            )
            self._changed.notify_all()
            return status


def _has_hung_up(connection: socket.socket) -> bool:
    poll = select.poll()
    try:
        poll.register(connection, select.POLLIN)
        # Nothing to read means that it is open; the end of the stream is read as no bytes.
        return bool(poll.poll(0)) and not connection.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):
        return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/letters":
            return self._answer(404, {"error": "letters go to /letters"})
        if not length.isdigit() or int(length) > _LARGEST_LETTER:
            return self._answer(413, {"error": f"a letter has at most {_LARGEST_LETTER} bytes"})
        try:
            body = json.loads(self.rfile.read(int(length)))
            if not isinstance(body, dict):
                raise ValueError
        except ValueError:
            return self._answer(422, {"error": "a letter is a JSON object"})
        status = self.server.mailroom._take(body, self.connection)
        if status:
            self._answer(status, {"accepted": status == 202})
        else:
            self.close_connection = True

    def do_GET(self) -> None:
        self._answer(404, {"error": "the mailroom only takes letters"})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        # The app may be gone by the time its letter is released.
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status >= 400:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: the evidence is in the letters."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket, mailroom: Mailroom) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.mailroom = mailroom
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up in the middle of a letter."""
