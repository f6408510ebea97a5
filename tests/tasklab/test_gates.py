from __future__ import annotations

import asyncio
import time

import pytest

from tasklab import gates
from tasklab.gates import DeadlinePassed, Patience, comes_true, wait_until


def test_the_first_truthy_value_is_returned() -> None:
    values = iter([0, "", None, "here", "later"])
    assert wait_until(lambda: next(values)) == "here"


def test_a_deadline_says_what_was_awaited_and_how_long() -> None:
    with pytest.raises(DeadlinePassed, match=r"^a letter: not seen within 0\.05 s$") as raised:
        wait_until(lambda: False, within=0.05, what="a letter")
    assert isinstance(raised.value, TimeoutError)


def test_the_condition_is_asked_once_more_after_the_deadline() -> None:
    answers = iter([False, True])
    assert wait_until(lambda: next(answers), within=0)


def test_time_in_which_the_machine_stood_still_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A suspended laptop wakes up hours later; the app gets the rest of its seconds."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        now[0] += 3600

    monkeypatch.setattr(time, "sleep", sleep)
    patience = Patience(1.0)
    pauses = 0
    while patience.pause():
        pauses += 1
    assert 10 <= pauses <= 11


def test_a_condition_comes_true_or_it_does_not() -> None:
    values = iter([0, "here"])
    assert comes_true(lambda: next(values)) == "here"
    assert comes_true(lambda: "", within=0.05) is None


@pytest.mark.parametrize(("work", "seconds"), [(True, 4.0), (False, 1.0)])
def test_seconds_of_work_pass_more_slowly_where_processors_are_shared(
    monkeypatch: pytest.MonkeyPatch, work: bool, seconds: float
) -> None:
    """A right answer must not fail because its neighbours took the processors."""
    now = [0.0]

    def sleep(pause: float) -> None:
        now[0] += pause

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(gates, "fair_share", lambda: 1 / 4)

    assert comes_true(lambda: False, within=1.0, work=work) is None
    assert now[0] == pytest.approx(seconds, abs=0.1)


def test_patience_on_an_event_loop_lets_others_run() -> None:
    async def main() -> bool:
        happened = asyncio.Event()
        asyncio.get_running_loop().call_soon(happened.set)
        patience = Patience(10.0)
        while not happened.is_set() and await patience.pause_here():
            pass
        return happened.is_set() and not await Patience(0).pause_here()

    assert asyncio.run(main())
