from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import ExitStack

import psutil
import pytest

from tasklab.gates import wait_until
from tasklab.processors import count_ready
from tests.exercises.load import Load

pytestmark = pytest.mark.skipif(count_ready() is None, reason="only Linux tells who is ready")


def stopped(load: Load) -> int:
    return sum(
        psutil.Process(process.pid).status() == psutil.STATUS_STOPPED for process in load._spinning
    )


def test_the_processors_have_four_times_too_much_to_do() -> None:
    with Load() as load:
        assert wait_until(lambda: (count_ready() or 0) >= load.wanted, within=60)
        assert wait_until(lambda: load.mean > 1, within=60)
    assert all(process.poll() is not None for process in load._spinning)


def test_other_work_counts() -> None:
    with ExitStack() as stack, Load() as load:
        for _ in range(2 * load.wanted):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        assert wait_until(lambda: stopped(load) == load.wanted, within=60)


def test_no_grading_is_admitted_beside_more_than_that() -> None:
    admitted = threading.Event()

    def ask() -> None:
        load.admit()
        admitted.set()

    with ExitStack() as stack, Load() as load:
        busy = []
        for _ in range(2 * load.wanted):
            busy.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(busy[-1].wait)
            stack.callback(busy[-1].kill)
        assert wait_until(lambda: (count_ready() or 0) > 1.5 * load.wanted, within=60)
        threading.Thread(target=ask, daemon=True).start()

        assert not admitted.wait(1)
        for process in busy:
            process.kill()
        assert admitted.wait(60)
