from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tasklab.launcher import BenchBroken
from tasklab.metronome import Metronome

_CHILD = """
from tasklab.launcher import BenchBroken
from tasklab.metronome import Metronome
with Metronome() as metronome:
    print("ticking", flush=True)
    input()
    try:
        metronome.vouch(0.5, "a worker timeout of 2 s")
        print("vouched for")
    except BenchBroken as error:
        print(error)
"""


def test_a_process_that_stood_still_is_not_vouched_for() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ticking\n"
        child.send_signal(signal.SIGSTOP)
        time.sleep(0.8)  # the thing measured
        child.send_signal(signal.SIGCONT)
        said, _ = child.communicate("look\n", timeout=60)

    assert said.startswith("this machine was too busy to measure a worker timeout of 2 s: for ")
    assert said.endswith(" s it let nothing run\n")


def test_lateness_within_the_limit_is_vouched_for() -> None:
    with Metronome() as metronome:
        metronome.vouch(3600, "an hour")

        assert 0 <= metronome.lateness < 3600


def test_lateness_stays_after_the_end() -> None:
    with Metronome(period=0.001) as metronome:
        metronome._longest = 2.0

    assert metronome.lateness == 2.0
    with pytest.raises(BenchBroken, match=r"for 2\.0 s"):
        metronome.vouch(1.0, "a second")
