from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tasklab.gates import Patience, wait_until
from tasklab.processors import PROCESSORS, count_ready, fair_share

pytestmark = pytest.mark.skipif(count_ready() is None, reason="only Linux tells who is ready")


@pytest.fixture
def busy() -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(4 * PROCESSORS):
            process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(process.wait)
            stack.callback(process.kill)
        wait_until(lambda: (count_ready() or 0) >= 4 * PROCESSORS, within=60)
        yield


@pytest.mark.usefixtures("busy")
def test_a_busy_machine_has_less_for_each() -> None:
    assert fair_share() <= 0.5


@pytest.mark.usefixtures("busy")
def test_patience_for_work_lasts_longer_on_a_busy_machine() -> None:
    started = time.monotonic()
    patience = Patience(0.3, work=True)
    while patience.pause():
        pass
    assert time.monotonic() - started > 0.6


def test_nobody_gets_more_than_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for ready in (None, 0, 1):
        monkeypatch.setattr("tasklab.processors.count_ready", lambda: ready)  # noqa: B023
        assert fair_share() == 1
