"""What a submission may use, measured and ended from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from autograde.engine import Report, grade
from autograde.places import Limits, Sandbox
from autograde.submission import Exercise
from autograde.watch import descendants, measure
from tasklab.gates import wait_until
from tests.autograde.courses import ANSWER, exercise

MIB = 1024**2
LIMITS = Limits(memory=256 * MIB, processor_time=5, processes=64)
SOLUTION = ANSWER.split("\n", 1)[1].split("    ### BEGIN SOLUTION\n")[0] + (
    '    tasks.add_task(deliver, issue["number"])\n    return {"accepted": True}\n'
)
ATTACKS = {
    "one process that fills memory": (
        "held = []\nwhile True:\n    held.append(bytearray(16 << 20))\n",
        "more than 256 MiB of memory",
    ),
    "many that fill it together": (
        """
import os, time
for _ in range(8):
    if os.fork() == 0:
        held = bytearray(os.urandom(1 << 20)) * 48
        time.sleep(3600)
time.sleep(3600)
""",
        "more than 256 MiB of memory",
    ),
    "one that never rests": ("while True:\n    pass\n", "more than 1 s of processor time"),
    "many that sleep": (
        (
            "import os, time\ntry:\n    while os.fork(): pass\nexcept OSError: pass\n"
            "time.sleep(3600)\n"
        ),
        "more than 64 processes and threads",
    ),
    "many that never rest": (
        "import os\nfor _ in range(3):\n    os.fork()\nwhile True:\n    pass\n",
        "more than 1 s of processor time",
    ),
}


def run(text: str, limits: Limits = LIMITS) -> Report:
    found = Exercise.from_notebook("01-no-letter", exercise())
    return grade(found, {"newsletter.py": text}, partial(Sandbox, limits=limits))


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """All attacks at once, with an honest neighbour among them."""
    texts = {name: text for name, (text, _) in ATTACKS.items()} | {"honest": SOLUTION}

    def run_one(name: str) -> Report:
        # On a busy machine even an endless loop comes to few seconds of its own in ten.
        seconds = 1 if "never rest" in name else LIMITS.processor_time
        return run(texts[name], replace(LIMITS, processor_time=seconds))

    with ThreadPoolExecutor(len(texts)) as executor:
        return dict(zip(texts, executor.map(run_one, texts), strict=True))


@pytest.mark.parametrize("name", ATTACKS)
def test_a_limit_is_told_in_words_and_costs_the_points(
    name: str, reports: dict[str, Report]
) -> None:
    report = reports[name]
    assert report.outcome == "failed", report
    assert report.points == 0
    assert ATTACKS[name][1] in report.results[0].verdict.saw


def test_a_neighbour_notices_nothing(reports: dict[str, Report]) -> None:
    assert reports["honest"].points == reports["honest"].max_points


def test_a_class_member_that_takes_for_ever_is_ended() -> None:
    report = run("import time\ntime.sleep(3600)\n", Limits(wall_time=2))
    assert report.outcome == "failed"
    assert "took more than 2 s" in report.results[0].verdict.saw


FAMILY = """
import os, sys
held = bytearray(os.urandom(1 << 20)) * 64
for _ in range(4):
    if os.fork() == 0:
        break
else:
    print("ready", flush=True)
sys.stdin.read()
"""


def test_shared_memory_is_counted_once() -> None:
    """Each of five forked processes seems to have the 64 MiB that they share."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        wait_until(lambda: len(descendants(child.pid)) == 4, what="four children")
        pids = [child.pid, *descendants(child.pid)]
        assert set(descendants(os.getpid())) >= set(pids)
        assert measure(pids, limit=0).memory < 160 * MIB
        assert measure(pids, limit=10**12).memory > 5 * 64 * MIB
        assert child.stdin is not None
        child.stdin.close()
    wait_until(lambda: measure(pids, limit=0).memory == 0, what="the end of the family")


def test_a_process_that_is_gone_has_no_descendants() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert descendants(child.pid) == []
