"""Watch the grader's own memory while it grades a large class: `make bench-memory`.

The exercise is as small as one can be that still has a sandbox, a server, a client and a mailroom,
so that two thousand gradings take minutes. Everything else is what `autograde grade` does.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil

from autograde.batch import grade_task, open_many_files
from autograde.classes import ClassGrading, Settings
from autograde.nbgrader_config import load_config

__all__ = ["Sample", "grade_many"]

_SLUG = "00-tiny"
_SERVER = """\
import os, socket

MAILROOM = ("127.0.0.1", int(os.environ["MAILROOM_URL"].rsplit(":", 1)[1]))
LETTER = b'POST /letters HTTP/1.1\\r\\nHost: mailroom\\r\\nContent-Length: 2\\r\\n\\r\\n{}'
listening = socket.socket(fileno=3)
while True:
    connection, _ = listening.accept()
    with connection, socket.create_connection(MAILROOM) as mailroom:
        if connection.recv(65536):
            mailroom.sendall(LETTER)
            mailroom.recv(65536)
            print("sent", flush=True)
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
"""
# A third is wrong, each in a way of its own.
_ANSWERS = (
    _SERVER,
    _SERVER,
    _SERVER,
    _SERVER,
    _SERVER.replace("mailroom.sendall(LETTER)\n            mailroom.recv(65536)", "pass"),
    "raise LookupError('no such letter')\n",
)
_SETUP = """\
from tasklab import Mailroom, check
from tasklab.servers import ServerProcess
"""
_CHECK = """\
with check("letter-arrives") as found:
    with Mailroom() as mailroom:
        with ServerProcess("server", ["newsletter"], mailroom=mailroom) as server:
            server.get("/")
    count = len(mailroom.delivered)
    found.expect(count == 1, saw=f"{count} letters", expected="1 letter")
"""


class Sample(NamedTuple):
    """What this process had after so many gradings; memory in bytes."""

    graded: int
    resident: int
    objects: int
    """All that the garbage collector knows."""
    descriptors: int
    threads: int
    children: int

    @classmethod
    def take(cls, graded: int) -> Sample:
        gc.collect()
        here = psutil.Process()
        return cls(
            graded,
            here.memory_info().rss,
            len(gc.get_objects()),
            here.num_fds(),
            threading.active_count(),
            len(here.children()),
        )


def _cell(name: str, source: str, **flags: Any) -> dict[str, Any]:
    marks = {"grade": False, "locked": False, "solution": False, "task": False, **flags}
    marks |= {"grade_id": name, "schema_version": 3, "cell_type": "code"}
    return {
        "cell_type": "code",
        "id": name,
        "execution_count": None,
        "metadata": {"nbgrader": marks, "autograde": {"arrives_solved": True}},
        "outputs": [],
        "source": source,
    }


def _notebook(answer: str) -> str:
    cells = [
        _cell("answer", f"%%writefile newsletter.py\n{answer}", solution=True),
        _cell("setup", _SETUP, locked=True),
        _cell("letter-arrives", _CHECK, locked=True, grade=True, points=1),
    ]
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


@contextmanager
def _class_of(count: int) -> Iterator[Path]:
    """A course with one exercise, and `count` submissions to it."""
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as name:
        root = Path(name)
        files = {root / "solutions" / _SLUG: _SERVER} | {
            root / "classroom" / "submitted" / f"learner-{number:05}" / _SLUG: answer
            for number in range(count)
            for answer in [_ANSWERS[number % len(_ANSWERS)]]
        }
        for folder, answer in files.items():
            folder.mkdir(parents=True)
            (folder / f"{_SLUG}.ipynb").write_text(_notebook(answer), encoding="utf-8")
        yield root


def grade_many(
    count: int,
    jobs: int,
    *,
    every: int,
    gradebook: bool = False,
    on_sample: Callable[[Sample], None] = lambda _: None,
) -> list[Sample]:
    """Grade so many tiny submissions here; take a sample after each `every`, and at the end."""
    samples: list[Sample] = []
    open_many_files()
    with _class_of(count) as root:
        settings = Settings(root, jobs, gradebook=gradebook, config=load_config(root))
        grading = ClassGrading(root / "classroom" / "submitted", settings)

        def note(_: object = None) -> None:
            samples.append(Sample.take(grading.outcomes.total()))
            on_sample(samples[-1])

        graded = grading.run(
            on_done=lambda _: None if grading.outcomes.total() % every else note(),
            work=functools.partial(grade_task, warm=False),
        )
        # Once more, with the threads at their end and the gradebook up to date.
        note()
        wrong = sum(number % len(_ANSWERS) > 3 for number in range(count))
        if (grading.outcomes["failed"], grading.outcomes["broken"]) != (wrong, 0):
            saw = next(row.report for row in graded if row.report["outcome"] == "broken")
            raise click.ClickException(f"{dict(grading.outcomes)}, such as {saw}")
    return samples


@click.command()
@click.option("--count", default=2000, show_default=True, help="Submissions, one in three wrong.")
@click.option("--jobs", default=8, show_default=True, help="Gradings at once.")
@click.option("--gradebook/--no-gradebook", default=False, help="Enter them into a gradebook.")
def main(count: int, jobs: int, gradebook: bool) -> None:
    """Grade a large class in one process, and print what the process holds as it goes on."""
    click.echo(
        f"{'graded':>8} {'minutes':>8} {'MiB':>8} {'objects':>9} {'files':>6} {'threads':>8}"
    )
    started = time.monotonic()

    def show(sample: Sample) -> None:
        minutes, mebibytes = (time.monotonic() - started) / 60, sample.resident / 1024**2
        click.echo(
            f"{sample.graded:8} {minutes:8.1f} {mebibytes:8.1f} {sample.objects:9} "
            f"{sample.descriptors:6} {sample.threads:8}"
        )

    grade_many(count, jobs, every=max(1, count // 20), gradebook=gradebook, on_sample=show)
    processor = os.times()
    mine = processor.user + processor.system
    theirs = processor.children_user + processor.children_system
    click.echo(f"CPU s each: {mine / count:.3f} here, {theirs / count:.3f} in the sandboxes")


if __name__ == "__main__":
    main()
