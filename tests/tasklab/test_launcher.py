from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from typing import Any

import psutil
import pytest

from tasklab.control import Control
from tasklab.gates import wait_until
from tasklab.launcher import BenchBroken, Launcher, current_launcher, use_launcher
from tests.tasklab.conftest import is_alive, open_descriptors


def spawn(launcher: Launcher, code: str) -> tuple[int, int]:
    """Run Python code in a child; return its id and the end of a pipe with what it says."""
    read, write = os.pipe()
    launcher.wait_ready()
    child = launcher.spawn(
        ["timeit", "-n", "1", "-r", "1", code], folder=launcher.start_folder(), log=write
    )
    os.close(write)
    return child.pid, read


def test_the_current_launcher_is_the_innermost() -> None:
    outer, inner = Launcher(), Launcher()
    with use_launcher(outer):
        with use_launcher(inner):
            assert current_launcher() is inner
        assert current_launcher() is outer
    assert current_launcher() is None


def test_a_child_inherits_nothing_but_its_log() -> None:
    with Launcher() as launcher:
        code = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd'))[:5])"
        _, read = spawn(launcher, code)
        with os.fdopen(read) as log:
            assert log.readline() == "[0, 1, 2, 3]\n", "3 is the listing itself"


def test_exit_codes_tell_the_signal() -> None:
    with Launcher() as launcher:
        read, write = os.pipe()
        launcher.wait_ready()
        child = launcher.spawn(["http.server", "0"], folder="/", log=write)
        for number in (read, write):
            os.close(number)
        assert child.send_signal(signal.SIGKILL)
        assert wait_until(lambda: child.exit_code) == -signal.SIGKILL
        assert not child.send_signal(signal.SIGTERM)


def test_a_keeper_that_is_killed_takes_its_children_along() -> None:
    with Launcher() as launcher:
        pid, read = spawn(launcher, "import time; time.sleep(3600)")
        child = psutil.Process(pid)
        keeper = launcher.control.process
        assert keeper is not None
        keeper.kill()
        wait_until(lambda: not is_alive(child), what="the end of the child")
        with pytest.raises(BenchBroken, match="the process that starts the servers is gone"):
            launcher.control.request("stage", files={})
        os.close(read)


def test_a_keeper_that_cannot_start_says_why() -> None:
    with (
        Launcher(warm=["no_such_module"]) as launcher,
        pytest.raises(BenchBroken, match="No module named 'no_such_module'"),
    ):
        launcher.wait_ready()


def test_a_request_that_fails_leaves_the_keeper_working() -> None:
    with Launcher() as launcher:
        with pytest.raises(BenchBroken, match="could not stage: FileNotFoundError"):
            launcher.control.request("stage", files={"no/such/folder": ""})
        with pytest.raises(BenchBroken, match="could not stage: UnicodeEncodeError"):
            launcher.control.request("stage", files={"x.py": "\ud800"})
        assert launcher.control.request("stage", files={"x.py": "1"})


def test_a_late_reply_is_not_taken_for_the_next() -> None:
    """Ctrl-C may come between a request and its reply."""
    with Launcher() as launcher:
        launcher.wait_ready()
        launcher.control._replies.put(({"id": -1, "reply": "late"}, [os.dup(0)]))
        assert launcher.control.request("signal", pid=1, signal=0) is False


def test_many_threads_may_ask_at_once() -> None:
    with Launcher() as launcher:
        found: list[int] = []

        def ask() -> None:
            with launcher.control.listen() as listening:
                found.append(listening.getsockname()[1])

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(found) == 20


def test_sockets_are_asked_for_several_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, half of a request to an app was the wait for its socket."""
    asked: list[str] = []
    exchange = Control._exchange

    def count(control: Control, do: str, *rest: Any) -> Any:
        asked.append(do)
        return exchange(control, do, *rest)

    monkeypatch.setattr(Control, "_exchange", count)
    with Launcher() as launcher:
        opened = [launcher.control.open_socket() for _ in range(20)]
        numbers = {connection.fileno() for connection in opened}
        for connection in opened:
            assert connection.type is socket.SOCK_STREAM
            connection.close()
    assert len(numbers) == 20
    assert asked == ["sockets"] * 3


def test_a_process_with_many_files_may_start_servers() -> None:
    """The keeper of a busy grader got a number that select() does not take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    held: list[int] = []
    try:
        while len(held) < 1100:
            held.append(os.dup(0))
        with Launcher() as launcher:
            _, read = spawn(launcher, "print('started')")
            with os.fdopen(read) as said:
                assert said.readline() == "started\n"
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_closing_leaves_no_thread_and_no_descriptor() -> None:
    Launcher().start().close()
    before, threads = open_descriptors(), set(threading.enumerate())
    with Launcher() as launcher:
        launcher.wait_ready()
        launcher.control.open_socket().close()
    assert not open_descriptors() - before
    assert not set(threading.enumerate()) - threads
