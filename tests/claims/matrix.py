"""Ask every claim of every set of releases, and keep the answers for lesson 12."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tasklab.releases import NotInstalled
from tests.claims import (
    causes,
    guide_depths,
    guide_diagnosis,
    guide_fixes,
    guide_story,
)
from tests.claims.bench import Bench
from tests.claims.ledger import LEDGER, Case, Claim, Seen
from tests.claims.stacks import Stack, newest, stacks

__all__ = ["ANSWERS", "Answers", "ask", "main", "observe"]

# Importing them enters their claims.
_ENTERED = (guide_diagnosis, guide_fixes, guide_story, guide_depths, causes)
ANSWERS = Path(__file__).resolve().parents[2] / "notebooks" / "what-holds-where.json"
_AT_ONCE = 5
_STACKS_AT_ONCE = 2
_WARNING = "newest"

Answers = dict[str, dict[str, str]]
"""What was seen, by the claim's name and the case's text."""


def observe(bench: Bench, claims: Iterable[Claim], executor: Executor) -> None:
    """Make all observations that the claims need, side by side: most of each is waiting."""
    needed = dict.fromkeys(case.observe for claim in claims for case in claim.cases)
    for observed in [executor.submit(bench.once, look) for look in needed]:
        observed.exception()  # raised again for each claim that needs it


def ask(stack: Stack, home: Path) -> Answers:
    """Return what is seen of every case on one set of releases."""
    with Bench(stack, home) as bench:
        with ThreadPoolExecutor(_AT_ONCE) as executor:
            observe(bench, LEDGER.values(), executor)
        return {
            name: {case.text: _look(case, bench) for case in claim.cases}
            for name, claim in LEDGER.items()
        }


def _look(case: Case, bench: Bench) -> str:
    try:
        return case.look(bench).value
    except Exception as problem:  # noqa: BLE001 - one that cannot be observed must not hide the rest
        return f"{type(problem).__name__}: {problem}"


def surprises(stack: Stack, answers: Answers) -> Iterator[str]:
    """Say where the releases do not do what the ledger expects of them."""
    for name, claim in LEDGER.items():
        for case in claim.cases:
            seen, expected = answers[name][case.text], case.expected(stack)
            if seen != expected:
                yield f"{stack.name}: {name}, {case.text}: seen {seen}, expected {expected}"


def keep(asked: Sequence[tuple[Stack, Answers]]) -> None:
    """Write the answers to where lesson 12 reads them."""
    ledger = {
        name: {
            "claim": claim.text,
            "verdict": claim.verdict.value,
            "cases": {
                case.text: [answers[name][case.text] for _, answers in asked]
                for case in claim.cases
            },
        }
        for name, claim in sorted(LEDGER.items(), key=_place)
    }
    columns = [dict(stack.releases) for stack, _ in asked]
    text = json.dumps({"stacks": columns, "claims": ledger}, indent=1, ensure_ascii=False)
    ANSWERS.write_text(text + "\n", encoding="utf-8")


def _place(entry: tuple[str, Claim]) -> tuple[int, int]:
    """The guide's sections in its order, then the causes."""
    section, number = re.fullmatch(r"(C|\w+?)-?(\d+)", entry[0]).groups()  # type: ignore[union-attr]
    order = ["I", *(f"{number:02}" for number in range(1, 13)), "F", "C"]
    return order.index(section), int(number)


def main() -> int:
    """Ask all stacks, then the newest releases apart from them; return the exit code."""
    asked, found = [], []
    with TemporaryDirectory() as home, ThreadPoolExecutor(_STACKS_AT_ONCE) as executor:
        try:
            for stack in stacks():
                stack.python()
            answering = {
                stack: executor.submit(ask, stack, Path(home, stack.name)) for stack in stacks()
            }
        except NotInstalled as problem:
            click.echo(str(problem), err=True)
            return 3
        for stack, future in answering.items():
            answers = future.result()
            found += (told := list(surprises(stack, answers)))
            asked.append((stack, answers))
            click.echo(f"{stack.name}: {_count(answers)}")
            for line in told:
                click.echo(f"  {line}", err=True)
        keep(asked)
        click.echo(f"{len(found)} surprises; the answers are in {ANSWERS.name}.")
        _warn(Path(home))
    return 1 if found else 0


def _count(answers: Answers) -> str:
    seen = [value for cases in answers.values() for value in cases.values()]
    return ", ".join(
        f"{seen.count(value.value)} {value.name.lower().replace('_', ' ')}" for value in Seen
    )


def _warn(home: Path) -> None:
    """Tell what the newest of everything does otherwise; it fails nothing."""
    try:
        stack = newest()
        told = list(surprises(stack, ask(stack, home / _WARNING)))
    except Exception as problem:  # noqa: BLE001 - whatever tomorrow brings
        told = [f"{_WARNING}: {type(problem).__name__}: {problem}"]
    for line in told:
        click.echo(f"WARNING, from the newest releases: {line}", err=True)
    click.echo(f"The newest releases: {len(told)} surprises.")


if __name__ == "__main__":
    sys.exit(main())
