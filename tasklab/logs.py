"""What a process wrote, as it comes, kept within bounds."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import re
import select
import termios
import threading
import time

from tasklab.gates import comes_true, wait_until

__all__ = ["Log"]

_KEPT_BYTES = 1 << 20
_LONGEST_LINE = 300
_PIPE_BYTES = 1 << 20
_DIFFERS_EACH_RUN = (
    (re.compile(r"^\[\d{4}-\d\d-\d\d [^]]*\] ", re.MULTILINE), ""),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "127.0.0.1:port"),
    (re.compile(r"'127\.0\.0\.1', \d+"), "'127.0.0.1', port"),
    (re.compile(r"\[\d+\]"), "[pid]"),
    (re.compile(r"\bpid:? ?\d+"), "pid"),
    (re.compile(r"(Listening at: \S+) \(\d+\)"), r"\1 (pid)"),
)
_EXCEPTION = re.compile(r"^[\w.]*(Error|Exception|Warning|Exit|Interrupt)\b(: |$)")
_COMPLAINT = re.compile(
    r"CRITICAL|ERROR|WARNING"
    # Python's own words begin a line, or follow a file and its line; one of them only gives advice.
    r"|(^\s*|:\d+: )[\w.]*(Error|Exception|Warning|Exit)\b(: (?!Enable tracemalloc)|$)"
)
# How gunicorn's master may end when its workers did not start: it names no reason.
_MASTER_GAVE_UP = re.compile(
    r"^Traceback .*\n(?:^ .*\n)*^gunicorn\.errors\.HaltServer.*\n?", re.MULTILINE
)
_ALL_IS_WELL = re.compile(r"^INFO: |^\[[^]]+\] \[\d+\] \[INFO\] ")


class Log:
    """Hold what a server wrote to stdout and stderr, in order of arrival.

    The first half and the last half of a mebibyte are kept of a server that writes more.
    """

    def __init__(self, limit: int = _KEPT_BYTES) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._arrivals: list[tuple[float, int]] = []
        self._lock = threading.RLock()
        self._descriptor: int | None = None
        self.written = 0

    def read_from(self, descriptor: int) -> None:
        """Read `descriptor` to its end in a thread of its own, and close it."""
        self._descriptor = descriptor
        # A program that writes megabytes must not wait for its reader at each 64 KiB.
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        threading.Thread(
            target=self._read, args=(descriptor,), name="server log", daemon=True
        ).start()

    def _read(self, descriptor: int) -> None:
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        while True:
            waiting.poll()
            # One step with append(), or finish() could find the pipe empty and the log too.
            with self._lock:
                data = os.read(descriptor, _PIPE_BYTES)
                if not data:
                    self._descriptor = None
                    os.close(descriptor)
                    return
                self.append(data)

    def finish(self, within: float = 5.0) -> None:
        """Wait until everything written so far is in the log.

        Not for the last writer to close its end: a process that the server left behind may
        never do so.
        """
        comes_true(lambda: not self._unread(), within=within, work=False)

    def _unread(self) -> int:
        with self._lock:
            if self._descriptor is None:
                return 0
            size = array.array("i", [0])
            fcntl.ioctl(self._descriptor, termios.FIONREAD, size)
            return size[0]

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
            left_out = self.written - len(head) - len(tail)
        if left_out:
            head += f"\n[… {left_out} bytes left out …]\n".encode()
        return (head + tail).decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def steady(self) -> str:
        """The text without dates, process ids and ports: two runs of the same are equal."""
        text = self.text
        for pattern, instead in _DIFFERS_EACH_RUN:
            text = pattern.sub(instead, text)
        return text

    def tail(self, count: int = 5) -> str:
        """The last `count` lines that are not empty, each within reason."""
        return "\n".join([_shorten(line) for line in self.lines if line.strip()][-count:])

    def last_words(self, count: int = 8) -> str:
        """The lines in which a server that could not start says why.

        From the last place in its last traceback, or else the last lines; without those in
        which all is well, such as gunicorn's about its other workers.
        """
        text = _MASTER_GAVE_UP.sub("", self.text)
        lines = [x for x in text.splitlines() if x.strip() and not _ALL_IS_WELL.search(x)]
        ends = [number for number, line in enumerate(lines) if _EXCEPTION.search(line)]
        if ends:
            places = [n for n, line in enumerate(lines[: ends[-1]]) if line.startswith("  File ")]
            lines = lines[places[-1] if places else ends[-1] :]
            if len(lines) > count:
                lines = [*lines[: count - 3], *lines[-3:]]
        return "\n".join(_shorten(line) for line in lines[-count:])

    def complaints(self, count: int = 4) -> list[str]:
        """The last lines in which a server or Python says that something went wrong."""
        found = [line for line in self.lines if _COMPLAINT.search(line)]
        return [_shorten(line.strip()) for line in found[-count:]]

    def arrival(self, text: str) -> float | None:
        """When the line with `text` came, as time.monotonic() seconds; None if it did not."""
        sought = text.encode()
        with self._lock:
            position = self._head.find(sought)
            if position < 0:
                tail = bytes(self._tail[-self._half :])
                if (position := tail.find(sought)) < 0:
                    return None
                position += self.written - len(tail)
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


def _shorten(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} […]"
