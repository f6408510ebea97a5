"""More work than the processors can do at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Self

import pytest

from tasklab.processors import PROCESSORS, count_ready

__all__ = ["OVERSUBSCRIBED", "RUNNABLE", "Load"]

OVERSUBSCRIBED = 4
RUNNABLE = pytest.StashKey[float]()
"""How many processes wanted each processor, on average, while the answers were graded."""
_PERIOD = 0.1
# Each ends when its stdin closes, so none outlives the process that started it.
_SPIN = """\
import os, sys, threading
threading.Thread(target=lambda: sys.stdin.read() or os._exit(0), daemon=True).start()
while True: pass
"""


class Load:
    """Keep four times as many processes ready to run as there are processors.

    Gradings count: spinning processes fill up only what they leave, so that the machine's time
    goes into what is to be proved; and a grading that is admitted only when there is room makes it
    no more than four times. Where it is not told how many are ready (it is by Linux, in
    /proc/stat), all of them spin.
    """

    def __init__(self) -> None:
        self.wanted = OVERSUBSCRIBED * PROCESSORS
        self._counts: list[int] = []
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._run, name="load", daemon=True)

    @property
    def mean(self) -> float:
        """How many processes were ready for each processor; 0 where that is not told."""
        return sum(self._counts) / max(len(self._counts), 1) / PROCESSORS

    def admit(self) -> None:
        """Return when one grading more keeps no more than the wanted number ready to run."""
        with self._turn:
            while not self._over.wait(_PERIOD):
                if (count_ready() or 0) <= self.wanted:
                    return

    def __enter__(self) -> Self:
        self._spinning = [
            subprocess.Popen([sys.executable, "-c", _SPIN], stdin=subprocess.PIPE)
            for _ in range(self.wanted)
        ]
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watch.join()
        for process in self._spinning:
            process.kill()
            process.communicate()

    def _run(self) -> None:
        awake = self.wanted
        while not self._over.wait(_PERIOD):
            ready = count_ready()
            if ready is None:
                return
            self._counts.append(ready)
            # One at a time: what is ready changes faster than it is counted.
            if ready > self.wanted and awake:
                awake -= 1
                self._spinning[awake].send_signal(signal.SIGSTOP)
            elif ready < self.wanted and awake < self.wanted:
                self._spinning[awake].send_signal(signal.SIGCONT)
                awake += 1
