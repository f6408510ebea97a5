"""What an answer finds around it, and what is left of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograde.filters import steering_filter
from autograde.places import Limits, OwnMachine, Sandbox
from tasklab.gates import wait_until
from tasklab.launcher import use_launcher
from tasklab.servers import uvicorn

APP = """
import json, os, resource, sys
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
def seen():
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "uid": os.getuid(),
        "folder": os.getcwd(),
        "here": sorted(os.listdir(".")),
        "project": sorted(os.listdir(os.path.dirname(sys.prefix))),
        "home": os.path.expanduser("~"),
        "environment": dict(os.environ),
        "files": sorted(int(n) for n in os.listdir("/proc/self/fd")),
        "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource)
                   if n in ("RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_NOFILE")},
        "privileges": open("/proc/self/status").read(),
    }
"""
Place = Callable[[Mapping[str, str]], OwnMachine]


def look(place: Place, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    launcher = place({"newsletter.py": APP, **(files or {})})
    with launcher, use_launcher(launcher), uvicorn("newsletter:app") as server:
        found: dict[str, Any] = server.get("/").json()
        found["outside"] = server.pid
        found["processes"] = [process.pid for process in launcher.processes()]
    return found


def status(found: dict[str, Any], name: str) -> str:
    lines = found["privileges"].splitlines()
    return str(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def test_an_answer_is_alone_behind_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "secret")
    found = look(Sandbox, {"gunicorn.conf.py": "timeout = 2\n"})
    assert found["here"] == ["gunicorn.conf.py", "newsletter.py"]
    assert found["parent"] == 1
    assert found["outside"] != found["pid"]
    assert "A_SECRET" not in found["environment"]
    assert found["project"] == [Path(sys.prefix).name]
    assert found["home"] == "/newsletter"
    assert max(found["files"]) < 20
    assert status(found, "CapEff") == "0" * 16
    assert status(found, "NoNewPrivs") == "1"
    assert status(found, "Seccomp") == ("2" if steering_filter() else "0")


def test_a_client_behind_the_wall_reads_no_certificates() -> None:
    """They cost 0.1 s of processor time a client, and nobody here could show one."""
    app = "from fastapi import FastAPI\nimport httpx\napp = FastAPI()\n\n@app.get('/')\n"
    app += "def read():\n    return len(httpx.create_ssl_context().get_ca_certs())\n"
    launcher = Sandbox({"newsletter.py": app})
    with launcher, use_launcher(launcher), uvicorn("newsletter:app") as server:
        assert server.get("/").json() == 0


def test_a_warm_start_shares_what_it_does_not_collect() -> None:
    app = "import gc\nfrom fastapi import FastAPI\napp = FastAPI()\nfrozen = gc.get_freeze_count()"
    app += "\n\n@app.get('/')\ndef read():\n    return frozen\n"
    launcher = OwnMachine({"newsletter.py": app})
    with launcher, use_launcher(launcher), uvicorn("newsletter:app") as server:
        assert server.get("/").json() > 50_000


def test_limits_are_what_they_are_set_to() -> None:
    limits = Limits(processes=100, file_size=1 << 20, open_files=99)
    found = look(lambda files: Sandbox(files, limits=limits))["limits"]
    assert found["RLIMIT_NPROC"] == [100, 100]
    assert found["RLIMIT_FSIZE"] == [1 << 20, 1 << 20]
    assert found["RLIMIT_NOFILE"] == [99, 99]
    assert found["RLIMIT_AS"] == [limits.addresses, limits.addresses]


def test_two_sandboxes_share_no_user() -> None:
    first, second = (Sandbox({}) for _ in range(2))
    assert first._user != second._user


@pytest.mark.parametrize("place", [OwnMachine, Sandbox])
def test_nothing_is_left_of_it(place: Place) -> None:
    found = look(place)
    assert found["outside"] in found["processes"]
    assert not [pid for pid in found["processes"] if psutil.pid_exists(pid)]
    assert not Path(found["folder"]).parent.exists()


@pytest.mark.parametrize("place", [OwnMachine, Sandbox])
def test_each_start_finds_the_files_as_they_were(place: Place) -> None:
    """What one server wrote beside the answer is not there for the next."""
    text = APP.replace('"here": ', '"newly": open("left", "x").close(), "here": ')
    launcher = place({"newsletter.py": text})
    with launcher, use_launcher(launcher):
        for _ in range(2):
            with uvicorn("newsletter:app") as server:
                assert server.get("/").json()["here"] == ["left", "newsletter.py"]


def test_a_limit_that_was_met_is_told_in_words() -> None:
    with Sandbox({}) as place:
        assert place.excess() == ""
        assert "processor time" in place.excess(-24)
        assert "killed" in place.excess(-9)


def test_the_filter_is_a_whole_program() -> None:
    program = steering_filter()
    assert len(program) % 8 == 0
    assert len(program) // 8 < 4096
    assert json.dumps(program.hex())


def test_a_keeper_that_hears_nothing_is_ended_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasklab.control._CLOSING_WITHIN", 0.1)
    with Sandbox({}, warm=False) as sandbox:
        sandbox.wait_ready()
        program = sandbox.control.process
        assert program is not None
        (keeper,) = psutil.Process(program.pid).children()
        keeper.suspend()
    wait_until(lambda: not keeper.is_running(), what="the end of the keeper")
