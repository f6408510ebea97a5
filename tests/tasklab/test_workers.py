"""Real workers of Celery, RQ and Arq, each with the same job on a real Redis."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from autograde.places import Sandbox
from tasklab.brokers import RedisServer, redis_server
from tasklab.children import ChildProcess, ServerDidNotStart
from tasklab.launcher import use_launcher
from tasklab.mailroom import Mailroom
from tasklab.servers import uvicorn
from tasklab.workers import WorkerProcess, arq, celery, rq, worker
from tests.tasklab.conftest import is_alive

APP = """
import asyncio, json, os
from urllib.request import Request, urlopen
import celery
from arq.connections import RedisSettings, create_pool
from redis import Redis
from rq import Queue

URL = os.environ["REDIS_URL"]
queue = celery.Celery(broker=URL)

@queue.task
def deliver(issue):
    letter = json.dumps({"to": "ada@example.org", "issue": issue}).encode()
    urlopen(Request(os.environ["MAILROOM_URL"] + "/letters", data=letter)).close()

async def deliver_later(context, issue):
    await asyncio.to_thread(deliver.run, issue)

class WorkerSettings:
    functions = [deliver_later]
    redis_settings = RedisSettings.from_dsn(URL)
    poll_delay = 0.05

async def enqueue():
    pool = await create_pool(WorkerSettings.redis_settings)
    await pool.enqueue_job("deliver_later", 7)
    await pool.aclose()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    match scope["path"]:
        case "/celery":
            deliver.delay(7)
        case "/rq":
            Queue(connection=Redis.from_url(URL)).enqueue("newsletter.deliver.run", 7)
        case "/arq":
            await enqueue()
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body"})
"""

Start = Callable[..., WorkerProcess]
WORKERS: dict[str, Start] = {
    "celery": lambda **options: celery("newsletter:queue", **options),
    "rq": rq,
    "arq": lambda **options: arq("newsletter.WorkerSettings", **options),
}
each_worker = pytest.mark.parametrize("name", WORKERS)


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    (tmp_path / "newsletter.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    with redis_server() as server:
        yield server


def enqueue(name: str, redis: RedisServer) -> None:
    with uvicorn("newsletter:app", env={"REDIS_URL": redis.url}) as server:
        assert server.post(f"/{name}").status_code == 202


def family(process: ChildProcess) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


@each_worker
def test_a_worker_does_the_job_and_leaves_nothing(name: str, redis: RedisServer) -> None:
    with Mailroom() as mailroom:
        enqueue(name, redis)
        with WORKERS[name](redis=redis, mailroom=mailroom) as worker:
            assert mailroom.wait_for(delivered=1)[0].issue == 7
            processes = family(worker)
            assert repr(worker) == f"<{name}: running>"
    assert not [process for process in processes if is_alive(process)]
    # Arq ends with 1 if the signal comes while it still writes down that the job is done.
    assert worker.exit_code == 0 or "1 ongoing to cancel" in worker.log


@each_worker
def test_a_worker_that_is_killed_is_gone_at_once_with_all_of_its_own(
    name: str, redis: RedisServer
) -> None:
    with Mailroom() as mailroom:
        mailroom.hold()
        enqueue(name, redis)
        with WORKERS[name](redis=redis, mailroom=mailroom) as worker:
            mailroom.wait_for(in_flight=1)
            processes = family(worker)
            worker.kill()
            assert worker.exit_code == -signal.SIGKILL
            assert not [process for process in processes if is_alive(process)]
            assert mailroom.awaited == ()
            assert worker.start().exit_code is None


@each_worker
def test_a_worker_that_does_not_start_says_why(name: str, redis: RedisServer) -> None:
    Path("newsletter.py").write_text("queue = 1 / 0\n")
    wrong: dict[str, Any] = {"arguments": ["--no-such-option"]} if name == "rq" else {}
    with pytest.raises(ServerDidNotStart, match=r"ZeroDivisionError|No such option"):
        WORKERS[name](redis=redis, **wrong).start()


def test_workers_and_their_redis_run_behind_a_wall() -> None:
    box = Sandbox({"newsletter.py": APP}, warm=False)
    with box, use_launcher(box), redis_server() as inside, Mailroom() as mailroom:
        for number, (name, start) in enumerate(WORKERS.items(), start=1):
            enqueue(name, inside)
            with start(redis=inside, mailroom=mailroom):
                mailroom.wait_for(delivered=number)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("celery", "celery --app newsletter:queue worker --concurrency 1"),
        ("rq", "rq worker --url ${REDIS_URL}"),
        ("arq", "python -m arq newsletter.WorkerSettings"),
    ],
)
def test_a_line_of_a_procfile_is_run(name: str, command: str, redis: RedisServer) -> None:
    with Mailroom() as mailroom:
        enqueue(name, redis)
        with worker(command, redis=redis, mailroom=mailroom):
            mailroom.wait_for(delivered=1, within=30)


def test_a_file_of_python_is_run_too(redis: RedisServer) -> None:
    Path("consume.py").write_text("import sys; print(sys.argv[1])")
    with worker("python consume.py letters") as running:
        assert running.wait() == 0
    assert running.log.lines == ["letters"]


@pytest.mark.parametrize("command", ["", "python", "python -c pass", "sh -c 'celery worker'"])
def test_no_other_command_is(command: str) -> None:
    with pytest.raises(ValueError, match="does not begin with celery, rq, arq or python FILE"):
        worker(command)
