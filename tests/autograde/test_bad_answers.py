"""Answers to the course's own exercises that misbehave, and checks that were tampered with.

Each is handed to the real command line in a course of its own, and each is asked whether a
process is left of it.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autograde.notebooks import read_notebook, source_of
from autograde.planting import plant
from tests.autograde.courses import find

ROOT = Path(__file__).resolve().parents[2]
ARRIVES, WAITS = "00-warm-up", "06-everyone-waits-for-one-letter"
Notebook = dict[str, Any]
Change = Callable[[Notebook], object]

# Adopts whatever the command leaves behind, and says what that is.
WATCHED = """
import contextlib, json, subprocess, sys
import psutil
from tasklab.gates import comes_true
from tasklab.keeper import prctl

prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)

def left():
    family = psutil.Process().children(recursive=True)
    return [p.name() for p in family if p.status() != psutil.STATUS_ZOMBIE]

comes_true(lambda: not left(), within=30)
print(json.dumps([done.returncode, done.stdout, done.stderr, left()]))
for process in psutil.Process().children(recursive=True):
    with contextlib.suppress(psutil.Error):
        process.kill()
"""
FORKS = "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
BLOCKS = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
STAYS = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(3600)
    os._exit(0)
"""


@dataclass(frozen=True)
class Bad:
    """What was done to a solved exercise, and what the check must end with and say."""

    change: Change
    code: int
    says: tuple[str, ...]
    slug: str = ARRIVES
    options: tuple[str, ...] = ()
    source: Change = lambda _: None
    """What was done to the instructor's notebook."""


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str
    left: list[str]
    before: dict[str, bytes]
    after: dict[str, bytes]


def answer(content: Notebook) -> dict[str, Any]:
    return find(content, "answer-newsletter")


def begins(text: str) -> Change:
    """The answer is right, but does something else first."""

    def change(content: Notebook) -> None:
        first, _, rest = source_of(answer(content)).partition("\n")
        answer(content)["source"] = f"{first}\n{text}\n{rest}"

    return change


def is_text(text: str) -> Change:
    return lambda content: answer(content).update(source=f"%%writefile newsletter.py\n{text}\n")


def tampers(with_check: Callable[[Notebook, dict[str, Any]], object]) -> Change:
    """The answer is wrong at a glance, and something was done to the check that says so."""

    def change(content: Notebook) -> None:
        cell = answer(content)
        cell["source"] = source_of(cell).replace("status_code=202", "status_code=200")
        with_check(content, find(content, "letter-arrives"))

    return change


def turn_to_markdown(_: Notebook, cell: dict[str, Any]) -> None:
    cell["cell_type"] = "markdown"
    del cell["outputs"], cell["execution_count"]


