"""The line to a keeper: requests and their replies, descriptors beside them, exits as they come."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tasklab.gates import comes_true
from tasklab.keeper import kill_family

__all__ = ["BenchBroken", "Control"]

_WITHIN = 60.0
_PAUSE = 0.05
_CLOSING_WITHIN = 10.0
# A request waits twice for its turn on a processor, and on a busy machine for nothing else.
_SOCKETS_AT_ONCE = 8


class BenchBroken(Exception):
    """The bench itself failed: nothing is known about the app."""


class Control:
    """One keeper process and the socket through which it is asked."""

    def __init__(self) -> None:
        self.exits: dict[int, int] = {}
        """Exit codes by the process ids that the keeper gave; negative for a signal."""
        self.process: subprocess.Popen[bytes] | None = None
        self._socket, self._theirs = socket.socketpair()
        self._numbers = itertools.count(1)
        self._replies: queue.Queue[tuple[dict[str, Any], list[int]]] = queue.Queue()
        self._one_request = threading.Lock()
        self._spare: list[int] = []
        self._refill = threading.Lock()
        self._ready = threading.Event()
        self._gone = threading.Event()
        self._threads: list[threading.Thread] = []
        self._last_words = ""

    @property
    def descriptor(self) -> int:
        """The keeper's end of the socket, for its command line."""
        return self._theirs.fileno()

    @property
    def gone(self) -> bool:
        return self._gone.is_set()

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with self._theirs:
            self.process = subprocess.Popen(
                command,
                pass_fds=[self.descriptor],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=dict(environment),
                start_new_session=True,
            )
        for target in (self._listen, self._read_last_words):
            self._threads.append(threading.Thread(target=target, name="keeper", daemon=True))
            self._threads[-1].start()

    def _read_last_words(self) -> None:
        assert self.process is not None and self.process.stderr is not None
        with self.process.stderr as stream:
            while data := os.read(stream.fileno(), 4096):
                self._last_words = (self._last_words + data.decode(errors="replace"))[-4096:]

    def _listen(self) -> None:
        buffer, descriptors = b"", list[int]()
        try:
            while True:
                data, more, _, _ = socket.recv_fds(self._socket, 1 << 16, _SOCKETS_AT_ONCE)
                if not data:
                    break
                descriptors.extend(more)
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    message = json.loads(line)
                    match message.get("event"):
                        case "ready":
                            self._ready.set()
                        case "exit":
                            self.exits[message["pid"]] = message["code"]
                        case _:
                            self._replies.put((message, descriptors))
                            descriptors = []
        except OSError:
            pass
        finally:
            self._gone.set()

    def request(self, do: str, descriptors: Sequence[int] = (), **fields: Any) -> Any:
        """Ask the keeper; raise BenchBroken if it refuses or is gone."""
        reply, _ = self._exchange(do, descriptors, fields)
        return reply

    def listen(self) -> socket.socket:
        """Ask the keeper for a socket that listens on the network where it lives."""
        _, descriptors = self._exchange("listen", (), {})
        return socket.socket(fileno=descriptors[0])

    def open_socket(self) -> socket.socket:
        """Return a socket of the keeper's network; it is asked for several at once."""
        with self._refill:
            if not self._spare:
                _, self._spare = self._exchange("sockets", (), {"count": _SOCKETS_AT_ONCE})
            return socket.socket(fileno=self._spare.pop())

    def _exchange(
        self, do: str, descriptors: Sequence[int], fields: Mapping[str, Any]
    ) -> tuple[Any, list[int]]:
        with self._one_request:
            number = next(self._numbers)
            data = json.dumps({"id": number, "do": do, **fields}).encode() + b"\n"
            try:
                # Descriptors travel with the first byte; the rest may need several writes.
                socket.send_fds(self._socket, [data[:1]], list(descriptors))
                self._socket.sendall(data[1:])
            except OSError:
                raise self.broken() from None
            message, received = self._reply_to(number)
        if "error" in message:
            for descriptor in received:
                os.close(descriptor)
            raise BenchBroken(f"could not {do}: {message['error']}")
        return message["reply"], received

    def _reply_to(self, number: int) -> tuple[dict[str, Any], list[int]]:
        for _ in range(int(_WITHIN / _PAUSE)):
            try:
                message, received = self._replies.get(timeout=_PAUSE)
            except queue.Empty:
                if self.gone and self._replies.empty():
                    break
                continue
            if message["id"] == number:
                return message, received
            # Ctrl-C ended an earlier request before its reply came.
            for descriptor in received:
                os.close(descriptor)
        raise self.broken()

    def wait_ready(self) -> None:
        comes_true(lambda: self._ready.is_set() or self.gone, within=_WITHIN, work=False)
        if not self._ready.is_set():
            raise self.broken()

    def broken(self) -> BenchBroken:
        """The error that says that the keeper is gone, with its last words."""
        comes_true(
            lambda: not any(thread.is_alive() for thread in self._threads), within=1.0, work=False
        )
        words = self._last_words.strip().splitlines()
        why = f" ({words[-1]})" if words else ""
        return BenchBroken(f"the process that starts the servers is gone{why}")

    def close(self) -> None:
        """Hang up; the keeper then ends all that it started, and itself."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.process is not None:
            try:
                self.process.wait(_CLOSING_WITHIN)
            except subprocess.TimeoutExpired:
                # A keeper behind a wall is not this process but below it, and would stay.
                kill_family(self.process.pid)
                self.process.wait()
        for thread in self._threads:
            thread.join(1)
        with self._refill:
            while self._spare:
                os.close(self._spare.pop())
        self._theirs.close()
        self._socket.close()
