"""How busy the processors of this machine are."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PROCESSORS", "count_ready", "fair_share"]

PROCESSORS = os.cpu_count() or 1


def count_ready() -> int | None:
    """Return how many threads run or want to; None where that is not told (it is by Linux)."""
    try:
        # Field 4 of proc_loadavg(5), up to the slash. It counts the thread that asks.
        words = Path("/proc/loadavg").read_text(encoding="ascii").split()
        return int(words[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return None


def fair_share() -> float:
    """Return how much of a processor each thread gets that wants one now, from 0 to 1."""
    return min(1.0, PROCESSORS / max(count_ready() or 1, 1))
