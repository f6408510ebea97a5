"""Real servers as child processes; tests of their end look at the process table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from tasklab.gates import DeadlinePassed, wait_until
from tasklab.mailroom import Mailroom
from tasklab.processes import ServerDidNotStart, ServerProcess
from tasklab.servers import gunicorn, uvicorn
from tests.tasklab.conftest import APP, is_alive, is_listening

if TYPE_CHECKING:
    from tasklab.launcher import Launcher

ASGI = ("--worker-class", "uvicorn_worker.UvicornWorker")
# uvicorn ends by the signal that it was sent, after an orderly shutdown.
ENDS = {"uvicorn": -signal.SIGTERM, "gunicorn": 0}
Write = Callable[..., Path]

DAEMON = """
import os, time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, str(os.getpid()).encode())
        time.sleep(3600)
    os._exit(0)
os.wait()
open("daemon.pid", "w").write(os.read(read, 20).decode())
"""


class Everything:
    """All that a running server consists of, to be looked for when it should be gone."""

    def __init__(self, server: ServerProcess) -> None:
        assert server._launcher is not None
        keeper = server._launcher.control.process
        assert keeper is not None
        behind = server._launcher.processes()
        assert server.pid in {process.pid for process in behind}
        self.processes = [psutil.Process(keeper.pid), *behind]
        self.url = server.url

    def assert_gone(self) -> None:
        assert not [process for process in self.processes if is_alive(process)]
        assert not is_listening(self.url)


def serve_either(name: str, **options: Any) -> ServerProcess:
    if name == "gunicorn":
        return gunicorn("newsletter:app", arguments=[*ASGI, "--workers", "2"], **options)
    return uvicorn("newsletter:app", **options)


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
def test_a_server_delivers_and_leaves_nothing(name: str, write_app: Write) -> None:
    with Mailroom() as mailroom, serve_either(name, mailroom=mailroom) as server:
        everything = Everything(server)
        assert server.post("/issues", json={"number": 7}).status_code == 202
        assert mailroom.wait_for(delivered=1)[0].issue == 7
        assert is_alive(psutil.Process(server.pid))
        assert repr(server) == f"<{name} at {server.url}>"
    everything.assert_gone()
    assert "Shutting down" in server.log
    assert server.exit_code == ENDS[name]
    assert repr(server).startswith(f"<{name}: ended ")


def test_the_folder_stays_as_it_was(write_app: Write) -> None:
    """Bytecode beside the notebook would be taken for a file that was rewritten in its second."""
    folder = write_app()
    with uvicorn("newsletter:app") as server:
        server.get("/health")
    assert [path.name for path in folder.iterdir()] == ["newsletter.py"]


def test_a_file_rewritten_in_the_same_second_is_run(write_app: Write) -> None:
    for word in ("one", "two"):
        path = write_app(f"from fastapi import FastAPI\napp = FastAPI(title={word!r})\n")
        os.utime(path / "newsletter.py", (1_800_000_000, 1_800_000_000))
        with uvicorn("newsletter:app") as server:
            assert server.get("/openapi.json").json()["info"]["title"] == word


def test_the_environment_is_bare(write_app: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("A_SECRET", "secret")
    with (
        Mailroom() as mailroom,
        uvicorn("newsletter:app", mailroom=mailroom, env={"GREETING": "hello"}) as server,
    ):
        seen = server.get("/environment").json()
        assert seen["MAILROOM_URL"] == mailroom.url
    assert seen["GREETING"] == "hello"
    assert not {"HTTP_PROXY", "A_SECRET"} & set(seen)


def test_an_exception_in_the_body_ends_everything(write_app: Write) -> None:
    seen: list[Everything] = []

    def fail() -> None:
        with uvicorn("newsletter:app") as server:
            seen.append(Everything(server))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    seen[0].assert_gone()


def test_a_server_that_does_not_end_is_killed(write_app: Write) -> None:
    server = uvicorn("newsletter:app").start()
    everything = Everything(server)
    os.kill(server.pid, signal.SIGSTOP)
    server.stop(patience=0.1)
    everything.assert_gone()
    assert server.exit_code == -signal.SIGKILL
    assert repr(server) == "<uvicorn: ended by SIGKILL>"


def test_a_daemon_of_the_app_goes_with_it(write_app: Write) -> None:
    """Two forks and a session of its own: neither a group nor a parent leads to it."""
    folder = write_app(DAEMON + APP)
    with uvicorn("newsletter:app") as server:
        everything = Everything(server)
        daemon = psutil.Process(int((folder / "daemon.pid").read_text()))
        assert is_alive(daemon)
        server.terminate()
        assert server.wait() == ENDS["uvicorn"]
        assert is_alive(daemon)
    everything.assert_gone()
    assert not is_alive(daemon)


SCRIPT = """
import json, time
from pathlib import Path
import psutil
from tasklab import Mailroom, uvicorn
with Mailroom() as mailroom, uvicorn("newsletter:app", mailroom=mailroom, workers=2) as server:
    everything = [p.pid for p in psutil.Process().children(recursive=True)]
    everything.append(int(Path("daemon.pid").read_text().split()[0]))
    print(json.dumps({"pids": everything, "urls": [server.url, mailroom.url]}), flush=True)
    # signal.pause() would sleep through a signal that came while this thread waited for the GIL.
    while True:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_python_that_started_it(write_app: Write, number: int) -> None:
    """Ctrl-C runs the end of the `with`; SIGKILL, as of a kernel that is restarted, does not."""
    folder = write_app(DAEMON + APP)
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        seen = json.loads(child.stdout.readline())
        processes = [psutil.Process(pid) for pid in seen["pids"]]
        assert len(processes) >= 5
        assert all(is_listening(url) for url in seen["urls"])
        child.send_signal(number)
        assert child.wait(30) == -number
        errors = child.communicate()[1]
    wait_until(
        lambda: not [process for process in processes if is_alive(process)],
        within=30,
        what="the end of everything",
    )
    assert not any(is_listening(url) for url in seen["urls"])
    assert ("KeyboardInterrupt" in errors) == (number == signal.SIGINT)


