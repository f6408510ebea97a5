from __future__ import annotations

from pathlib import Path

import pytest

from tasklab.launcher import Launcher, use_launcher
from tasklab.servers import gunicorn

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
