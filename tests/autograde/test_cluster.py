"""Grading on a Dask cluster whose scheduler and workers are processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograde import cluster
from autograde.batch import Task, grade_all
from autograde.cluster import connect, describe_environment
from autograde.errors import BrokenEnvironment
from autograde.places import Limits
from tasklab.gates import wait_until
from tests.attacks.answers import HONEST, IDLE
from tests.autograde.courses import NAME, answer, exercise, notebook

pytestmark = [
    pytest.mark.timeout(300),
    # Dask's own sockets and loops, at its own end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
INSTRUCTOR = json.dumps(exercise())


def task(student: str, text: str) -> Task:
    submitted = json.dumps(notebook(answer(f"%%writefile newsletter.py\n{text}"))).encode()
    return Task(student, NAME, f"{student}.ipynb", submitted, INSTRUCTOR, Limits())


class Cluster:
    """A scheduler, and workers that can be added and killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._run("scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
        wait_until(self._is_up, within=60, what="the scheduler")

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    def _is_up(self) -> bool:
        with contextlib.suppress(OSError, ValueError, KeyError):
            return bool(self.address)
        return False

    def add_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        return self._run("worker", "--no-nanny", "--nthreads", "3", "--no-dashboard", **environment)

    def _run(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--scheduler-file", str(self.file)],
            cwd=self.folder, stdout=log, stderr=log, env={**os.environ, **environment},
        )  # fmt: skip
        log.close()
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    try:
        yield made
    finally:
        made.close()


def wait_for_workers(address: str, number: int) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(number, timeout=60)


def test_a_cluster_that_loses_a_worker_loses_nothing(running: Cluster) -> None:
    victim = running.add_worker()
    running.add_worker()
    wait_for_workers(running.address, 2)
    tasks = [task(f"s{n}", HONEST if n % 3 else IDLE) for n in range(12)]
    points = {}
    with connect(running.address) as executor:
        for done, report in grade_all(tasks, executor, 6):
            points[done.student] = report["points"]
            if len(points) == 2:
                victim.send_signal(signal.SIGKILL)
    assert points == {f"s{n}": 5.0 if n % 3 else 2.0 for n in range(12)}


def test_a_worker_that_is_not_alike_takes_no_work(
    running: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.add_worker()
    wait_for_workers(running.address, 1)
    wanted = {**describe_environment(), "fastapi": "0.0.1"}
    monkeypatch.setattr(cluster, "describe_environment", lambda: wanted)
    with (
        pytest.raises(BrokenEnvironment, match=r"1 of 1 workers .* fastapi is .* and not 0\.0\.1"),
        connect(running.address),
    ):
        pass


def test_a_cluster_without_workers_is_one_sentence(running: Cluster) -> None:
    with pytest.raises(BrokenEnvironment, match="has no workers"), connect(running.address):
        pass


def test_no_cluster_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_CONNECT_WITHIN", 1.0)
    with (
        pytest.raises(BrokenEnvironment, match="No Dask scheduler answers at tcp://127"),
        connect("tcp://127.0.0.1:1"),
    ):
        pass


def test_the_environment_names_what_decides() -> None:
    found = describe_environment()
    assert {"Python", "fastapi", "uvicorn", "autograde", "tasklab"} <= set(found)
    assert "missing" not in found.values()
