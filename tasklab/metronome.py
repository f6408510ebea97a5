"""How late this machine is: what a measured time is worth."""

from __future__ import annotations

import threading
import time
from typing import Self

from tasklab.launcher import BenchBroken

__all__ = ["Metronome"]


class Metronome:
    """Tick in a thread of its own and note how late the ticks come.

    A server whose deadline passes on a machine that stood still has done nothing wrong: ask
    `vouch` before such a deadline is held against it.
    """

    def __init__(self, period: float = 0.02) -> None:
        self.period = period
        self._longest = 0.0
        self._due = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="metronome", daemon=True)

    @property
    def lateness(self) -> float:
        """How late the latest tick came, in seconds, a tick that is overdue now included."""
        overdue = 0.0 if self._stopped.is_set() else time.monotonic() - self._due
        return max(self._longest, overdue)

    def vouch(self, lateness: float, what: str) -> None:
        """Raise BenchBroken if a tick was more than `lateness` seconds late."""
        if self.lateness > lateness:
            raise BenchBroken(
                f"this machine was too busy to measure {what}: for {self.lateness:.1f} s it let "
                "nothing run"
            )

    def _tick(self) -> None:
        while not self._stopped.wait(max(0.0, self._due - time.monotonic())):
            now = time.monotonic()
            self._longest = max(self._longest, now - self._due)
            self._due = now + self.period

    def __enter__(self) -> Self:
        self._due = time.monotonic() + self.period
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._longest = self.lateness
        self._stopped.set()
        self._thread.join()
