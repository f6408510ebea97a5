"""Attacks on what the machine has: each gets it where the limit is higher, and not where it is."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from autograde.engine import grade
from autograde.places import Limits, Sandbox
from autograde.submission import Exercise
from tests.attacks.test_wall import APP, CHECK
from tests.autograde.courses import answer, check_cell, code, notebook

MIB = 1024**2


class Greed(NamedTuple):
    body: str
    limited: Limits
    unlimited: Limits


GREEDS = {
    "hold-memory": Greed(
        f"held = [bytearray(b'x' * {MIB}) for _ in range(400)]; return len(held)",
        Limits(memory=256 * MIB),
        Limits(memory=1024 * MIB),
    ),
    "start-threads": Greed(
        "import threading\n"
        "    enough = threading.Event()\n"
        "    many = [threading.Thread(target=enough.wait, daemon=True) for _ in range(300)]\n"
        "    try:\n"
        "        for thread in many: thread.start()\n"
        "    finally:\n"
        "        enough.set()\n"
        "    return len(many)",
        Limits(),
        Limits(processes=1024),
    ),
    "write-a-large-file": Greed(
        f"file = open('large', 'wb', 0)\n    return file.write(bytes(9 * {MIB})) > 8 * {MIB}",
        Limits(file_size=8 * MIB),
        Limits(),
    ),
    "open-many-files": Greed(
        "held = [open('/dev/null') for _ in range(1000)]; return len(held)",
        Limits(open_files=512),
        Limits(open_files=2048),
    ),
    "ask-for-addresses": Greed(
        f"import mmap; return len(mmap.mmap(-1, 3000 * {MIB}))",
        Limits(addresses=2048 * MIB),
        Limits(addresses=8192 * MIB),
    ),
    "burn-processor-time": Greed(
        "end = time.process_time() + 4\n"
        "    while time.process_time() < end: pass\n"
        "    return 'burnt'",
        Limits(processor_time=1),
        Limits(),
    ),
}


def run(body: str, limits: Limits) -> str:
    """Return what the check saw of this app; nothing, if it saw nothing taken."""
    source = notebook(
        answer(),
        code("", "checks-setup", locked=True),
        check_cell(CHECK.replace("within=20", "within=200"), "nothing-is-taken", 1),
    )
    exercise = Exercise.from_notebook("01-attack", source)
    files = {"newsletter.py": APP.format(body=f"    {body}")}
    report = grade(exercise, files, functools.partial(Sandbox, limits=limits))
    (result,) = report.results
    assert report.outcome != "broken", result
    return "" if report.outcome == "passed" else result.verdict.saw


@pytest.fixture(scope="module")
def taken() -> dict[str, tuple[str, str]]:
    def both(name: str) -> tuple[str, str]:
        greed = GREEDS[name]
        return run(greed.body, greed.unlimited), run(greed.body, greed.limited)

    with ThreadPoolExecutor(3) as executor:
        return dict(zip(GREEDS, executor.map(both, GREEDS), strict=True))


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", GREEDS)
def test_a_limit_is_what_stops_it(name: str, taken: dict[str, tuple[str, str]]) -> None:
    unlimited, limited = taken[name]
    assert unlimited.startswith("loot: "), "the attack does not even work without the limit"
    assert not limited.startswith("loot: ")