CELL = """
import json, psutil
from tasklab import Mailroom, gunicorn, serve, uvicorn
mailroom = Mailroom().start()
server = uvicorn("newsletter:app", mailroom=mailroom).start()
arguments = ["-k", "uvicorn_worker.UvicornWorker"]
other = gunicorn("newsletter:app", mailroom=mailroom, arguments=arguments).start()
inside = serve(lambda scope, receive, send: None, lifespan="off").start()
pids = [process.pid for process in psutil.Process().children(recursive=True)]
urls = [one.url for one in (server, other, inside, mailroom)]
print(json.dumps({"pids": pids, "urls": urls}))
"""


def test_nothing_outlives_a_kernel_that_is_restarted(write_app: Write) -> None:
    from jupyter_client.manager import start_new_kernel

    folder = write_app()
    manager, client = start_new_kernel(cwd=str(folder))
    try:
        printed: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] in {"stream", "error"}:
                printed.append(str(message["content"].get("text", message["content"])))

        reply = client.execute_interactive(CELL, timeout=60, output_hook=hear)
        assert reply["content"]["status"] == "ok", printed
        seen = json.loads("".join(printed))
        processes = [psutil.Process(pid) for pid in seen["pids"]]
        assert len(processes) >= 5
        assert all(is_listening(url) for url in seen["urls"])
        manager.restart_kernel(now=True)
        wait_until(
            lambda: not [process for process in processes if is_alive(process)],
            within=30,
            what="the end of everything",
        )
        assert not any(is_listening(url) for url in seen["urls"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
        manager.context.destroy()


FAILURES = {
    "syntax error": ("def f(:\n", "SyntaxError: invalid syntax"),
    "import error": ("import nonsense\n", "ModuleNotFoundError: No module named 'nonsense'"),
    "exit at import": ("import sys\nprint('leaving')\nsys.exit(7)\n", "leaving"),
    "no app": ("application = 1\n", "app"),
}


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_start_that_fails_shows_the_servers_last_lines(
    name: str, failure: str, write_app: Write
) -> None:
    text, last = FAILURES[failure]
    write_app(text)
    # gunicorn starts a worker that exits at import again and again, and never gives up.
    endless = name == "gunicorn" and failure == "exit at import"
    with pytest.raises(ServerDidNotStart) as raised:
        serve_either(name, start_within=5.0 if endless else None).start()
    said = str(raised.value)
    assert last in raised.value.last_lines, said
    assert said.startswith(f"{name} {'accepted no' if endless else 'ended with'} "), said
    if name == "uvicorn" and failure == "exit at import":
        assert raised.value.how == "ended with exit code 7"


def test_a_start_that_accepts_nothing_says_so(write_app: Write, warm: Launcher) -> None:
    write_app("import time\nprint('waiting for the database', flush=True)\ntime.sleep(3600)\n")
    server = uvicorn("newsletter:app", start_within=1.0)
    with pytest.raises(ServerDidNotStart) as raised:
        server.start()
    assert str(raised.value) == (
        "uvicorn accepted no connection within 1 s. Its last lines:\nwaiting for the database"
    )
    assert server.exit_code is not None
    assert not is_listening(server.url)


def test_a_server_that_says_nothing_is_told_as_silent() -> None:
    assert str(ServerDidNotStart("uvicorn", "ended", "")) == (
        "uvicorn ended. Its last lines:\n(it wrote nothing)"
    )


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn"])
def test_workers_are_the_processes_that_serve(name: str, write_app: Write) -> None:
    server = uvicorn("newsletter:app", workers=2) if name == "uvicorn" else serve_either(name)
    with server:
        wait_until(lambda: len(server.workers) == 2, what="two workers")
        before = server.workers
        assert server.get("/health").json()["pid"] in before
        assert {psutil.Process(pid).ppid() for pid in before} == {server.pid}
        os.kill(before[0], signal.SIGKILL)
        wait_until(
            lambda: len(server.workers) == 2 and before[0] not in server.workers,
            what="a new worker",
        )
    assert server.workers == []


def test_a_server_starts_again(write_app: Write, warm: Launcher) -> None:
    write_app()
    server = uvicorn("newsletter:app").start()
    first, log = server.pid, server.log
    server.start()
    assert server.pid != first
    assert server.get("/health").json()["pid"] == server.pid
    assert server.log is not log
    assert "Shutting down" in log
    server.stop()
    server.stop()
    with pytest.raises(httpx.ConnectError):
        server.get("/health")


def test_run_lets_a_command_end_by_itself(write_app: Write, warm: Launcher) -> None:
    server = gunicorn("newsletter:app", arguments=["--print-config"])
    assert server.run() == 0
    assert "worker_class" in server.log
    with pytest.raises(DeadlinePassed, match="the end of uvicorn"):
        uvicorn("newsletter:app").run(within=0.2)


def test_waiting_for_the_end_has_a_deadline(write_app: Write, warm: Launcher) -> None:
    with uvicorn("newsletter:app") as server:
        with pytest.raises(DeadlinePassed, match=r"^the end of uvicorn: not seen within 0\.1 s"):
            server.wait(within=0.1)
        server.terminate()
        assert server.wait() == ENDS["uvicorn"]
        assert "Finished server process" in server.log


def test_where_one_did_not_end_the_next_is_not_waited_for(
    write_app: Write, warm: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that ignores SIGTERM must not cost a learner ten seconds for each check."""
    monkeypatch.setattr(warm, "lingered", False)
    monkeypatch.setattr(warm, "keeps_nothing", True)
    monkeypatch.setattr("tasklab.children._LINGERED_WITHIN", 0.1)
    monkeypatch.setattr(warm, "start_folder", lambda: str(Path.cwd()))
    with Mailroom() as mailroom:
        mailroom.hold()
        for patience in (0.2, 3600):
            server = uvicorn("newsletter:app", mailroom=mailroom).start()
            server.post("/issues", json={"number": 7})
            mailroom.wait_for(in_flight=1)
            server.stop(patience)
            assert server.exit_code == -signal.SIGKILL
    assert warm.lingered


def test_what_stood_out_is_kept_when_a_body_fails(write_app: Write, warm: Launcher) -> None:
    server = uvicorn("newsletter:app")

    def fail() -> None:
        with server:
            answer = server.ask("GET", "/exit")
            assert server.wait() == 5
            answer.wait()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert server.remarks == ["uvicorn had ended with exit code 5"]
