from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from autograde.lab import choose_arguments, has_screen
from tasklab.gates import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ""}, "linux", False),
        ({}, "linux", False),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "…"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "…"}, "darwin", False),
    ],
)
def test_a_browser_opens_only_where_it_is_seen(
    environment: dict[str, str], platform: str, expected: bool
) -> None:
    assert has_screen(environment, platform) is expected


def test_arguments_follow_the_machine() -> None:
    screen, none = {"DISPLAY": ":0"}, {"SSH_CONNECTION": "…"}

    assert "--no-browser" not in choose_arguments(screen, is_root=False)
    assert "--no-browser" in choose_arguments(none, is_root=False)
    assert "--allow-root" in choose_arguments(none, is_root=True)
    assert "--allow-root" not in choose_arguments(none, is_root=False)


@pytest.mark.parametrize("has_curve", [True, False])
def test_kernels_are_encrypted_where_they_can_be(
    has_curve: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jupyter_client refuses to start with a setting that its ZeroMQ cannot keep."""
    monkeypatch.setattr("zmq.has", {"curve": has_curve}.get)
    arguments = choose_arguments({}, is_root=False)
    assert ("--KernelManager.transport_encryption=auto" in arguments) is has_curve


def test_it_prints_the_lessons_address_and_nothing_red(tmp_path: Path) -> None:
    """A kernel, the formgrader and the assignment list leave the log without a complaint."""
    log = tmp_path / "log"
    places = ("CONFIG", "DATA", "RUNTIME")
    environment = {**os.environ, **{f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in places}}
    environment["SSH_CONNECTION"] = "…"
    command = [sys.executable, "-m", "autograde.lab", "--ServerApp.port=0"]
    with log.open("w") as file:
        lab = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=file, stderr=file, text=True
        )
    try:
        address = wait_until(
            lambda: re.search(
                r"(http://127\S+)(/lab/tree/notebooks/00\S+)\?token=(\w+)", log.read_text()
            ),
            within=60,
            what="JupyterLab's address",
        )
        assert address
        url, page, token = address.groups()
        with httpx.Client(base_url=url, headers={"Authorization": f"token {token}"}) as http:
            assert http.get(page).status_code == 200
            assert http.get("/api/contents", params={"content": 0}).json()["name"] == ""
            news = http.get("/lab/api/settings/@jupyterlab/apputils-extension:notification")
            assert news.json()["schema"]["properties"]["fetchNews"]["default"] == "false"
            listed = http.get("/assignments", params={"course_id": "vanishing-tasks"}, timeout=60)
            assert listed.json()["success"] is True
            assert http.get("/formgrader/api/status", timeout=60).json() == {"status": True}
            kernel = http.post("/api/kernels", json={"name": "python3"}, timeout=60).json()
            client = BlockingKernelClient(
                connection_file=str(tmp_path / "RUNTIME" / f"kernel-{kernel['id']}.json")
            )
            client.load_connection_file()
            client.start_channels()
            client.kernel_info(reply=True, timeout=60)
            client.stop_channels()
            http.delete(f"/api/kernels/{kernel['id']}", timeout=60).raise_for_status()
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait(60)
    told = log.read_text()

    assert told.startswith("No screen here: open the address below")
    assert not re.findall(r"^\[[EWI] .*|Traceback.*|WARNING.*", told, re.MULTILINE), told
