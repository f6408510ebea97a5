"""Every claim is what the ledger says, on the releases that run this."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from tests.claims import matrix
from tests.claims.bench import Bench
from tests.claims.ledger import LEDGER, Claim, NotAsked, Verdict
from tests.claims.stacks import today

AT_ONCE = 6


@pytest.fixture(scope="session")
def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """The servers of today, observed side by side for the selected claims."""
    selected = [
        cast("Claim", item.callspec.params["claim"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == "test_claim"
    ]
    with Bench(today(), tmp_path_factory.mktemp("claims") / "today") as bench:
        with ThreadPoolExecutor(AT_ONCE) as executor:
            matrix.observe(bench, selected, executor)
        yield bench


@pytest.mark.timeout(300)
@pytest.mark.parametrize("claim", LEDGER.values(), ids=LEDGER)
def test_claim(claim: Claim, bench: Bench) -> None:
    """What is seen of each case is what was expected, and the verdict follows from it."""
    seen = {case.text: case.look(bench) for case in claim.cases}

    assert seen == {case.text: case.expected(bench.stack) for case in claim.cases}
    if claim.verdict is not Verdict.OUTDATED:
        assert claim.verdict_on(bench.stack) is claim.verdict


def test_what_cannot_be_asked_is_not_a_no(bench: Bench) -> None:
    def needs_the_future(bench: Bench) -> None:
        bench.needs("gunicorn", "1000")

    with pytest.raises(NotAsked):
        bench.once(needs_the_future)


def test_an_observation_is_made_once(bench: Bench) -> None:
    made = []

    def observe(bench: Bench) -> Path:
        made.append(bench.folder)
        return bench.folder

    with ThreadPoolExecutor(4) as executor:
        folders = set(executor.map(bench.once, [observe] * 4))

    assert len(made) == 1
    assert folders == set(made)
    assert (made[0] / "newsletter.py").is_file()
