"""What a process wrote, as it comes, kept within bounds."""

from __future__ import annotations

import os
import re
import threading
import time

from tasklab.gates import wait_until

__all__ = ["Log"]

_KEPT_BYTES = 1 << 20
_DIFFERS_EACH_RUN = (
    (re.compile(r"^\[\d{4}-\d\d-\d\d [^]]*\] ", re.MULTILINE), ""),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:port"),
    (re.compile(r"'127\.0\.0\.1', \d+"), "'127.0.0.1', port"),
    (re.compile(r"\[\d+\]"), "[pid]"),
    (re.compile(r"\bpid: ?\d+"), "pid"),
)
_COMPLAINT = re.compile(
    r"CRITICAL|ERROR|WARNING"
    # Python's own words begin a line, or follow a file and its line; one of them only gives advice.
    r"|(^\s*|:\d+: )\w*(Error|Exception|Warning|Exit)\b: (?!Enable tracemalloc)"
)


class Log:
    """Hold what a server wrote to stdout and stderr, in order of arrival.

    The first half and the last half of a mebibyte are kept of a server that writes more.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._arrivals: list[tuple[float, int]] = []
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None
        self.written = 0

    def read_from(self, descriptor: int) -> None:
        """Read `descriptor` to its end in a thread of its own, and close it."""
        self._reader = threading.Thread(
            target=self._read, args=(descriptor,), name="server log", daemon=True
        )
        self._reader.start()

    def _read(self, descriptor: int) -> None:
        try:
            while data := os.read(descriptor, 1 << 16):
                self.append(data)
        finally:
            os.close(descriptor)

    def finish(self, within: float = 5.0) -> None:
        """Wait until the last writer has closed its end."""
        if self._reader is not None:
            self._reader.join(within)

    def append(self, data: bytes) -> None:
        with self._lock:
            self.written += len(data)
            room = self._half - len(self._head)
            self._head += data[:room]
            if rest := data[room:]:
                self._tail += rest
                if len(self._tail) > 2 * self._half:
                    del self._tail[: -self._half]
            self._arrivals.append((time.monotonic(), self.written))
            if len(self._arrivals) > 10_000:
                del self._arrivals[1::2]

    @property
    def truncated(self) -> bool:
        return self.written > 2 * self._half

    @property
    def text(self) -> str:
        with self._lock:
            head, tail = bytes(self._head), bytes(self._tail[-self._half :])
        if self.truncated:
            left_out = self.written - len(head) - len(tail)
            middle = f"\n[… {left_out} bytes left out …]\n".encode()
            return (head + middle + tail).decode(errors="replace")
        return (head + tail).decode(errors="replace")

    @property
    def steady(self) -> str:
        """The text without dates, process ids and ports: two runs of the same are equal."""
        text = self.text
        for pattern, instead in _DIFFERS_EACH_RUN:
            text = pattern.sub(instead, text)
        return text

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def tail(self, count: int = 5) -> str:
        """The last `count` lines that are not empty."""
        return "\n".join([line for line in self.lines if line.strip()][-count:])

    def complaints(self, count: int = 4) -> list[str]:
        """The last lines in which a server or Python says that something went wrong."""
        return [line.strip() for line in self.lines if _COMPLAINT.search(line)][-count:]

    def arrival(self, text: str) -> float | None:
        """When the line with `text` came, as time.monotonic() seconds; None if it did not."""
        position = self.text.encode().find(text.encode())
        if position < 0:
            return None
        with self._lock:
            return next((at for at, end in self._arrivals if end > position), None)

    def wait_for(self, text: str, within: float = 10.0) -> str:
        """Return the first line that has `text`; raise DeadlinePassed if none comes in time."""

        def find() -> str | None:
            return next((line for line in self.lines if text in line), None)

        line = wait_until(find, within=within, what=f"{text!r} in the server's log")
        assert line is not None
        return line

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and text in self.text

    def __str__(self) -> str:
        return self.text