PASSES = 'with check("letter-arrives"):\n    pass\n'
LOOKS = ("✘ failed  letter-arrives", "POST /issues: 200", "0 of 10 points.")
BAD: dict[str, Bad] = {
    # Those that wait come first: others run meanwhile.
    "never-stops": Bad(
        begins(BLOCKS), 1, ("the server went on running",), slug=WAITS
    ),
    "never-starts": Bad(is_text("while True:\n    pass"), 1, ("no connection within 10 s",)),
    "forks-without-end": Bad(
        is_text(FORKS), 1, ("the app started more than 256 processes and threads",),
    ),
    "leaves-daemons-behind": Bad(begins(STAYS), 0, ("10 of 10 points.",)),
    "leaves-daemons-behind-without-a-sandbox": Bad(
        begins(STAYS), 0, ("10 of 10 points.",), options=("--no-sandbox",)
    ),
    "prints-50-mb-and-works": Bad(
        begins("print('x' * (50 << 20))"), 0, ("10 of 10 points. Every check passed.",)
    ),
    "prints-50-mb-and-ends": Bad(
        is_text("print('x' * (50 << 20))\nraise SystemExit(4)"), 1, ("ended with exit code 4",)
    ),
    "deletes-its-folder-and-works": Bad(
        begins("import os, shutil\nshutil.rmtree(os.getcwd())"), 0, ("10 of 10 points.",)
    ),
    "deletes-its-folder-without-a-sandbox": Bad(
        begins("import os, shutil\nshutil.rmtree(os.getcwd())"), 0, ("10 of 10 points.",),
        options=("--no-sandbox",),
    ),
    "exits-at-import": Bad(is_text("import sys\nsys.exit(3)"), 1, ("ended with exit code 3",)),
    "syntax-error": Bad(
        begins("def publish(:"), 1, ('newsletter.py", line 1', "SyntaxError: invalid syntax")
    ),
    "check-deleted": Bad(
        tampers(lambda content, cell: content["cells"].remove(cell)), 1,
        (*LOOKS, "Note: The check letter-arrives is missing; the original was run."),
    ),
    "check-copied": Bad(
        tampers(lambda content, cell: content["cells"].append(
            {**copy.deepcopy(cell), "id": "copied", "source": PASSES})), 1,
        (*LOOKS, "Note: The check letter-arrives is there 2 times; the original was run."),
    ),
    "check-edited": Bad(
        tampers(lambda _, cell: cell.update(source=PASSES)), 1,
        (*LOOKS, "Note: The check letter-arrives was changed; the original was run."),
    ),
    "check-tagged": Bad(
        tampers(lambda _, cell: cell["metadata"].update(tags=["skip-execution"])), 1,
        (*LOOKS, "Note: The check letter-arrives was changed; the original was run."),
    ),
    "check-turned-to-markdown": Bad(
        tampers(turn_to_markdown), 1,
        (*LOOKS, "Note: The check letter-arrives was changed; the original was run."),
    ),
    "a-check-of-ours-says-nothing": Bad(
        lambda _: None, 3,
        ("? broken  letter-arrives", "it ended without a verdict", "–/3",
         "could not look, which says nothing about your code: run it again."),
        source=lambda content: find(content, "letter-arrives").update(source="pass"),
    ),
}  # fmt: skip


def solved(slug: str) -> Notebook:
    """The exercise as it is handed out, with the solution in its answer cells."""
    content = read_notebook(ROOT / "exercises" / slug / f"{slug}.ipynb")
    for cell in read_notebook(ROOT / "solutions" / slug / f"{slug}.ipynb")["cells"]:
        metadata = cell["metadata"].get("nbgrader", {})
        if metadata.get("solution") and cell["cell_type"] == "code":
            text = plant(source_of(cell), slug).solution
            find(content, metadata["grade_id"])["source"] = text
    return content


def read_tree(folder: Path) -> dict[str, bytes]:
    """Every file but the notes that `autograde progress` reads."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p): p.read_bytes() for p in paths if p.name != ".progress.jsonl"}


def run(bad: Bad, root: Path) -> Told:
    folder = root / "exercises" / bad.slug
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "solutions" / bad.slug, root / "solutions" / bad.slug)
    source = root / "solutions" / bad.slug / f"{bad.slug}.ipynb"
    for path, content, change in (
        (folder / source.name, solved(bad.slug), bad.change),
        (source, read_notebook(source), bad.source),
    ):
        change(content)
        path.write_text(json.dumps(content), encoding="utf-8")
    before = read_tree(root)
    command = [sys.executable, "-m", "autograde", "check", f"exercises/{bad.slug}", *bad.options]
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *command],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, out, err, left = json.loads(done.stdout)
    return Told(code, out, err, left, before, read_tree(root))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Told]]]:
    """All of them side by side; each test waits for its own."""
    with ThreadPoolExecutor(4) as executor:
        folders = {name: tmp_path_factory.mktemp(name) for name in BAD}
        yield {name: executor.submit(run, bad, folders[name]) for name, bad in BAD.items()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BAD)
def test_it_is_told_in_words_and_nothing_is_lost_or_left(
    name: str, told: dict[str, Future[Told]]
) -> None:
    bad, found = BAD[name], told[name].result()
    assert found.code == bad.code, found.out + found.err
    # Where a line is broken depends on what it quotes.
    words = " ".join(found.out.split())
    for sentence in bad.says:
        assert sentence in words or " ".join(sentence.split()) in words, found.out
    assert not found.err
    assert "Traceback" not in found.out
    assert len(found.out) < 8000
    assert found.after == found.before
    assert not found.left
