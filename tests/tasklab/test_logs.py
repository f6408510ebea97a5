from __future__ import annotations

import fcntl
import os
import time

import pytest

from tasklab.gates import DeadlinePassed, wait_until
from tasklab.logs import Log


def written(*parts: bytes, limit: int = 1 << 20) -> Log:
    log = Log(limit)
    for part in parts:
        log.append(part)
    return log


def test_lines_come_in_order() -> None:
    log = written(b"one\ntw", b"o\n\nthree")
    assert log.lines == ["one", "two", "", "three"]
    assert log.tail(2) == "two\nthree"
    assert "two" in log
    assert "four" not in log


def test_a_flood_keeps_its_beginning_and_its_end() -> None:
    log = written(b"first\n", *[b"x" * 99 + b"\n" for _ in range(1000)], b"last\n", limit=1000)
    assert log.truncated
    assert log.lines[0] == "first"
    assert log.lines[-1] == "last"
    assert "bytes left out" in log
    assert len(log.text) < 1100


def test_a_flood_need_not_wait_for_its_reader_at_each_page() -> None:
    """On a busy machine a server that printed 50 MB at import was not ready in time."""
    read, write = os.pipe()
    Log().read_from(read)
    size = fcntl.fcntl(write, fcntl.F_GETPIPE_SZ)
    os.close(write)

    assert size >= 1 << 20


def test_a_line_without_end_is_quoted_in_part() -> None:
    """A server that prints 50 MB without a newline must not fill a verdict."""
    log = written(b"ERROR " + b"x" * 100_000)
    assert len(log.tail()) < 400
    assert len(log.complaints()[0]) < 400


@pytest.mark.parametrize(
    "line",
    [
        "WARNING:  ASGI 'lifespan' protocol appears unsupported.",
        "[2026-11-23 10:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)",
        "ModuleNotFoundError: No module named 'newsletter'",
        "httpx.ConnectError: [Errno 111] Connection refused",
        "MemoryError",
    ],
)
def test_complaints_are_what_servers_and_python_say(line: str) -> None:
    assert written(b"INFO: all is well\n", line.encode()).complaints() == [line]


def test_code_in_a_traceback_is_no_complaint() -> None:
    log = written(b"    raise ValueError('x')\nErrors are counted\n")
    assert log.complaints() == []


def test_arrival_tells_when_a_text_came() -> None:
    log = Log(limit=100)
    log.append(b"early\n")
    between = time.monotonic()
    log.append(b"late " + b"\xff" * 200 + b" very late\n")
    early, late = log.arrival("early"), log.arrival("very late")
    assert early is not None
    assert late is not None
    assert early <= between <= late
    assert log.arrival("never") is None


def test_many_arrivals_keep_the_first_and_the_last() -> None:
    log = written(b"first\n", *[b"x\n"] * 25_000, b"last\n")
    assert log.arrival("first") is not None
    assert log.arrival("last") is not None


def test_wait_for_returns_the_line_and_has_a_deadline() -> None:
    log = written(b"INFO: Shutting down\n")
    assert log.wait_for("Shutting") == "INFO: Shutting down"
    with pytest.raises(DeadlinePassed, match="'Finished' in the server's log"):
        log.wait_for("Finished", within=0.05)


def test_finish_waits_for_what_was_written_and_not_for_the_writer() -> None:
    """A process that outlives the server holds the pipe open and says nothing."""
    read, write = os.pipe()
    log = Log()
    log.read_from(read)
    for number in range(200):
        os.write(write, b"%d\n" % number)
    before = time.monotonic()
    log.finish()
    assert time.monotonic() - before < 4
    assert log.lines[-1] == "199"
    os.close(write)
    wait_until(lambda: log._descriptor is None, what="the reader's end")
    log.finish()


def test_steady_text_is_the_same_in_each_run() -> None:
    first = written(b"[2026-11-23 10:00:00 +0000] [71] [INFO] Booting worker with pid: 71\n")
    second = written(b"[2027-01-01 00:00:00 +0000] [9] [INFO] Booting worker with pid: 9\n")
    assert first.steady == second.steady


@pytest.mark.parametrize(
    ("line", "steady"),
    [
        (
            "[2026-11-23 10:00:00 +0000] [71] [INFO] Using worker: sync",
            "[pid] [INFO] Using worker: sync",
        ),
        ("[CRITICAL] WORKER TIMEOUT (pid:71)", "[CRITICAL] WORKER TIMEOUT (pid)"),
        ("Worker with pid 71 was terminated due to", "Worker with pid was terminated due to"),
        ("INFO:     Started server process [71]", "INFO:     Started server process [pid]"),
        (
            "[71] [INFO] Listening at: http://127.0.0.1:4711 (71)",
            "[pid] [INFO] Listening at: http://127.0.0.1:port (pid)",
        ),
        ("Uvicorn running on http://127.0.0.1:4711", "Uvicorn running on http://127.0.0.1:port"),
        ("socket bound to ('127.0.0.1', 4711)", "socket bound to ('127.0.0.1', port)"),
        ("issue 7 of 2026 went to 3 subscribers", "issue 7 of 2026 went to 3 subscribers"),
    ],
)
def test_steady_text_leaves_out_what_differs_each_run(line: str, steady: str) -> None:
    assert written(f"before\n{line}\nafter".encode()).steady == f"before\n{steady}\nafter"


def test_last_words_are_the_end_of_the_traceback() -> None:
    """The master of gunicorn says much about its other workers after the line that matters."""
    log = written(
        b"[2026-11-23 23:58:04 +0000] [7] [INFO] Booting worker with pid: 8\n"
        b"Traceback (most recent call last):\n"
        b'  File "/x/importlib/__init__.py", line 126, in import_module\n'
        b'  File "/x/newsletter.py", line 1\n    def f(:\n          ^\n'
        b"SyntaxError: invalid syntax\ninvalid syntax (newsletter.py, line 1)\n"
        b"[2026-11-23 23:58:04 +0000] [8] [INFO] Worker exiting (pid: 8)\n"
        b"[2026-11-23 23:58:04 +0000] [7] [ERROR] Reason: Worker failed to boot.\n"
    )
    assert log.last_words().splitlines() == [
        '  File "/x/newsletter.py", line 1',
        "    def f(:",
        "          ^",
        "SyntaxError: invalid syntax",
        "invalid syntax (newsletter.py, line 1)",
        "[2026-11-23 23:58:04 +0000] [7] [ERROR] Reason: Worker failed to boot.",
    ]


def test_last_words_without_a_traceback_are_the_last_lines() -> None:
    log = written(b"INFO:     Started\n", *[b"line %d\n" % number for number in range(20)])
    assert log.last_words(2) == "line 18\nline 19"
    assert written(b"Error: 'x.py' doesn't exist\n").last_words() == "Error: 'x.py' doesn't exist"


def test_last_words_are_not_those_of_a_master_that_gave_up() -> None:
    log = written(
        b"Failed to find attribute 'app' in 'newsletter'.\n"
        b'Traceback (most recent call last):\n  File "/x/arbiter.py", line 1, in run\n'
        b"    self.halt()\ngunicorn.errors.HaltServer: <HaltServer 'App failed to load.' 4>\n"
        b"[2026-11-23 23:58:06 +0000] [7] [ERROR] Reason: App failed to load.\n"
    )
    assert log.last_words().splitlines()[0] == "Failed to find attribute 'app' in 'newsletter'."
