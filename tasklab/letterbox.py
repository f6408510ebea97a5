"""The HTTP side of the mailroom: it reads letters and answers what it is told."""

from __future__ import annotations

import contextlib
import http.server
import json
import select
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Letterbox", "has_hung_up", "seconds_since_data"]

_LARGEST_LETTER = 64 * 1024
# An app that runs wild must not take up the threads of the process that watches it.
_MOST_CONNECTIONS = 200
# Linux's struct tcp_info begins with eight bytes and eleven numbers before this one.
_LAST_DATA_RECEIVED = 8 + 11 * 4
_TCP_INFO_BYTES = 104

Take = Callable[[dict[str, Any], int, socket.socket], int]
"""Gets a letter, its size in bytes and its connection; returns a status, or 0 to hang up."""


def has_hung_up(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection."""
    waiting = select.poll()
    try:
        waiting.register(connection, select.POLLIN)
        # Nothing to read means that it is open; the end of the stream is read as no bytes.
        return bool(waiting.poll(0)) and not connection.recv(1, socket.MSG_PEEK)
    except (OSError, ValueError):
        return True


def seconds_since_data(connection: socket.socket) -> float:
    """How long ago the other side sent its last bytes; 0 where the kernel does not tell."""
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        (milliseconds,) = struct.unpack_from("=I", told, _LAST_DATA_RECEIVED)
    except (AttributeError, OSError, struct.error):
        return 0.0
    return float(milliseconds) / 1000


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    # Head and body are two writes. Nagle's algorithm would keep the second back until the app's
    # kernel has acknowledged the first, which takes 40 ms on Linux.
    disable_nagle_algorithm = True
    server: Letterbox

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()):
            self._answer(411, {"error": "a letter says its Content-Length"})
            return
        if int(length) > _LARGEST_LETTER:
            self._answer(413, {"error": f"a letter has at most {_LARGEST_LETTER} bytes"})
            return
        data = self.rfile.read(int(length))
        if self.path != "/letters":
            self._answer(404, {"error": "letters go to /letters"})
            return
        try:
            body = json.loads(data)
            if not isinstance(body, dict):
                raise ValueError
        except (ValueError, RecursionError):
            self._answer(422, {"error": "a letter is a JSON object"})
            return
        if status := self.server.take(body, len(data), self.connection):
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

    def log_message(self, *_: Any) -> None:
        """Stay silent: the evidence is in the letters."""


class Letterbox(http.server.ThreadingHTTPServer):
    """Take letters at `POST /letters`, each in a thread of its own."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket, take: Take) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.take = take
        self._connections: set[socket.socket] = set()

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, name="mailroom", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            self.shutdown_request(request)
            return
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close(self) -> None:
        """Stop listening, hang up on everybody and return once no new letter can come."""
        # It wakes serve_forever(), which would else look up only twice a second.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Ignore clients that hang up in the middle of a letter."""
