from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tasklab.gates import wait_until
from tasklab.launcher import Launcher, use_launcher
from tasklab.mailroom import Mailroom
from tasklab.servers import begin_deploy, deploy, gunicorn, outwait, uvicorn

_APP = "async def app(scope, receive, send):\n    raise AssertionError\n"
_SETTINGS = 'import os\ntimeout = int(os.environ["WORKER_TIMEOUT"])\n'


@pytest.fixture
def newsletter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "newsletter.py").write_text(_APP)
    (tmp_path / "gunicorn.conf.py").write_text(_SETTINGS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_gunicorn_says_which_settings_it_would_serve_with(newsletter: Path) -> None:
    asked = gunicorn(
        "newsletter:app",
        config="gunicorn.conf.py",
        arguments=["--print-config"],
        env={"WORKER_TIMEOUT": "7"},
    )

    assert asked.run() == 0
    assert "\ntimeout                            = 7\n" in asked.log.text


def test_a_command_that_fails_says_why_in_the_log(newsletter: Path) -> None:
    asked = gunicorn("newsletter:app", config="no.conf.py", arguments=["--print-config"])

    assert asked.run() == 1
    assert "'no.conf.py' doesn't exist" in asked.log


def test_gunicorn_imported_elsewhere_reads_its_settings_in_the_folder_of_its_start(
    newsletter: Path,
) -> None:
    launcher = Launcher(warm=["gunicorn.app.wsgiapp"])
    launcher.start()
    launcher.wait_ready()
    folder = newsletter / "start"
    folder.mkdir()
    for file in ("newsletter.py", "gunicorn.conf.py"):
        (newsletter / file).rename(folder / file)
    launcher.folder = str(folder)
    try:
        with use_launcher(launcher):
            asked = gunicorn(
                "newsletter:app",
                config="gunicorn.conf.py",
                arguments=["--print-config"],
                env={"WORKER_TIMEOUT": "7"},
            )

            assert asked.run() == 0, asked.log
            assert f"\nchdir                              = {folder}\n" in asked.log.text
    finally:
        launcher.close()


def test_gunicorn_leaves_no_socket_in_the_users_home(newsletter: Path) -> None:
    home = newsletter / "home"
    home.mkdir()
    env = {"WORKER_TIMEOUT": "7", "HOME": str(home)}
    with gunicorn(
        "newsletter:app",
        config="gunicorn.conf.py",
        arguments=["--worker-class", "uvicorn_worker.UvicornWorker"],
        env=env,
    ):
        pass

    assert list(home.iterdir()) == []


def test_a_deploy_has_begun_when_an_idle_server_of_the_same_app_has_ended(
    write_app: Callable[..., Path],
) -> None:
    write_app()
    with (
        Mailroom() as mailroom,
        uvicorn("newsletter:app", mailroom=mailroom) as server,
        uvicorn("newsletter:app", mailroom=mailroom) as idle,
    ):
        mailroom.hold()
        server.ask("POST", "/issues", json={"number": 7})
        mailroom.wait_for(in_flight=1)
        begin_deploy(server, idle)

        assert idle.exit_code is not None
        assert "Waiting for background tasks to complete" in server.log
        assert server.exit_code is None
        mailroom.release()
        server.wait(within=30)
        assert len(mailroom.delivered) == 1


def test_a_deploy_has_begun_when_the_server_says_so_or_ends(write_app: Callable[..., Path]) -> None:
    write_app()
    with uvicorn("newsletter:app") as server:
        begin_deploy(server)

        assert "Waiting for application shutdown" in server.log or server.exit_code is not None


_TWO_WORKERS = """
import pathlib, time
worker_class = "uvicorn_worker.UvicornWorker"
workers = 2
graceful_timeout = 120

def post_fork(server, worker):
    while worker.age == 2 and not pathlib.Path("go").exists():
        time.sleep(0.01)
"""


def test_a_deploy_waits_for_a_worker_that_was_just_forked(newsletter: Path) -> None:
    """Told at once, it would not hear of it, and gunicorn would wait for two minutes."""
    (newsletter / "gunicorn.conf.py").write_text(_TWO_WORKERS)
    with gunicorn("newsletter:app", config="gunicorn.conf.py") as server:
        server.ask("GET", "/").wait(within=30)
        wait_until(lambda: len(server.workers) == 2, within=30)
        deploying = threading.Thread(target=deploy, args=(server,))
        deploying.start()
        server.log.wait_for("Handling signal: winch", within=30)
        assert "Handling signal: term" not in server.log
        (newsletter / "go").touch()
        deploying.join()
        assert server.wait(within=60) == 0


_BLOCKS = """
import time

async def app(scope, receive, send):
    while scope["path"] == "/block":
        time.sleep(1)
"""


@pytest.mark.parametrize(("timeout", "overdue"), [(2, True), (60, False)])
def test_gunicorn_has_looked_at_a_worker_that_was_silent(
    newsletter: Path, timeout: int, overdue: bool
) -> None:
    (newsletter / "newsletter.py").write_text(_BLOCKS)
    with gunicorn(
        "newsletter:app",
        config="gunicorn.conf.py",
        arguments=["--worker-class", "uvicorn_worker.UvicornWorker"],
        env={"WORKER_TIMEOUT": str(timeout)},
    ) as server:
        server.ask("GET", "/").wait(within=30)
        server.ask("GET", "/block")
        outwait(server, 2)

        assert ("WORKER TIMEOUT" in server.log) == overdue
        assert overdue or "Handling signal: winch" in server.log
