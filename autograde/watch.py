"""Watch what sandboxes use, and end what uses too much."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Protocol

__all__ = ["Usage", "Watched", "measure", "watch"]

# Between two looks, in seconds. A process can fill about a gigabyte in that time; the limit on
# its addresses, which the kernel keeps, bounds what it gets before it is seen.
_PERIOD = 0.2
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage:
    """What some processes use together: memory in bytes, processor time in seconds, threads."""

    def __init__(self, memory: int = 0, processor: float = 0.0, threads: int = 0) -> None:
        self.memory = memory
        self.processor = processor
        self.threads = threads


class Watched(Protocol):
    def look(self) -> None:
        """Measure, and end what uses too much."""


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below `pid`, parents first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        # Any of them may end while it is looked at.
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
                children = [int(word) for word in (task / "children").read_text().split()]
                found += children
                waiting += children
    return found


def measure(pids: list[int], limit: int) -> Usage:
    """Add up what these processes use.

    Forked processes share memory. What each seems to have is a fast upper bound; only where that
    is over `limit` bytes the kernel is asked for the fair share of each.
    """
    memory, processor, threads = 0, 0.0, 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError, ValueError):
            statm = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
            memory += int(statm[1]) * _PAGE
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            # After the name, which may hold anything: fields 14 to 17 and 20 of proc(5).
            fields = stat.rpartition(")")[2].split()
            processor += sum(int(ticks) for ticks in fields[11:15]) / _TICKS
            threads += int(fields[17])
    if memory > limit:
        memory = sum(_fair_share(pid) for pid in pids)
    return Usage(memory, processor, threads)


def _fair_share(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError, StopIteration):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        line = next(line for line in text.splitlines() if line.startswith("Pss:"))
        return int(line.split()[1]) * 1024
    return 0


def kill_all(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


class _Watchman:
    """One thread that looks at every sandbox in turn, as long as there are any."""

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, watched: Watched) -> None:
        with self._lock:
            self._watched.add(watched)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()

    def remove(self, watched: Watched) -> None:
        with self._lock:
            self._watched.discard(watched)

    def _run(self) -> None:
        while True:
            time.sleep(_PERIOD)
            with self._lock:
                if not self._watched:
                    self._thread = None
                    return
                everyone = list(self._watched)
            for watched in everyone:
                watched.look()


watch = _Watchman()
"""The one watchman of this process."""
