"""Each attacking answer, graded without the one defence that stops it: there it succeeds."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from autograde.engine import Report, grade
from autograde.places import Limits, Sandbox
from autograde.submission import Exercise
from tasklab.logs import Log
from tests.attacks.answers import ALL, ATTACKS, HEALTH, HONEST, IDLE
from tests.attacks.graders import WeakSandbox, run_beside
from tests.autograde.courses import NAME, answer, check_cell, code, exercise, notebook

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

MIB = 1024**2
LIMITS = Limits(memory=256 * MIB, processes=40, processor_time=20)
MORE_LIMITS = Limits(memory=1024 * MIB, processes=80, file_size=128 * MIB)
SETUP = """\
import contextlib, os
from tasklab import Mailroom, check, uvicorn, wait_until
from tasklab.launcher import current_launcher
MIB = 1024**2

@contextlib.contextmanager
def publishing():
    with Mailroom() as mailroom, uvicorn("newsletter:app", mailroom=mailroom) as server:
        server.post("/issues", json={"number": 1})
        yield mailroom, server
"""


def check(*lines: str) -> str:
    """The source of a check, worth two points."""
    return "\n".join(['with check("attack") as found:', *(f"    {line}" for line in lines)])


def serving(*lines: str) -> str:
    return check('with uvicorn("newsletter:app") as server:', *(f"    {line}" for line in lines))


def publishing(*lines: str) -> str:
    return check("with publishing() as (mailroom, server):", *(f"    {line}" for line in lines))


NOTHING_IS_LEFT = check(
    'uvicorn("newsletter:app").start().stop(patience=0.5)',
    "left = len(current_launcher().processes())",
    'found.expect(not left, saw=f"{left} processes left", expected="none")',
)
STARTS = check('with uvicorn("newsletter:app", start_within=8): pass')
SPACE_IS_BOUNDED = serving(
    'inside = [os.statvfs(f"/proc/{server.pid}/root{place}")',
    '          for place in ("/newsletter", "/tmp", "/dev/shm")]',
    "used = max((s.f_blocks - s.f_bfree) * s.f_bsize for s in inside) // MIB",
    'found.expect(used <= 64, saw=f"{used} MiB written", expected="64 MiB at most")',
)
KEEPER_LIVES = serving("for _ in range(1000): current_launcher().listen().close()")
NO_EXIT_IS_FORGED = check(
    'server = uvicorn("newsletter:app")',
    "try:",
    "    server.start()",
    "    wait_until(lambda: server.exit_code is not None, within=3)",
    '    found.expect(False, saw=f"exit code {server.exit_code}", expected="none")',
    "finally:",
    "    server.stop(patience=0)",
)
A_LETTER_COMES = publishing("mailroom.wait_for(arrived=1, within=10)")


class Weakness(NamedTuple):
    """What one grader lacks, how it is asked, and what it comes to then."""

    told: str
    """In the report."""
    check: str = ""
    """In place of the usual checks; behind the whole wall it comes to something else."""
    patches: Mapping[str, Any] = {}
    """What else is there in this process, by its dotted name."""
    points: float = 0.0
    limits: Limits = LIMITS
    without: tuple[str, ...] = ()
    keeper: Mapping[str, str] = {}
    space: int | None = None
    more_warm: tuple[str, ...] = ()
    believes: bool = False
    """Whether it is the check that is weak."""


KEEPER_IS_ORDINARY = ("--as-pid-1",)
INSPECTABLE = {"prctl(_DUMPABLE, 0)": "prctl(_DUMPABLE, 1)"}
SWEEPS_NOT = {'self.end(request["pid"])': "pass"}
KEEPS_DESCRIPTORS = {
    "os.closerange(4 if self.listening is not None else 3, 4096)": "pass",
    # Where the listening socket does not take its place.
    "fileno=int(descriptor)": "fileno=os.dup2(int(descriptor), 50)",
}
ONE_FOLDER_FOR_ALL = {
    "        if not self.running:\n            self.clear()\n": (
        "        if self.staged:\n            return os.path.join(self.home, 'start-1')\n"
    )
}

WEAKNESSES = {
    "kill-the-keeper": Weakness("ended by SIGKILL", without=KEEPER_IS_ORDINARY),
    "stop-the-keeper": Weakness(
        "servers is gone",
        without=KEEPER_IS_ORDINARY,
        patches={"tasklab.control._WITHIN": 5.0, "autograde.engine._TRIES": 1},
    ),
    "kill-everyone": Weakness("ended by SIGKILL", without=KEEPER_IS_ORDINARY),
    "trace-the-keeper": Weakness("exit code 1", without=("--filter",), keeper=INSPECTABLE),
    "write-the-keepers-memory": Weakness("exit code 1", keeper=INSPECTABLE),
    "speak-as-the-keeper": Weakness("exit code 0", NO_EXIT_IS_FORGED, keeper=KEEPS_DESCRIPTORS),
    "limit-the-keeper": Weakness("Too many open files", KEEPER_LIVES, without=("--filter",)),
    "limit-the-keepers-processor-time": Weakness(
        "servers is gone",
        KEEPER_LIVES,
        without=("--filter",),
        more_warm=("celery.bin.celery", "sqlalchemy.orm", "rq.cli.cli", "matplotlib.pyplot"),
    ),
    "slow-the-keeper-down": Weakness("exit code 1", without=("--filter",)),
    "ignore-sigterm": Weakness("1 processes left", NOTHING_IS_LEFT, keeper=SWEEPS_NOT),
    "leave-a-server-behind": Weakness("1 processes left", NOTHING_IS_LEFT, keeper=SWEEPS_NOT),
    "deliver-from-an-earlier-check": Weakness(
        "", 'uvicorn("newsletter:app").start().stop()\n' + A_LETTER_COMES,
        points=2, keeper=SWEEPS_NOT,
    ),
    "remember-an-earlier-check": Weakness("exit code 0", points=HEALTH, keeper=ONE_FOLDER_FOR_ALL),
    "delete-the-own-folder": Weakness("exit code 1", points=HEALTH, keeper=ONE_FOLDER_FOR_ALL),
    "fork-without-end": Weakness("more than 80 processes", STARTS, limits=MORE_LIMITS),
    "start-threads-without-end": Weakness("more than 80 processes", STARTS, limits=MORE_LIMITS),
    "fill-the-disk": Weakness(
        "128 MiB written", SPACE_IS_BOUNDED, limits=MORE_LIMITS, space=160 * MIB
    ),
    "fill-tmp-and-shared-memory": Weakness(
        "128 MiB written", SPACE_IS_BOUNDED, limits=MORE_LIMITS, space=160 * MIB
    ),
    "make-a-deep-tree": Weakness(
        "servers is gone", points=HEALTH,
        keeper={"contextlib.suppress(OSError, RecursionError)": "contextlib.suppress(OSError)"},
        # The second try would be in a place without the tree.
        patches={"autograde.engine._TRIES": 1},
    ),
    "print-without-end": Weakness(
        "50 MiB of log",
        serving(
            "server.log.finish()",
            "kept = len(server.log.text) // MIB",
            'found.expect(kept <= 1, saw=f"{kept} MiB of log", expected="1 MiB at most")',
        ),
        {"tasklab.children.Log": functools.partial(Log, limit=128 * MIB)},
    ),
    "answer-without-end": Weakness(
        "more than 33554432 bytes",
        serving('server.get("/health")'),
        {"tasklab.client._LONGEST_ANSWER": 32 * MIB},
    ),
    "answer-with-a-bomb": Weakness(
        "128 MiB of answer",
        serving(
            'size = len(server.get("/health").content) // MIB',
            'found.expect(size <= 1, saw=f"{size} MiB of answer", expected="1 MiB at most")',
        ),
        {"tasklab.client._TRANSFER": {b"transfer-encoding"}},
    ),
    "flood-the-mailroom": Weakness(
        "17 MiB of letters",
        publishing(
            'server.log.wait_for("flooded", within=30)',
            "kept = sum(len(str(letter.body)) for letter in mailroom.letters) // MIB",
            'found.expect(kept <= 16, saw=f"{kept} MiB of letters", expected="16 MiB at most")',
        ),
        {"tasklab.mailroom._MOST_BYTES": 1024 * MIB},
    ),
    "hold-connections-to-the-mailroom": Weakness(
        " connections",
        publishing(
            'server.log.wait_for("held", within=30)',
            "wait_until(lambda: len(mailroom._letterbox._connections) >= 200)",
            "held = len(mailroom._letterbox._connections)",
            'found.expect(held <= 200, saw=f"{held} connections", expected="200 at most")',
        ),
        {"tasklab.letterbox._MOST_CONNECTIONS": 10_000},
    ),
    "post-a-huge-letter": Weakness(
        "", points=ALL, patches={"tasklab.letterbox._LARGEST_LETTER": 16 * MIB}
    ),
    "post-a-letter-that-is-none": Weakness(
        "6 letters",
        publishing(
            'server.log.wait_for("posted", within=30)',
            "count = len(mailroom.letters)",
            'found.expect(not count, saw=f"{count} letters", expected="none")',
        ),
        {"tasklab.letterbox.json": SimpleNamespace(loads=lambda _: {}, dumps=json.dumps)},
    ),
    "answer-with-rubbish": Weakness(
        "",
        serving(
            "with server._open_socket() as opened:",
            '    opened.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))',
            '    opened.sendall(b"GET /health HTTP/1.1\\r\\n\\r\\n")',
            '    found.expect(opened.recv(99), saw="nothing", expected="any answer")',
        ),
        points=2,
        believes=True,
    ),
}  # fmt: skip
# Fooled are those who run the checks beside the answer and believe how the run ends, ...
BELIEVED_EXIT_CODES = [name for name in ATTACKS if name.startswith("replace-")]
# ... or what it prints.
BELIEVED_OUTPUTS = {"print-a-verdict": {"letter-arrives"}}
# Who sets no deadline waits for ever.
ENDLESS = ["answer-with-endless-patience", "answer-continue-for-ever", "never-answer"]
ELSEWHERE = {
    "open-files-without-end": "test_limits.py has the limit, and a run with a higher one",
    "print-what-is-no-text": "test_answers.py shows the page without escapes",
    "make-odd-names": "by construction: nobody outside reads a name from the folder",
    "ask-the-mailroom-to-release": "by construction: its controls are calls, not routes",
    "answer-with-endless-headers": "by construction: h11 gives up after 100 KiB of them",
}


def test_no_attack_is_left_out() -> None:
    known = [*WEAKNESSES, *BELIEVED_EXIT_CODES, *BELIEVED_OUTPUTS, *ENDLESS, *ELSEWHERE]
    assert sorted(known) == sorted(ATTACKS)


def run(
    name: str, source: str, place: Callable[[Mapping[str, str]], Sandbox], text: str = ""
) -> Report:
    cells = notebook(
        answer(), code(SETUP, "checks-setup", locked=True), check_cell(source, "attack", 2)
    )
    trusted = Exercise.from_notebook(NAME, cells if source else exercise())
    return grade(trusted, {"newsletter.py": text or ATTACKS[name].text}, place)


def said(report: Report) -> str:
    return "\n".join(result.verdict.saw for result in report.results)


def run_weak(name: str, folder: Path) -> Report:
    weak = WEAKNESSES[name]
    place = functools.partial(
        WeakSandbox,
        folder=folder,
        without=weak.without,
        keeper_lines=weak.keeper,
        space=weak.space,
        more_warm=weak.more_warm,
        limits=weak.limits,
    )
    return run(name, weak.check, place)


@pytest.fixture(scope="module")
def weak_reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Report]]:
    """What the attacks come to where a wall is weak; those that need a patch run by themselves."""
    folder = tmp_path_factory.mktemp("keepers")
    folder.chmod(0o755)
    with ThreadPoolExecutor(4) as executor:
        names = [name for name, weak in WEAKNESSES.items() if not weak.patches]
        yield dict(
            zip(names, executor.map(functools.partial(run_weak, folder=folder), names), strict=True)
        )


@pytest.fixture(scope="module")
def sound_reports() -> dict[str, Report]:
    """The same checks behind the whole wall, where they are not the usual ones."""
    names = [name for name, weak in WEAKNESSES.items() if weak.check and not weak.believes]
    place = functools.partial(Sandbox, limits=LIMITS)
    with ThreadPoolExecutor(4) as executor:
        reports = executor.map(lambda name: run(name, WEAKNESSES[name].check, place), names)
        return dict(zip(names, reports, strict=True))


@pytest.mark.parametrize("name", WEAKNESSES)
def test_an_attack_succeeds_where_its_defence_is_missing(
    name: str,
    weak_reports: dict[str, Report],
    sound_reports: dict[str, Report],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "make-a-deep-tree" and sys.version_info >= (3, 13):
        pytest.skip("this Python removes a tree of any depth")
    weak = WEAKNESSES[name]
    if weak.patches:
        for target, value in weak.patches.items():
            monkeypatch.setattr(target, value)
        tmp_path.chmod(0o755)
        report = run_weak(name, tmp_path)
    else:
        report = weak_reports[name]
    found = (report.points, weak.told in said(report))
    assert found == (weak.points, True), said(report)
    if name in sound_reports:
        sound = sound_reports[name]
        assert (sound.points, weak.told in said(sound)) != found, said(sound)
    else:
        assert report.points not in ATTACKS[name].earns or report.outcome == "broken"


@pytest.fixture(scope="module")
def runs() -> dict[str, subprocess.CompletedProcess[str]]:
    """How a grader that trusts the answer ends: the attacks, and two that are none."""
    texts = {name: ATTACKS[name].text for name in [*BELIEVED_EXIT_CODES, *BELIEVED_OUTPUTS]}
    texts |= {"right": HONEST, "idle": IDLE}

    def run_one(name: str) -> subprocess.CompletedProcess[str]:
        # Of a virtual environment, Python asks no usercustomize.
        base = str(sys._base_executable)  # type: ignore[attr-defined]
        return run_beside(texts[name], base if name == "replace-usercustomize" else sys.executable)

    with ThreadPoolExecutor(4) as executor:
        return dict(zip(texts, executor.map(run_one, texts), strict=True))


def test_the_trusting_grader_knows_right_from_wrong(
    runs: dict[str, subprocess.CompletedProcess[str]],
) -> None:
    assert runs["right"].returncode == 0, runs["right"]
    assert runs["idle"].returncode == 1, runs["idle"]
    assert "CheckFailed: ✘ failed  letter-arrives" in runs["idle"].stderr


@pytest.mark.parametrize("name", BELIEVED_EXIT_CODES)
def test_an_exit_code_is_not_to_be_believed(
    name: str, runs: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    assert runs[name].returncode == 0, runs[name]


@pytest.mark.parametrize("name", BELIEVED_OUTPUTS)
def test_what_is_printed_is_not_to_be_believed(
    name: str, runs: dict[str, subprocess.CompletedProcess[str]]
) -> None:
    lines = [json.loads(x) for x in runs[name].stdout.splitlines() if x.startswith("{")]
    passed = {verdict["slug"] for verdict in lines if verdict["outcome"] == "passed"}
    assert passed == BELIEVED_OUTPUTS[name]


def test_without_a_deadline_a_check_never_ends() -> None:
    """All of them at once: those with a deadline end, those without are still at it."""
    made: list[Sandbox] = []

    def place(files: Mapping[str, str]) -> Sandbox:
        made.append(Sandbox(files, limits=LIMITS))
        return made[-1]

    asks = 'server.get("/health", within={})'
    with ThreadPoolExecutor(6) as executor:
        patient = [
            executor.submit(run, name, serving(asks.format('float("inf")')), place)
            for name in ENDLESS
        ]
        try:
            hasty = [
                executor.submit(run, name, serving(asks.format(3)), Sandbox) for name in ENDLESS
            ]
            for future in hasty:
                assert "not seen within 3 s" in said(future.result()), future.result()
            # Those that began earlier have had their time and more.
            assert not [future for future in patient if future.done()]
        finally:
            for sandbox in made:
                sandbox.close()
        assert not [future.result() for future in patient if future.result().points]
